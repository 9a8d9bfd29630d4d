"""What a session shall be and whom to call into it: the one request, from the command line to the hub."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from muster_client.errors import InvalidRequest
from muster_protocol.cards import Mode
from muster_protocol.frames import MAX_SESSION_MS, MAX_TARGETS, Purpose, SessionKind
from muster_protocol.governance import Profile
from muster_protocol.ids import ClientId
from muster_protocol.own_decision import Intent
from muster_protocol.reasons import Reason

DEFAULT_SESSION_MS = 24 * 3600 * 1000
"""How long a session may last by default: one day."""


class SessionRequest(Struct, frozen=True):
    """A session to create and the devices to call into it. ``lasts_ms``: at most 7 days."""

    targets: tuple[ClientId, ...]
    mode: Mode = Mode.JOIN
    profile: str | None = None
    kind: SessionKind = SessionKind.MESH
    purpose: Purpose = Purpose.AUTO
    lasts_ms: int = DEFAULT_SESSION_MS

    def intent(self, members: Sequence[ClientId] = ()) -> Intent:
        """Return what the own decision asks of this request; ``members`` are in the session beside this device."""
        return Intent(self.targets, tuple(members), self.kind, self.mode, self.profile, self.purpose)

    def check(self, creator: ClientId) -> None:
        """Check everything that needs no data of the device; raises ``InvalidRequest``."""
        if not self.targets:
            raise InvalidRequest(Reason.EMPTY_TARGETS)
        if len(self.targets) > MAX_TARGETS:
            raise InvalidRequest(Reason.TOO_MANY_TARGETS, f"at most {MAX_TARGETS}")
        for target in self.targets:
            self._check_target(target, creator)
        if self.profile is not None and not _fits(self.profile, Profile):
            raise InvalidRequest(Reason.MALFORMED, "a profile has 1 to 64 of a-z, 0-9, dot, dash and underscore")
        if not 0 < self.lasts_ms <= MAX_SESSION_MS:
            raise InvalidRequest(Reason.MALFORMED, "a session lasts 7 days at most")

    def _check_target(self, target: ClientId, creator: ClientId) -> None:
        if not _fits(target, ClientId):
            raise InvalidRequest(Reason.MALFORMED, "a target is a whole ClientId")
        if target == creator:
            raise InvalidRequest(Reason.SELF_TARGET, peer=target)
        if self.targets.count(target) > 1:
            raise InvalidRequest(Reason.DUPLICATE_TARGET, peer=target)


def _fits(text: str, kind: object) -> bool:
    try:
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True
