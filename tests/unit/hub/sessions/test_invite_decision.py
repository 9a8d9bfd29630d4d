"""Which invites of one request the hub refuses."""

import pytest
from tests.unit.hub.sessions.states import ANN, BOB, CAT, DAN, EVE, NOW, SESSION, facts_of, key_of, member, session_of

from muster_hub.sessions.invite_decision import members_to_trust, refusals
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.decision import Party
from muster_protocol.exchange import Invite
from muster_protocol.frames import MAX_MEMBERS, MemberState, Purpose, SessionKind
from muster_protocol.ids import ClientId, InviteId, Seed, TimeMs
from muster_protocol.reasons import Reason

ALL = (ANN, BOB, CAT, DAN, EVE)


def invite(target: ClientId, purpose: Purpose = Purpose.AUTO) -> Invite:
    return Invite(
        session=SESSION,
        invite=InviteId(target[:16].encode()),
        sender=ANN,
        recipient=target,
        sender_key=key_of(ANN),
        recipient_key=key_of(target),
        purpose=purpose,
        mode=Mode.JOIN,
        profile=None,
        protocol=ProtocolRange(1, 1),
        at=TimeMs(1),
        kind=SessionKind.MESH,
        seed=Seed(bytes(16)),
        expires_at=TimeMs(NOW + 1),
    )


def parties(*clients: ClientId, online: bool = True) -> dict[ClientId, Party]:
    return {client: facts_of(client, ALL).party(online=online) for client in clients}


def test_each_invite_is_refused_for_a_reason_of_its_own() -> None:
    known = parties(ANN, BOB, DAN)
    known[CAT] = facts_of(CAT, (ANN,)).party(online=True)
    known[EVE] = facts_of(EVE, ALL).party(online=False)
    state = session_of(member(BOB))
    invites = [invite(CAT), invite(DAN), invite(EVE)]
    assert refusals(state, invites, known, NOW) == {0: Reason.NOT_MUTUALLY_TRUSTED, 2: Reason.OFFLINE}


def test_one_place_left_takes_one_target_and_refuses_two() -> None:
    others = [ClientId(f"{number:032}") for number in range(MAX_MEMBERS - 2)]
    full = [member(client) for client in others]
    state = session_of(*full, kind=SessionKind.STAR)
    known = parties(ANN, BOB, CAT)
    assert refusals(state, [invite(BOB)], known, NOW) == {}
    assert refusals(state, [invite(BOB), invite(CAT)], known, NOW) == dict.fromkeys((0, 1), Reason.TOO_MANY_TARGETS)


def test_a_full_session_refuses_every_target_without_a_look_at_it() -> None:
    others = [ClientId(f"{number:032}") for number in range(MAX_MEMBERS - 1)]
    state = session_of(*(member(client) for client in others))
    assert refusals(state, [invite(BOB), invite(CAT)], {}, NOW) == dict.fromkeys((0, 1), Reason.SESSION_FULL)
    assert refusals(state, [invite(others[0])], parties(ANN, *others), NOW) != {0: Reason.SESSION_FULL}


def test_a_member_that_is_called_again_takes_no_second_place() -> None:
    state = session_of(member(BOB))
    assert refusals(state, [invite(BOB)], parties(ANN, BOB), NOW) == {}


@pytest.mark.parametrize(("kind", "trusted"), [(SessionKind.MESH, (BOB,)), (SessionKind.STAR, ())])
def test_a_target_must_trust_the_other_members_of_a_mesh(kind: SessionKind, trusted: tuple[ClientId, ...]) -> None:
    out = member(EVE, MemberState.OUT, last=5)
    state = session_of(member(BOB), member(CAT), out, kind=kind)
    assert members_to_trust(state, DAN, (CAT, DAN)) == trusted, "neither the creator, a target, nor one who is out"
