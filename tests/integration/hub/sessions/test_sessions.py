"""A session from its making to its end: read, repeated, left, closed, and carried over the loss of every node."""

import asyncio
import os
from contextlib import AsyncExitStack

import msgspec
import pytest
from tests.integration.hub.desk import Desk, WatchedStore
from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor, actor, age_seats, befriend, call_in, invite_and_answer

from muster_hub.audit.records import RecordKind, record
from muster_hub.node import outbox
from muster_hub.sessions import views
from muster_hub.store import keys
from muster_hub.store.scripts import script
from muster_hub.store.urls import parse
from muster_hub.store.wire import Wire
from muster_protocol.cards import Mode
from muster_protocol.exchange import JOIN_DEADLINE_MS, Answer, Leave
from muster_protocol.frames import (
    AdmissionPush,
    Admitted,
    CloseSession,
    EpochPush,
    Error,
    GetSession,
    InvitePush,
    InviteUpdatePush,
    LeavePush,
    ListSessions,
    MemberState,
    Ok,
    ResumeSession,
    SendAnswer,
    SendJoined,
    SendLeave,
    SessionKind,
    SessionsReply,
    SessionUpdatePush,
)
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.sealing import ReceiveKey
from muster_protocol.signed import read


def leave(who: Actor, session: SessionId) -> SendLeave:
    body = Leave(session=session, member=who.client, member_key=who.device.fingerprint, at=now_ms())
    return SendLeave(id=1, leave=who.device.sign(body))


async def test_making_a_session_again_makes_it_once(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    request = ann.plan()
    await ann.ask(request, Ok)
    await ann.ask(request, Ok)
    shown = await ann.show(request.session)
    assert (shown.epoch, shown.creator, [member.client for member in shown.members]) == (1, ann.client, [ann.client])
    assert (await bob.refused(request)).reason is Reason.MISMATCH
    other = ann.plan()
    assert other.session != request.session


@pytest.mark.parametrize(
    "other",
    [{"mode": Mode.SYNCHRONIZE}, {"profile": "photos"}, {"kind": SessionKind.MESH}, {"lasts_ms": 1_000}],
    ids=lambda other: next(iter(other)),
)
async def test_a_session_is_not_made_again_as_another_one(
    pair: tuple[Actor, Actor], desk: Desk, other: dict[str, object]
) -> None:
    ann, _ = pair
    request = ann.plan()
    await ann.ask(request, Ok)
    before, indexed = await ann.show(request.session), await ends_in_index(desk, ann)
    changed = msgspec.structs.replace(request, **other)
    assert (await ann.refused(changed)).reason is Reason.MISMATCH
    assert await ann.show(request.session) == before
    assert await ends_in_index(desk, ann) >= indexed  # a restriction still reaches the session
    await ann.ask(request, Ok)


async def ends_in_index(desk: Desk, who: Actor) -> int:
    """Return when its one session leaves a device's session index, in ms."""
    [_, at_ms] = await desk.store.ask(b"ZRANGE", keys.session_index(who.client), 0, -1, b"WITHSCORES")  # type: ignore[misc]
    return int(at_ms)  # type: ignore[arg-type]


async def test_a_stranger_is_shown_nothing_not_even_that_there_is_a_session(
    pair: tuple[Actor, Actor], desk: Desk
) -> None:
    ann, bob = pair
    session = await ann.create()
    there = await bob.line.ask_any(GetSession(id=1, session=session, after=0))
    none = await bob.line.ask_any(GetSession(id=1, session=SessionId("a" * 32), after=0))
    assert there == none == Error(re=1, reason=Reason.NOT_A_MEMBER)


async def test_the_same_admission_again_is_committed_once(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    await invite_and_answer(ann, bob)
    request = ann.admission()
    assert not (await ann.ask(request, Admitted)).rejected
    assert not (await ann.ask(request, Admitted)).rejected
    ann.inviting.committed(now_ms())
    await bob.join()
    await ann.take_joined()
    assert not (await ann.ask(request, Admitted)).rejected
    shown = await ann.show(ann.session)
    assert (shown.epoch, [member.state for member in shown.members]) == (2, [MemberState.JOINED] * 2)


async def test_of_two_epochs_of_one_number_the_first_counts(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await ann.create()
    await invite_and_answer(ann, bob)
    one = ann.admission()
    ann.inviting.rejected({}, now_ms())
    other = ann.admission()
    assert not (await ann.ask(one, Admitted)).rejected
    assert (await ann.refused(other)).reason is Reason.MISMATCH


async def test_members_get_the_next_epoch_with_its_key(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    session = await ann.create(kind=SessionKind.MESH)
    await call_in(ann, bob)
    await invite_and_answer(ann, dan)
    assert not (await ann.admit()).rejected
    push = await bob.line.next_push(EpochPush)
    bob.joining[session].on_epoch(push.epoch, push.sealed)
    assert bob.joining[session].epoch_key == ann.inviting.epoch_key
    shown = await bob.show(session, after=2)
    assert (shown.epochs, shown.sealed) == ((push.epoch,), push.sealed)


async def test_a_member_leaves_by_its_own_word(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    session = await ann.create()
    await call_in(ann, bob)
    request = leave(bob, session)
    await bob.ask(request, Ok)
    assert (await ann.line.next_push(LeavePush)).leave == request.leave
    await bob.ask(request, Ok)
    shown = await ann.show(session)
    assert [member.state for member in shown.members] == [MemberState.JOINED, MemberState.OUT]
    listed = await bob.ask(ListSessions(id=1), SessionsReply)
    assert listed.sessions == ()
    assert (await bob.show(session)).sealed is None


async def test_a_member_cannot_leave_for_another(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    eve = await actor(desk)
    session = await ann.create()
    await call_in(ann, bob)
    assert (await eve.refused(leave(bob, session))).reason is Reason.MISMATCH
    assert (await eve.refused(leave(eve, session))).reason is Reason.NOT_A_MEMBER


async def test_a_session_without_members_is_closed(pair: tuple[Actor, Actor]) -> None:
    ann, _ = pair
    session = await ann.create()
    await ann.ask(leave(ann, session), Ok)
    assert not (await ann.show(session)).open


async def test_a_closed_session_is_over_for_all(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    dan = await actor(desk)
    await befriend(ann, dan)
    session = await ann.create()
    await call_in(ann, bob)
    await ann.call(dan)
    await dan.line.next_push(InvitePush)
    assert (await bob.refused(CloseSession(id=1, session=session))).reason is Reason.NOT_A_MEMBER
    await ann.ask(CloseSession(id=1, session=session), Ok)
    update = await bob.line.next_push(SessionUpdatePush)
    assert (update.client, update.state) == (None, "closed")
    assert (await dan.line.next_push(InviteUpdatePush)).reason is Reason.SESSION_CLOSED
    assert not (await bob.show(session)).open
    statement = bob.joining[session].joined_statement(_receive_key(), now_ms())
    assert (await bob.refused(SendJoined(id=1, joined=statement))).reason is Reason.SESSION_CLOSED
    await ann.ask(CloseSession(id=1, session=session), Ok)


def _receive_key() -> ReceiveKey:
    return ReceiveKey.from_seed(os.urandom(96))


async def test_the_sessions_that_a_device_is_in_are_listed(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    sessions = {await ann.create() for _ in range(3)}
    await call_in(ann, bob)
    listed = await ann.ask(ListSessions(id=1), SessionsReply)
    assert {line.session for line in listed.sessions} == sessions
    listed = await bob.ask(ListSessions(id=1), SessionsReply)
    assert [(line.session, line.members) for line in listed.sessions] == [(ann.session, (ann.client, bob.client))]
    assert (ann.session, listed.more) == (listed.sessions[0].session, False)


async def test_the_list_of_sessions_is_read_page_by_page(
    pair: tuple[Actor, Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, _ = pair
    sessions = sorted([await ann.create() for _ in range(5)])
    monkeypatch.setattr(views, "MAX_SESSIONS_LISTED", 2)
    pages, after = [], None
    for _ in range(3):
        reply = await ann.ask(ListSessions(id=1, after=after), SessionsReply)
        pages.append(([line.session for line in reply.sessions], reply.more))
        after = reply.sessions[-1].session
    assert pages == [(sessions[:2], True), (sessions[2:4], True), (sessions[4:], False)]
    reply = await ann.ask(ListSessions(id=1, after=after), SessionsReply)
    assert (reply.sessions, reply.more) == ((), False)


async def test_joined_must_name_the_admission_and_an_epoch_of_the_session(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    session = await ann.create()
    await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    joining = await bob.take_admission()
    good, joining._admission = joining._admission, None
    statement = joining.joined_statement(_receive_key(), now_ms())
    assert (await bob.refused(SendJoined(id=1, joined=statement))).reason is Reason.MISMATCH
    joining._admission = good
    statement = joining.joined_statement(_receive_key(), now_ms())
    assert (await ann.refused(SendJoined(id=1, joined=statement))).reason is Reason.MISMATCH
    await bob.ask(SendJoined(id=1, joined=statement), Ok)
    await bob.ask(SendJoined(id=1, joined=statement), Ok)
    assert (await ann.show(session)).joined == (statement,)


async def test_a_new_process_asks_to_be_admitted_again(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    session = await ann.create()
    await call_in(ann, bob)
    bob.line = await desk.seat(bob.device)
    await bob.ask(ResumeSession(id=1, session=session), Ok)
    update = await ann.line.next_push(SessionUpdatePush)
    assert (update.client, update.state) == (bob.client, "resume")
    await call_in(ann, bob)
    shown = await ann.show(session)
    assert (shown.epoch, [member.state for member in shown.members]) == (3, [MemberState.JOINED] * 2)


async def test_a_creator_whose_process_is_new_asks_nobody_to_admit_it(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    session = await ann.create()
    await call_in(ann, bob)
    ann.line = await desk.seat(ann.device)
    assert (await ann.refused(ResumeSession(id=1, session=session))).reason is Reason.NOT_A_MEMBER
    assert not ann.line.waiting(SessionUpdatePush)
    await ann.ask(CloseSession(id=1, session=session), Ok)


@pytest.mark.parametrize("reason", [Reason.CANNOT_OPEN, Reason.NOT_TRUSTED, Reason.GRANT_EXPIRED, Reason.DECLINED])
async def test_a_device_that_refuses_its_admission_gives_its_seat_back(
    pair: tuple[Actor, Actor], reason: Reason
) -> None:
    ann, bob = pair
    session = await ann.create()
    (joining,) = await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    await bob.line.next_push(AdmissionPush)
    refusal = joining.refuse(reason, now_ms())
    await bob.ask(SendAnswer(id=1, answer=refusal), Ok)
    await bob.ask(SendAnswer(id=1, answer=refusal), Ok)
    await ann.take_answer()
    target = ann.inviting.targets[bob.client]
    assert (target.reason, target.sayer) == (reason, Sayer.PEER)
    [_, member] = (await ann.show(session)).members
    assert (member.state, member.reason) == (MemberState.OUT, reason)


async def test_an_admission_is_refused_for_a_reason_of_a_device_only(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    session = await ann.create()
    (joining,) = await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    assert joining.answer is not None
    accepted = read(joining.answer, Answer)
    values = {name: getattr(accepted, name) for name in accepted.__struct_fields__}
    told = bob.device.sign(Answer(**values | {"receive_key": None, "reason": Reason.STORE_UNAVAILABLE}))
    assert (await bob.refused(SendAnswer(id=1, answer=told))).reason is Reason.MALFORMED
    assert (await ann.show(session)).members[1].state is MemberState.SEATED


@pytest.mark.parametrize("joins", [True, False])
async def test_a_seat_without_joined_is_taken_back_after_its_time(
    pair: tuple[Actor, Actor], desks: dict[str, Desk], joins: bool
) -> None:
    ann, bob = pair
    session = await ann.create()
    await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    if joins:
        await bob.join()
    early_ms, rest_ms = JOIN_DEADLINE_MS - 5_000, 10_000
    for by_ms in (early_ms, rest_ms, 0):
        await age_seats(desks["one"], session, by_ms)
        for desk in desks.values():
            await outbox.run_once(desk.hub)
        if by_ms == early_ms:
            state = (await ann.show(session)).members[1].state
            assert state is (MemberState.JOINED if joins else MemberState.SEATED)
    [_, member] = (await ann.show(session)).members
    if joins:
        assert member.state is MemberState.JOINED
        return
    assert (member.state, member.reason) == (MemberState.OUT, Reason.JOIN_FAILED)
    update = await ann.line.next_push(SessionUpdatePush)
    assert (update.client, update.reason) == (bob.client, Reason.JOIN_FAILED)
    assert not ann.line.waiting(SessionUpdatePush)


async def test_the_deadline_of_an_earlier_seat_does_not_end_the_new_one(
    pair: tuple[Actor, Actor], desks: dict[str, Desk]
) -> None:
    ann, bob = pair
    session = await ann.create()
    await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    await bob.line.next_push(AdmissionPush)
    await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    await bob.join()
    await age_seats(desks["one"], session, 2 * JOIN_DEADLINE_MS)
    for desk in desks.values():
        await outbox.run_once(desk.hub)
    assert [member.state for member in (await ann.show(session)).members] == [MemberState.JOINED] * 2


async def test_a_session_survives_the_loss_of_every_node(pair: tuple[Actor, Actor], store_url: str) -> None:
    ann, bob = pair
    session = await ann.create()
    await call_in(ann, bob)
    async with WatchedStore.open(store_url) as store, asyncio.TaskGroup() as group:
        assert isinstance(store, WatchedStore)
        third = Desk(store, group, "three", {})
        ann.line, bob.line = await third.seat(ann.device), await third.seat(bob.device)
        shown = await bob.show(session)
        assert [member.state for member in shown.members] == [MemberState.JOINED] * 2
        await call_in(ann, bob)


async def test_every_key_of_a_session_ends_with_it(pair: tuple[Actor, Actor], store_url: str) -> None:
    ann, bob = pair
    session = await ann.create()
    await call_in(ann, bob)
    await bob.say(bob.device.grant(ann.device))
    wire = Wire(parse(store_url))
    await wire.connect()
    held = [
        key(session)
        for key in (keys.session, keys.roster, keys.minimum_versions, keys.epochs, keys.sealed, keys.invite_outcomes)
    ]
    held += [keys.session_index(ann.client), keys.session_index(bob.client)]
    lasts = [await wire.ask(b"PTTL", key) for key in held]
    await wire.close()
    assert all(isinstance(ms, int) and 0 < ms <= 25 * 3_600_000 for ms in lasts)


async def test_the_outbox_is_trimmed_behind_its_cursor_only(desks: dict[str, Desk], store_url: str) -> None:
    desk = desks["one"]
    outbox_key, drained_key = keys.outbox(7), keys.drained(7)

    async def add(count: int) -> None:
        row = record(RecordKind.SESSION_CREATED, actor=ClientId("a device"))
        for _ in range(count):
            await desk.store.run(script("record"), [outbox_key], [row])

    async with AsyncExitStack() as stack:
        wire = Wire(parse(store_url))
        await wire.connect()
        stack.push_async_callback(wire.close)
        await add(990)
        for each in desks.values():
            await outbox.run_once(each.hub, min_age_ms=0)
        await add(600)
        newest = await wire.ask(b"XREVRANGE", outbox_key, b"+", b"-", b"COUNT", 1000)
        # Told again of what was drained: the 600 that wait yet take no drained one's place.
        cursor = await wire.ask(b"HGET", drained_key, b"effects")
        assert isinstance(cursor, bytes)
        await desk.store.run(script("drained"), [outbox_key, drained_key], [b"effects", cursor])
        assert await wire.ask(b"XLEN", outbox_key) == 1590
        for each in desks.values():
            await outbox.run_once(each.hub, min_age_ms=0)
        left = await wire.ask(b"XLEN", outbox_key)
        assert isinstance(left, int)
        assert 1000 <= left < 1256
        assert await wire.ask(b"XREVRANGE", outbox_key, b"+", b"-", b"COUNT", 1000) == newest
