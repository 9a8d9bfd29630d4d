"""Which devices a join holds, and which newcomers it refuses."""

from typing import cast

import pytest
from msgspec.structs import replace
from tests.unit.hub.sessions.states import ANN, BOB, CAT, DAN, NOW, SESSION, facts_of, grant, key_of, member, session_of

from muster_hub.routing.caller import Caller
from muster_hub.sessions.epochs import Newcomer, Proposal
from muster_hub.sessions.facts import DeviceFacts, GrantUse
from muster_hub.sessions.join_decision import parties_of, rejected
from muster_protocol.cards import Mode, ProtocolRange, VerifiedCard
from muster_protocol.connect import Role
from muster_protocol.epochs import Epoch, EpochMember, in_order
from muster_protocol.exchange import Admission
from muster_protocol.frames import MAX_MEMBERS, InviteResult, Purpose, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, Hash, InstanceId, InviteId, Signature, TimeMs
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

UNREAD = Signed(b"", key_of(ANN), Signature(bytes(64)))
CALLER = Caller(ANN, key_of(ANN), (key_of(ANN),), 7, Role.AGENT, InstanceId(bytes(16)), cast("VerifiedCard", None))
MESH = session_of(member(BOB))
STAR = session_of(member(BOB), kind=SessionKind.STAR)
AUTO = dict.fromkeys((CAT, DAN), Purpose.AUTO)


def invite_of(client: ClientId) -> InviteId:
    return InviteId(client[:16].encode())


def newcomer(client: ClientId) -> Newcomer:
    body = Admission(
        session=SESSION,
        invite=invite_of(client),
        sender=ANN,
        recipient=client,
        sender_key=key_of(ANN),
        recipient_key=key_of(client),
        purpose=Purpose.ASK,  # what an admission says of it does not count
        mode=Mode.JOIN,
        profile=None,
        protocol=ProtocolRange(1, 1),
        at=TimeMs(1),
        invite_hash=Hash(bytes(32)),
        answer_hash=Hash(bytes(32)),
        epoch=UNREAD,
        sealed=bytes(80),
    )
    return Newcomer(UNREAD, body, Hash(bytes(32)))


def proposal(*newcomers: Newcomer, kept: tuple[ClientId, ...] = (ANN, BOB)) -> Proposal:
    clients = (*kept, *(each.client for each in newcomers))
    epoch = Epoch(
        session=SESSION,
        number=2,
        previous=Hash(bytes(32)),
        members=in_order(EpochMember(client, key_of(client)) for client in clients),
        commitment=Hash(bytes(32)),
        at=TimeMs(1),
    )
    return Proposal(
        epoch, UNREAD, Hash(bytes(32)), {each.client: each for each in newcomers}, {c: key_of(c) for c in kept}, {}
    )


def held(*clients: ClientId) -> dict[ClientId, DeviceFacts]:
    """Return the facts of devices that all trust and grant each other."""
    return {client: facts_of(client, clients) for client in clients}


def test_a_mesh_holds_the_caller_the_newcomers_and_each_member_that_they_must_trust() -> None:
    wanted = {each.client: each for each in parties_of(CALLER, MESH, proposal(newcomer(CAT)), AUTO)}
    assert list(wanted) == [ANN, CAT, BOB]
    assert wanted[CAT].peers == (ANN, BOB)
    assert wanted[BOB].peers == (CAT,)
    assert (wanted[ANN].peers, wanted[ANN].connection) == ((CAT,), 7), "only the caller must be on this connection"
    assert {each.connection for each in (wanted[BOB], wanted[CAT])} == {0}


def test_a_star_holds_no_member_but_its_creator() -> None:
    wanted = {each.client: each.peers for each in parties_of(CALLER, STAR, proposal(newcomer(CAT)), AUTO)}
    assert wanted == {ANN: (CAT,), CAT: (ANN,)}


def test_two_newcomers_are_held_once_each_and_for_each_other() -> None:
    wanted = parties_of(CALLER, MESH, proposal(newcomer(CAT), newcomer(DAN)), AUTO)
    assert [(each.client, each.peers) for each in wanted] == [
        (ANN, (CAT, DAN)),
        (CAT, (ANN, BOB, DAN)),
        (DAN, (ANN, BOB, CAT)),
        (BOB, (CAT, DAN)),
    ]


def test_only_automatic_invites_use_a_grant_at_both_ends() -> None:
    wanted = {
        each.client: each.invites
        for each in parties_of(CALLER, MESH, proposal(newcomer(CAT), newcomer(DAN)), AUTO | {DAN: Purpose.ASK})
    }
    assert wanted == {ANN: {CAT: invite_of(CAT)}, CAT: {ANN: invite_of(CAT)}, DAN: {}, BOB: {}}


def test_a_newcomer_that_passes_counts_as_a_member_for_the_next_one() -> None:
    known = held(ANN, BOB, CAT, DAN)
    known[DAN] = facts_of(DAN, (ANN, BOB))
    both = proposal(newcomer(CAT), newcomer(DAN))
    assert rejected(MESH, both, AUTO, known, NOW) == (InviteResult(DAN, Reason.NOT_MUTUALLY_TRUSTED),)
    known[CAT] = facts_of(CAT, ())
    assert rejected(MESH, both, AUTO, known, NOW) == (InviteResult(CAT, Reason.NOT_MUTUALLY_TRUSTED),), (
        "and one that fails does not"
    )


def test_a_grant_held_for_this_join_is_not_used_and_one_for_another_is() -> None:
    known = held(ANN, CAT, BOB)
    for invite, refused in ((invite_of(CAT), ()), (invite_of(DAN), (InviteResult(CAT, Reason.GRANT_USED),))):
        use = GrantUse(SESSION, invite, spent=False, since=NOW, shared=False)
        known[CAT] = replace(known[CAT], given={ANN: replace(grant(ANN), use=use), BOB: grant(BOB)})
        assert rejected(MESH, proposal(newcomer(CAT)), AUTO, known, NOW) == refused


def test_a_grant_ends_at_its_very_millisecond() -> None:
    known = held(ANN, BOB, CAT)
    known[CAT] = replace(known[CAT], given={ANN: grant(ANN, expires_at=NOW)})
    asked = proposal(newcomer(CAT))
    assert rejected(MESH, asked, AUTO, known, TimeMs(NOW - 1)) == ()
    assert rejected(MESH, asked, AUTO, known, NOW) == (InviteResult(CAT, Reason.GRANT_EXPIRED),)


@pytest.mark.parametrize("rotated", [ANN, BOB, CAT])
def test_a_key_that_was_rotated_since_the_epoch_was_made_refuses_the_newcomer(rotated: ClientId) -> None:
    clients = (ANN, BOB, CAT)
    known = {client: facts_of(client, clients, {rotated: Fingerprint(bytes(32))}) for client in clients}
    assert rejected(MESH, proposal(newcomer(CAT)), AUTO, known, NOW) == (InviteResult(CAT, Reason.KEY_MISMATCH),)


def test_offline_newcomers_are_admitted_since_the_admission_waits_for_them() -> None:
    known = held(ANN, BOB, CAT)
    assert all(facts.agent is None for facts in known.values())
    assert rejected(MESH, proposal(newcomer(CAT)), AUTO, known, NOW) == ()


def test_newcomers_beyond_the_largest_session_are_refused() -> None:
    kept = (ANN, *(ClientId(f"{number:032}") for number in range(MAX_MEMBERS - 2)))
    known = held(*kept, CAT, DAN)
    one, two = proposal(newcomer(CAT), kept=kept), proposal(newcomer(CAT), newcomer(DAN), kept=kept)
    assert rejected(STAR, one, AUTO, known, NOW) == ()
    assert {result.reason for result in rejected(STAR, two, AUTO, known, NOW)} == {Reason.TOO_MANY_TARGETS}
