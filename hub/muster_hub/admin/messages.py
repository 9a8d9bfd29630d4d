"""The lines of the private socket: one JSON object out and one back for each connection.

Each has ``v``, the version of these lines. A hub and a command of different versions say so and do nothing else.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from muster_hub.enrolment.codes import KnownCode
from muster_hub.enrolment.devices import EnrolledDevice
from muster_protocol.ids import ClientId, TimeMs

MAX_LINE_BYTES = 4 * 1024 * 1024
"""Of a reply: some 30,000 enrolled devices. A request has a few hundred."""
MAX_REQUEST_BYTES = 4 * 1024


class AdminRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="verb"):
    """What an operator asks for."""

    v: Literal[1] = 1


class MakeInvitation(AdminRequest, frozen=True, kw_only=True, tag="enrolment.code"):
    """Make an invitation for one device. Reply: ``InvitationMade``."""


class ListEnrolment(AdminRequest, frozen=True, kw_only=True, tag="enrolment.list"):
    """List invitations and enrolled devices. Reply: ``Enrolment``."""


class AllowDevice(AdminRequest, frozen=True, kw_only=True, tag="enrolment.allow"):
    """Enrol a device by its id. Reply: ``Changed``."""

    client: ClientId


class EndEnrolment(AdminRequest, frozen=True, kw_only=True, tag="enrolment.revoke"):
    """End the enrolment of a device, or withdraw a code by the name that the list shows. Reply: ``Changed``."""

    what: Annotated[str, Meta(pattern=r"\A([0-9a-f]{8}|[a-z2-7]{32})\Z")]


AnyRequest = MakeInvitation | ListEnrolment | AllowDevice | EndEnrolment


class AdminReply(Struct, frozen=True, kw_only=True, tag_field="is"):
    """What the hub answers."""

    v: Literal[1] = 1


class InvitationMade(AdminReply, frozen=True, kw_only=True, tag="invited"):
    """An invitation: the line to paste."""

    invitation: str
    expires_at: TimeMs


class Enrolment(AdminReply, frozen=True, kw_only=True, tag="enrolment"):
    """Which devices may connect, and what there is of invitations and enrolled devices, the newest first."""

    which: str
    codes: tuple[KnownCode, ...]
    devices: tuple[EnrolledDevice, ...]


class Changed(AdminReply, frozen=True, kw_only=True, tag="changed"):
    """Done; ``changed`` is False where it was so before."""

    changed: bool


class Failed(AdminReply, frozen=True, kw_only=True, tag="failed"):
    """Not done, in a sentence; ``reason`` is one of SPEC.md section 9, or empty."""

    sentence: str
    reason: str = ""


AnyReply = InvitationMade | Enrolment | Changed | Failed

_requests: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)
_replies: msgspec.json.Decoder[AnyReply] = msgspec.json.Decoder(AnyReply)


def read_request(line: bytes) -> AnyRequest:
    """Read a request. Raises ``msgspec.DecodeError``."""
    return _requests.decode(line)


def read_reply(line: bytes) -> AnyReply:
    """Read a reply. Raises ``msgspec.DecodeError``."""
    return _replies.decode(line)
