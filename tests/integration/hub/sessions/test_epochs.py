"""Changes of members: who may make an epoch, and what the hub holds it against."""

import os

import pytest
from tests.integration.hub.desk import Desk, DeskSeat
from tests.integration.hub.device import now_ms
from tests.integration.hub.sessions.test_sessions import leave
from tests.integration.hub.stage import Actor, actor, befriend, call_in

from muster_hub.node import outbox
from muster_protocol.epochs import Epoch, EpochMember, epoch_hash, in_order
from muster_protocol.frames import (
    Admit,
    Admitted,
    Departure,
    EpochPush,
    MemberState,
    Ok,
    SealedFor,
    SessionKind,
    SessionUpdatePush,
)
from muster_protocol.ids import Hash
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.sealing import SEALED_BYTES
from muster_protocol.signed import Signed


async def three(desk: Desk) -> tuple[Actor, Actor, Actor]:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    await ann.create()
    await call_in(ann, bob, dan)
    return ann, bob, dan


async def next_epoch(maker: Actor, session_of: Actor, *members: Actor, **changes: object) -> Admit:
    """Make an epoch by hand; no device can open the keys in it."""
    shown = await maker.show(session_of.session)
    body = {
        "session": session_of.session,
        "number": shown.epoch + 1,
        "previous": epoch_hash(shown.epochs[-1]),
        "members": in_order(EpochMember(member.client, member.device.fingerprint) for member in members),
        "commitment": Hash(os.urandom(32)),
        "at": now_ms(),
    } | {name: value for name, value in changes.items() if name in Epoch.__struct_fields__}
    sealed = tuple(SealedFor(member.client, bytes(SEALED_BYTES)) for member in members if member is not maker)
    return Admit(
        id=1,
        session=session_of.session,
        epoch=maker.device.sign(Epoch(**body)),  # type: ignore[arg-type]
        sealed=changes.get("sealed", sealed),  # type: ignore[arg-type]
        admissions=(),
    )


async def test_the_creator_takes_a_member_out(desk: Desk) -> None:
    ann, bob, dan = await three(desk)
    assert not (await ann.ask(await next_epoch(ann, ann, ann, dan), Admitted)).rejected
    states = {member.client: member.state for member in (await ann.show(ann.session)).members}
    assert states == {ann.client: MemberState.JOINED, bob.client: MemberState.OUT, dan.client: MemberState.JOINED}
    update = await bob.line.next_push(SessionUpdatePush)
    assert (update.client, update.state) == (bob.client, MemberState.OUT)
    assert (await dan.line.next_push(EpochPush)).sealed == bytes(SEALED_BYTES)
    assert not bob.line.waiting(EpochPush)
    assert (await bob.refused(await next_epoch(bob, ann, ann, bob, dan))).reason is Reason.NOT_A_MEMBER


async def test_a_member_that_left_and_is_admitted_again_is_in_the_next_epoch_for_all(desk: Desk) -> None:
    ann, bob, dan = await three(desk)
    before = bob.joining[ann.session].epoch.epoch.number
    left = leave(bob, ann.session)
    await bob.ask(left, Ok)
    ann.inviting.on_departure(Kind.LEAVE, left.leave, bob.client)
    await call_in(ann, bob)
    push = await dan.line.next_push(EpochPush)
    followed = dan.joining[ann.session].on_epoch(push.epoch, push.sealed)
    assert followed.epoch.number == before + 1
    assert bob.client in followed.epoch.clients
    assert bob.joining[ann.session].epoch.hash == followed.hash
    assert bob.joining[ann.session].epoch_key == dan.joining[ann.session].epoch_key
    states = {member.client: member.state for member in (await dan.show(ann.session)).members}
    assert states == dict.fromkeys((ann.client, bob.client, dan.client), MemberState.JOINED)


async def test_a_member_who_is_out_stands_in_the_way_of_an_epoch(desk: Desk) -> None:
    ann, bob, dan = await three(desk)
    await bob.say(bob.device.untrust(ann.device))
    rejected = (await ann.ask(await next_epoch(ann, ann, ann, bob, dan), Admitted)).rejected
    assert [(each.client, each.reason) for each in rejected] == [(bob.client, Reason.NOT_A_MEMBER)]
    assert not (await ann.ask(await next_epoch(ann, ann, ann, dan), Admitted)).rejected


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (Reason.MISMATCH, {"number": 2}),
        (Reason.MISMATCH, {"previous": Hash(bytes(32))}),
        (Reason.MISMATCH, {"session": "a" * 32}),
        (Reason.MISMATCH, {"sealed": ()}),
        (Reason.MALFORMED, {"descending": True}),
    ],
    ids=str,
)
async def test_an_epoch_must_follow_and_name_all(desk: Desk, reason: Reason, changes: dict[str, object]) -> None:
    ann, bob, dan = await three(desk)
    if changes.pop("descending", False):
        members = in_order(EpochMember(each.client, each.device.fingerprint) for each in (ann, bob, dan))
        changes["members"] = members[::-1]
    request = await next_epoch(ann, ann, ann, bob, dan, **changes)
    assert (await ann.refused(request)).reason is reason


async def test_no_member_makes_an_epoch(desk: Desk) -> None:
    ann, bob, dan = await three(desk)
    for members in ((ann, bob, dan), (ann, bob), (bob, dan)):
        assert (await bob.refused(await next_epoch(bob, ann, *members))).reason is Reason.NOT_A_MEMBER
    assert (await ann.show(ann.session)).epoch == 2
    assert not dan.line.waiting(EpochPush)


async def test_no_member_makes_an_epoch_after_the_creator_left(desk: Desk) -> None:
    ann, bob, dan = await three(desk)
    await ann.ask(leave(ann, ann.session), Ok)
    assert (await bob.refused(await next_epoch(bob, ann, bob, dan))).reason is Reason.NOT_A_MEMBER


async def test_an_epoch_without_an_invite_is_refused(desk: Desk) -> None:
    ann, bob, dan = await three(desk)
    eve = await actor(desk)
    rejected = (await ann.ask(await next_epoch(ann, ann, ann, bob, dan, eve), Admitted)).rejected
    assert [(each.client, each.reason) for each in rejected] == [(eve.client, Reason.NOT_A_MEMBER)]


async def test_epochs_come_in_pages(desk: Desk) -> None:
    ann, bob, dan = await three(desk)
    for _ in range(20):
        assert not (await ann.ask(await next_epoch_after(ann, ann, bob, dan), Admitted)).rejected
    first = await bob.show(ann.session, after=0)
    assert (first.epoch, len(first.epochs)) == (22, 16)
    rest = await bob.show(ann.session, after=16)
    assert len(rest.epochs) == 6


async def test_numbers_of_epochs_may_be_left_out(desk: Desk) -> None:
    """They are those of epochs that the hub refused, and its members may ask behind such a number."""
    ann, bob, dan = await three(desk)
    made = (await bob.show(ann.session)).epochs
    for number in (5, 9):
        request = await next_epoch(ann, ann, ann, *((bob, dan) if number == 5 else (dan,)), number=number)
        assert not (await ann.ask(request, Admitted)).rejected
        made += (request.epoch,)
    for after, shown in ((0, made), (1, made[1:]), (2, made[2:]), (4, made[2:]), (5, made[3:]), (8, made[3:]), (9, ())):
        assert (await dan.show(ann.session, after=after)).epochs == shown
    assert [(await bob.show(ann.session, after=after)).epochs for after in (2, 4, 5)] == [made[2:3], made[2:3], ()]


async def next_epoch_after(maker: Actor, *members: Actor) -> Admit:
    """Make the epoch behind the newest, however many there are."""
    number = (await maker.show(maker.session)).epoch
    newest = (await maker.show(maker.session, after=number - 1)).epochs[-1]
    return await next_epoch(maker, maker, *members, number=number + 1, previous=epoch_hash(newest))


async def by_leaving(bob: Actor, ann: Actor, _: Actor) -> tuple[Kind, Signed]:
    left = leave(bob, ann.session)
    await bob.ask(left, Ok)
    return Kind.LEAVE, left.leave


async def by_untrusting_the_creator(bob: Actor, ann: Actor, _: Actor) -> tuple[Kind, Signed]:
    kind, signed = bob.device.untrust(ann.device)
    await bob.say((kind, signed))
    return Kind.UNTRUST, signed


async def by_untrusting_a_member(bob: Actor, _: Actor, dan: Actor) -> tuple[Kind, Signed]:
    kind, signed = bob.device.untrust(dan.device)
    await bob.say((kind, signed))
    return Kind.UNTRUST, signed


async def by_changing_its_key(bob: Actor, _: Actor, __: Actor) -> tuple[Kind, Signed]:
    bob.device.rotate()
    assert isinstance(bob.line, DeskSeat)
    bob.line = await bob.line.desk.seat(bob.device)
    for each in bob.line.desk.all:
        await outbox.run_once(each.hub, min_age_ms=0)
    return Kind.CARD, bob.line.caller.card.signed


@pytest.mark.parametrize("goes", [by_leaving, by_untrusting_the_creator, by_untrusting_a_member, by_changing_its_key])
async def test_the_creator_is_shown_the_statement_by_which_a_member_went(desk: Desk, goes) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    await ann.create(kind=SessionKind.MESH)
    await call_in(ann, bob, dan)
    assert (await ann.show(ann.session)).departures == ()
    kind, statement = await goes(bob, ann, dan)
    shown = (await ann.show(ann.session)).departures
    assert shown == (Departure(bob.client, kind, statement),)
    assert (await dan.show(ann.session)).departures == (await bob.show(ann.session)).departures == ()
    ann.inviting.on_departure(kind, statement, bob.client)
    eve = await actor(desk)
    await befriend(ann, dan, eve)
    await call_in(ann, eve)
    assert (await ann.show(ann.session)).departures == (), "the newest epoch is without it"


async def test_a_statement_of_an_earlier_membership_is_not_shown(desk: Desk) -> None:
    ann, bob, _ = await three(desk)
    _, left = await by_leaving(bob, ann, bob)
    ann.inviting.on_departure(Kind.LEAVE, left, bob.client)
    await call_in(ann, bob)
    assert (await ann.show(ann.session)).departures == ()
    await bob.say(bob.device.untrust(ann.device))
    assert [each.kind for each in (await ann.show(ann.session)).departures] == [Kind.UNTRUST]
