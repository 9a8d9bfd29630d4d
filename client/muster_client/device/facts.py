"""This device's statements, read as the facts over which it decides (SPEC.md section 6)."""

from collections.abc import Mapping, Sequence

from muster_client.device.statements import Held
from muster_protocol.cards import Mode
from muster_protocol.decision import GrantFacts
from muster_protocol.governance import Grant, Trust
from muster_protocol.ids import ClientId, Fingerprint, GrantId, InviteId, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.signed import read


def pins_of(trusts: Sequence[Held]) -> dict[ClientId, Fingerprint]:
    """Return the peers that these statements trust, each with the fingerprint of its key."""
    return {held.peer: read(held.signed, Trust).peer_key for held in trusts if held.kind is Kind.TRUST}


def grants_of(statements: Sequence[Held], uses: Mapping[GrantId, InviteId]) -> dict[ClientId, GrantFacts]:
    """Return the grant in these statements for each peer."""
    return {held.peer: _facts(held, uses) for held in statements}


def spent_on(statements: Sequence[Held], uses: Mapping[GrantId, InviteId]) -> dict[ClientId, InviteId]:
    """Return for each peer the invite on which the one use of its grant was spent."""
    grants = {held.peer: read(held.signed, Grant).grant for held in statements if held.kind is Kind.GRANT}
    return {peer: uses[grant] for peer, grant in grants.items() if grant in uses}


def _facts(held: Held, uses: Mapping[GrantId, InviteId]) -> GrantFacts:
    if held.kind is not Kind.GRANT:
        nothing = Fingerprint(b"")
        return GrantFacts(True, nothing, Mode.JOIN, None, False, TimeMs(0), TimeMs(0))  # noqa: FBT003 - revoked
    grant = read(held.signed, Grant)
    return GrantFacts(
        revoked=False,
        peer_key=grant.peer_key,
        mode=grant.mode,
        profiles=grant.profiles,
        used=grant.grant in uses,
        not_before=grant.not_before,
        expires_at=grant.expires_at,
    )
