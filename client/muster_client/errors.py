"""The errors that the library raises."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from muster_protocol.closes import NextTry
from muster_protocol.errors import MusterError
from muster_protocol.ids import ClientId, Fingerprint, SessionId
from muster_protocol.reasons import Reason, Sayer

__all__ = [
    "NO_ROOM",
    "AgentRunning",
    "AmbiguousName",
    "BadCertificateAuthority",
    "BadHubUrl",
    "BadNickname",
    "ControlFailed",
    "DataNotWritten",
    "DeviceError",
    "DeviceExists",
    "HubBusy",
    "HubError",
    "HubKeyChanged",
    "HubRefused",
    "HubUnreachable",
    "InvalidRequest",
    "NewerData",
    "NoAgent",
    "NoDevice",
    "NoReply",
    "NotTrusted",
    "Obstacle",
    "ReplyUnreadable",
    "SessionRefused",
    "Trouble",
    "UnknownInvite",
    "UnknownName",
    "UnknownSession",
    "UnsafeKeyFile",
    "UnusableData",
]

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The numbers of the system's errors that mean: the disk, or this user's share of it, is full."""


class DeviceError(MusterError):
    """Something is wrong with the device's own data."""


class NoDevice(DeviceError):
    """There is no device in this folder."""


class DeviceExists(DeviceError):
    """There already is a device in this folder."""


class UnsafeKeyFile(DeviceError):
    """The key file is another user's, open to others or not valid; the message says how to repair it."""


class NewerData(DeviceError):
    """A newer version of Muster wrote the data."""


class UnusableData(DeviceError):
    """The device's files are damaged, or this user cannot read and write them; the message says what to do."""


class DataNotWritten(DeviceError):
    """The device's data could not be written, as the disk is full or fails. Nothing of the change was applied."""


class BadCertificateAuthority(DeviceError):
    """The file with the hub's certificate authority cannot be used; the message says why."""


class BadHubUrl(DeviceError):
    """The hub's URL is invalid; the message says what is allowed."""


class BadNickname(DeviceError):
    """The nickname is malformed, or another peer has it."""


class AgentRunning(DeviceError):
    """Another agent of this device holds its lock. ``pid`` is its process, if known."""

    def __init__(self, pid: int | None) -> None:
        self.pid = pid
        super().__init__(f"an agent of this device already runs{'' if pid is None else f' (process {pid})'}")


class UnknownName(DeviceError):
    """No peer has this name. ``near`` holds similar nicknames."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        self.name = name
        self.near = tuple(near)
        super().__init__(f"no device called {name!r} is known here")


class AmbiguousName(DeviceError):
    """Several peers have a name that starts with this. ``matches`` holds their names."""

    def __init__(self, name: str, matches: Sequence[str]) -> None:
        self.name = name
        self.matches = tuple(matches)
        super().__init__(f"{name!r} could mean any of {', '.join(self.matches)}")


class HubError(MusterError):
    """The hub could not be reached, or refused a request."""


class Trouble(StrEnum):
    """Why there is no connection to the hub. The meaning of a value never changes."""

    HUB_UNREACHABLE = "hub_unreachable"
    """Refused, no route, no answer, lost, or an HTTP answer that says not now; the message says which."""
    HUB_NAME_UNKNOWN = "hub_name_unknown"
    HUB_REDIRECTS = "hub_redirects"
    """An HTTP redirect came; it is not followed, and the message names its target."""
    NOT_A_HUB = "not_a_hub"
    """Something answered that is not a hub."""
    PROXY_FAILED = "proxy_failed"
    REPLY_UNREADABLE = "reply_unreadable"
    """The hub replied with what this version cannot read, or with something else than was asked for."""
    TLS_UNKNOWN_CA = "tls_unknown_ca"
    TLS_WRONG_HOST = "tls_wrong_host"
    TLS_EXPIRED = "tls_expired"
    TLS_NOT_YET_VALID = "tls_not_yet_valid"
    TLS_NOT_SPOKEN = "tls_not_spoken"
    """``wss://`` to a port that speaks plain HTTP."""
    TLS_REQUIRED = "tls_required"
    """``ws://`` to a port that speaks TLS."""
    TLS_KEY_NOT_PROVEN = "tls_key_not_proven"
    """A hub's key stands in the certificate, and does not vouch for it: something answers in the hub's place."""
    TLS_CUT = "tls_cut"
    TLS_FAILED = "tls_failed"


class NoReply(HubError):
    """No reply came that this device can use: ``HubUnreachable``, ``ReplyUnreadable`` or ``HubBusy``.

    The hub may have carried out the request. ``trouble`` says why there is none.
    """

    def __init__(self, sentence: str, trouble: Trouble = Trouble.HUB_UNREACHABLE) -> None:
        self.trouble = trouble
        super().__init__(sentence)


class HubUnreachable(NoReply):
    """There is no connection to the hub, or it was lost before the reply: the hub may have carried out the request."""


class ReplyUnreadable(NoReply):
    """The hub can be reached, and its reply cannot be read, or is not about what was asked: it is newer, or broken."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Trouble.REPLY_UNREADABLE)


def no_reply(sentence: str, trouble: Trouble) -> NoReply:
    """Return the error with this sentence for a trouble."""
    return ReplyUnreadable(sentence) if trouble is Trouble.REPLY_UNREADABLE else HubUnreachable(sentence, trouble)


class HubKeyChanged(HubError):
    """The hub has a key that is not the pinned one and that the pinned one did not certify.

    ``shown`` is the fingerprint of that key, for a person to compare with the hub's operator.
    """

    def __init__(self, shown: Fingerprint) -> None:
        self.shown = shown
        super().__init__("the hub shows another key than the one that this device pinned")


class HubRefused(HubError):
    """The hub refused with a typed reason. ``next_try``: what its code proves about connecting again."""

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        retry_after_ms: int | None = None,
        *,
        next_try: NextTry = NextTry.USUAL,
    ) -> None:
        self.reason = reason
        self.detail = detail
        self.retry_after_ms = retry_after_ms
        self.next_try = next_try
        super().__init__(f"the hub refused: {reason}{f' ({detail})' if detail else ''}")


class HubBusy(NoReply):
    """The hub turned a request away for now, or had no store for it: then it may have carried out the request.

    ``reason``, ``detail`` and ``retry_after_ms`` are those that it gave.
    """

    def __init__(self, refused: HubRefused) -> None:
        self.reason = refused.reason
        self.detail = refused.detail
        self.retry_after_ms = refused.retry_after_ms
        super().__init__(f"the hub turned the request away for now: {refused.reason}")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A peer that cannot be called, the reason, and who gave it."""

    peer: ClientId
    reason: Reason
    sayer: Sayer


class NotTrusted(MusterError):
    """No session was created, as this device may not call each of these peers by its own data."""

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        self.obstacles = tuple(obstacles)
        super().__init__("; ".join(f"{one.peer[:8]}: {one.reason}" for one in self.obstacles))


class InvalidRequest(MusterError):
    """The request is invalid: no target, a duplicate, this device itself, too many targets, or a malformed field."""

    def __init__(self, reason: Reason, detail: str = "", peer: ClientId | None = None) -> None:
        self.reason = reason
        self.detail = detail
        self.peer = peer
        super().__init__(f"{reason}{f': {detail}' if detail else ''}")


class SessionRefused(MusterError):
    """The session could not be created; ``reason`` is that of the hub or of this device."""

    def __init__(self, reason: Reason, sayer: Sayer, detail: str = "") -> None:
        self.reason = reason
        self.sayer = sayer
        self.detail = detail
        super().__init__(f"the session could not be created: {reason}{f' ({detail})' if detail else ''}")


class UnknownSession(MusterError):
    """The agent is not in this session, or this device did not create it."""

    def __init__(self, session: SessionId) -> None:
        self.session = session
        super().__init__(f"this device is in no session {session[:8]}")


class UnknownInvite(MusterError):
    """No open invite has this number or id."""


class NoAgent(MusterError):
    """No agent of this device runs, or it has no control socket. ``muster agent`` starts one."""


class ControlFailed(MusterError):
    """The agent failed at a local request, with an error that has no type of its own."""
