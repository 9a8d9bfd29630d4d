"""A connection whose place another one took acts no more; a lost notify and a late call do no harm."""

import asyncio

import pytest
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import now_ms
from tests.integration.hub.sessions.test_sessions import _receive_key, leave
from tests.integration.hub.stage import Actor, actor, befriend, invite_and_answer

from muster_hub.node import outbox
from muster_hub.store import keys
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_hub.store.scripts import script
from muster_protocol.frames import (
    Ack,
    CancelInvite,
    CloseSession,
    InvitePush,
    InviteResults,
    Request,
    SendAnswer,
    SendInvites,
    SendJoined,
)
from muster_protocol.ids import InviteId
from muster_protocol.reasons import Reason


async def test_a_ghost_asks_for_nothing(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    session = await ann.create()
    (joining,) = await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    await bob.take_admission()
    answer = joining.answer
    assert answer is not None
    later = ann.plan()
    requests: list[tuple[Actor, Request]] = [
        (ann, later),
        (ann, CancelInvite(id=1, session=session, client=bob.client, invite=InviteId(bytes(16)))),
        (ann, CloseSession(id=1, session=session)),
        (bob, SendAnswer(id=1, answer=answer)),
        (bob, SendJoined(id=1, joined=joining.joined_statement(_receive_key(), now_ms()))),
        (bob, leave(bob, session)),
        (bob, Ack(id=1, pushes=("x",))),
    ]
    await desk.seat(ann.device)
    await desk.seat(bob.device)
    for who, request in requests:
        assert (await who.refused(request)).reason is Reason.SUPERSEDED


async def test_a_ghost_admits_no_device(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await ann.create()
    await invite_and_answer(ann, bob)
    request = ann.admission()
    await desk.seat(ann.device)
    assert (await ann.refused(request)).reason is Reason.SUPERSEDED


async def test_a_lost_notification_is_made_good_by_the_pass(desks: dict[str, Desk]) -> None:
    ann, bob = await actor(desks["one"]), await actor(desks["two"])
    await befriend(ann, bob)
    await ann.create()
    two = desks.pop("two")  # the bus does not reach it
    await ann.call(bob)
    assert not bob.line.waiting(InvitePush)
    desks["two"] = two
    for desk in desks.values():
        await outbox.run_once(desk.hub, min_age_ms=0)
    await bob.line.next_push(InvitePush)


async def test_a_pass_leaves_alone_what_was_acknowledged(desks: dict[str, Desk]) -> None:
    ann, bob = await actor(desks["one"]), await actor(desks["one"])
    await befriend(ann, bob)
    await ann.create()
    await ann.call(bob)
    await bob.take_invite()
    for desk in desks.values():
        desk.store.calls.clear()
        await outbox.run_once(desk.hub, min_age_ms=0)
    assert "inbox_put" not in [*desks["one"].store.calls, *desks["two"].store.calls]
    assert not bob.line.waiting(InvitePush)


@pytest.mark.parametrize("lost", ["session_state", "facts", "invite_live", "inbox_put"])
async def test_a_request_without_an_answer_is_sent_again_and_has_one_effect(
    pair: tuple[Actor, Actor], desk: Desk, lost: str
) -> None:
    ann, bob = pair
    await ann.create()
    request = SendInvites(id=1, session=ann.session, invites=(ann.invite(bob),))

    async def cut_off() -> None:
        raise StoreUnavailable(StoreCause.LOST, outcome_unknown=True)

    desk.store.before[lost] = cut_off
    assert (await ann.refused(request)).reason is Reason.STORE_UNAVAILABLE
    assert [each.reason for each in (await ann.ask(request, InviteResults)).results] == [None]
    await bob.line.next_push(InvitePush)
    assert not bob.line.waiting(InvitePush)


@pytest.mark.parametrize("name", ["hold", "settle", "session_create", "invite_live", "commit", "joined", "cut"])
async def test_a_call_after_its_time_does_nothing(desk: Desk, name: str) -> None:
    late = await desk.store.now_ms() - 1_000
    every = [keys.tag(1) + f":k{number}".encode() for number in range(8)]
    with pytest.raises(StoreUnavailable) as caught:
        await desk.store.run(script(name), every, [b"1"] * 12, not_after_ms=late)
    assert caught.value.cause is StoreCause.LATE


async def test_two_passes_at_once_do_no_harm(desks: dict[str, Desk]) -> None:
    ann, bob = await actor(desks["one"]), await actor(desks["one"])
    await befriend(ann, bob)
    await ann.create()
    await ann.call(bob)
    desks["two"].nodes.lost.add("one")
    await asyncio.gather(*(outbox.run_once(desk.hub, min_age_ms=0) for desk in desks.values()))
    await bob.take_invite()
