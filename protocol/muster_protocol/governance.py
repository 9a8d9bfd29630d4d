"""Trust, grants and their ends: what one device says about another, for as long as it says so (SPEC.md section 2.6)."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from muster_protocol.cards import Mode
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, Fingerprint, GrantId, Serial, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Body

MAX_PROFILES = 16
MAX_GRANT_MS = 366 * 24 * 3600 * 1000
"""The longest that a grant may last: one year."""

Profile = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
"""A profile's name: at most 64 of a-z, 0-9, dot, dash, underscore; the first a letter or digit."""


class Trust(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """``client`` has checked by hand that ``peer`` holds the key with this fingerprint."""

    KIND: ClassVar[Kind] = Kind.TRUST

    client: ClientId
    serial: Serial
    peer: ClientId
    peer_key: Fingerprint


class Untrust(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """``client`` trusts ``peer`` no longer. It ends every grant to that peer too."""

    KIND: ClassVar[Kind] = Kind.UNTRUST

    client: ClientId
    serial: Serial
    peer: ClientId


class Grant(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """``client`` permits automatic joins with ``peer``. One grant per peer counts: that of the highest serial.

    ``profiles`` None covers all sessions; a list covers those that name one of them. ``uses`` None is unlimited.
    Both ends of the time are by the granting device's clock.
    """

    KIND: ClassVar[Kind] = Kind.GRANT

    client: ClientId
    serial: Serial
    peer: ClientId
    peer_key: Fingerprint
    grant: GrantId
    mode: Mode
    profiles: Annotated[tuple[Profile, ...], Meta(min_length=1, max_length=MAX_PROFILES)] | None
    uses: Literal[1] | None
    not_before: TimeMs
    expires_at: TimeMs

    def check(self) -> None:
        """Raise ``Refused(malformed)`` for a time that is empty or longer than a year, or profiles out of order."""
        if not 0 < self.expires_at - self.not_before <= MAX_GRANT_MS:
            raise Refused(Reason.MALFORMED, "a grant lasts more than nothing and a year at most")
        if self.profiles is not None and list(self.profiles) != sorted(set(self.profiles)):
            raise Refused(Reason.MALFORMED, "profiles are sorted and each named once")


class Revocation(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """``client`` takes back the grant that it gave to ``peer``."""

    KIND: ClassVar[Kind] = Kind.REVOCATION

    client: ClientId
    serial: Serial
    peer: ClientId
    grant: GrantId


Governance = Trust | Untrust | Grant | Revocation

GOVERNANCE: dict[Kind, type[Trust] | type[Untrust] | type[Grant] | type[Revocation]] = {
    Kind.TRUST: Trust,
    Kind.UNTRUST: Untrust,
    Kind.GRANT: Grant,
    Kind.REVOCATION: Revocation,
}


def check_governance(body: Governance) -> None:
    """Check what the shape alone does not say; raises ``Refused(malformed)``, or ``self_target``."""
    if body.peer == body.client:
        raise Refused(Reason.SELF_TARGET)
    if isinstance(body, Grant):
        body.check()
