"""What ``decide`` answers on a device over its own store, with anything that a hub adds, and what it shows a stranger.

The device's store itself, and that the client asks it before it answers, is shown in tests/unit/client (13); that the
hub does the same work for every stranger, in tests/integration/hub/sessions (21).
"""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.property.cast import DAY_MS, NOON, A, B, C, RotatedDevice
from tests.property.facts import LASTS_MS, call_of, calls, own_store, parties, party
from tests.property.statements import LATEST, DurableStatement, said, statements

from muster_protocol.decision import Call, Party, decide
from muster_protocol.frames import Purpose
from muster_protocol.ids import ClientId, Fingerprint, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason

_times = st.integers(NOON - 40 * DAY_MS, NOON + 40 * DAY_MS).map(TimeMs)
_last = st.sampled_from([[], [said(Kind.TRUST, LATEST + 1), said(Kind.GRANT, LATEST + 2, one_use=True)]])
_single = st.lists(statements, max_size=8, unique_by=lambda each: each.version.serial).flatmap(
    lambda first: _last.map(lambda last: [*first, *last])
)
"""What one device said: it never uses a serial twice."""
_pairs = st.sampled_from([(A, B), (B, A)])


def _newest(said: list[DurableStatement], *kinds: Kind) -> Kind | None:
    about = [each for each in said if each.kind in kinds]
    return max(about, key=lambda each: each.version).kind if about else None


@given(said=_single, draw=st.data(), pair=_pairs, is_creator=st.booleans(), now=_times, expires_at=_times)
def test_p13_authority(
    *,
    said: list[DurableStatement],
    draw: st.DataObject,
    pair: tuple[RotatedDevice, RotatedDevice],
    is_creator: bool,
    now: TimeMs,
    expires_at: TimeMs,
) -> None:
    """The attacker is the hub: it gives the device back any earlier statement of its own in any order, and any facts.

    It holds M's and E's keys and all retired ones, not the device's own.
    """
    me, peer = pair
    replayed = draw.draw(st.lists(st.sampled_from(said))) if said else []
    spent = draw.draw(st.lists(st.sampled_from(said))) if said else []
    own = own_store([*said, *replayed], spent).party(me, peer, expires_at)
    own = replace(own, grants={**(own.grants or {}), C.client: party(me, C).grants[C.client]})  # type: ignore[index]
    creator, target = (me, peer) if is_creator else (peer, me)
    call = draw.draw(calls(creator, target))
    facts = {client: draw.draw(parties(client)) for client in (peer.client, *(call.members or ()))} | {me.client: own}
    decision = decide(call, facts, now)
    if _newest(said, Kind.TRUST, Kind.UNTRUST) is not Kind.TRUST:
        assert decision.reason is not None
    if call.purpose is Purpose.AUTO:
        latest = max(
            (each for each in said if each.kind is not Kind.TRUST), key=lambda each: each.version, default=None
        )
        granted = latest is not None and latest.kind is Kind.GRANT and latest not in spent
        if not granted or not NOON <= now < expires_at:
            assert decision.reason is not None


@given(_pairs, st.booleans(), st.integers(0, LASTS_MS - 1))
def test_p13_authority_says_yes_where_it_may(
    pair: tuple[RotatedDevice, RotatedDevice], is_creator: bool, later: int
) -> None:
    """No attack: trust and a grant that is in time, and the other side's facts are unknown."""
    me, peer = pair
    own = own_store([said(Kind.TRUST, 2), said(Kind.UNTRUST, 1), said(Kind.GRANT, 3)])
    facts = {
        me.client: own.party(me, peer, TimeMs(NOON + LASTS_MS)),
        peer.client: Party(peer.client, peer.fingerprint),
    }
    call = call_of(*((me, peer) if is_creator else (peer, me)))
    assert decide(call, facts, TimeMs(NOON + later)).reason is None


@given(calls(A, B), st.tuples(*[parties(B.client)] * 2), st.data(), _times)
def test_p21_a_strangers_view(call: Call, target: tuple[Party, Party], draw: st.DataObject, now: TimeMs) -> None:
    """A is the attacker's own device, with its key, and B does not trust it: the hub, here honest, decides.

    B may be anything at all, or not exist; A hears the same, and sees the same trace.
    """
    facts = {client: draw.draw(parties(client)) for client in (A.client, *(call.members or ()))}
    views = [decide(call, facts | {B.client: replace(each, pins=_without(each))}, now) for each in target]
    views.append(decide(call, facts, now))
    assert views[0] == views[1] == views[2]
    assert views[0].reason is not None


def _without(each: Party) -> dict[ClientId, Fingerprint]:
    return {client: pin for client, pin in (each.pins or {}).items() if client != A.client}


@given(_times, _times, st.integers(-DAY_MS, DAY_MS))
def test_p25_clocks_end_a_grant_by_its_givers(now: TimeMs, expires_at: TimeMs, skew: int) -> None:
    """The attacker holds no key, and sets every clock but B's: A's, and the hub's, a day ahead or behind.

    B gave the grant; A's own does not run out.
    """
    mine = own_store([said(Kind.TRUST, 1), said(Kind.GRANT, 2)]).party(B, A, expires_at)
    facts = {B.client: mine, A.client: party(A, B)}
    at_b = decide(call_of(A, B), {**facts, A.client: Party(A.client, A.fingerprint)}, now)
    assert at_b.reason == (None if NOON <= now < expires_at else Reason.GRANT_EXPIRED)
    at_hub = decide(call_of(A, B), facts, TimeMs(now + skew))
    # The hub may refuse early, and its yes does not count: the strictest wins.
    strictest = at_hub.reason or at_b.reason
    assert strictest is not None or NOON <= now < expires_at
