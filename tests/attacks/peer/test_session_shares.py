"""Peers that use up the places which a device has for sessions: those of another device, or their own."""

import os
from typing import Any

import pytest
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import now_ms
from tests.integration.hub.sessions.test_sessions import leave
from tests.integration.hub.stage import Actor, actor, befriend, call_in, invite_and_answer

from muster_hub.rate_limits.spending import Payer
from muster_hub.sessions import past_sessions
from muster_hub.sessions.holds import HeldFor, HoldRequest, hold
from muster_hub.sessions.views import read_session_index
from muster_hub.store import keys
from muster_protocol.frames import CloseSession, InviteResult, Ok, SessionKind
from muster_protocol.ids import Seed, TimeMs, session_id
from muster_protocol.reasons import Reason


async def hold_for_many(desk: Desk, creator: Actor, victim: Actor, sessions: int = keys.MAX_INDEXED_SESSIONS) -> None:
    """Have a device held for further sessions of a creator, as each join or new session would."""
    payer, peers = Payer(creator.client, None), (creator.client,)
    ends_at = TimeMs(now_ms() + 3_600_000)
    for _ in range(sessions):
        session = session_id(creator.client, Seed(os.urandom(16)))
        held_for = HeldFor(session, ends_at, creator.client, creator.device.fingerprint)
        await hold(desk.hub, payer, held_for, [HoldRequest(victim.client, peers, {})])


async def answer_with_one_shots(ann: Actor, bob: Actor, dan: Actor) -> None:
    """Have both accept the call of one creator, and dan by grants for one use."""
    await ann.say(ann.device.grant(dan.device, once=True))
    await dan.say(dan.device.grant(ann.device, once=True))
    await invite_and_answer(ann, bob, dan)


async def held_grants(desk: Desk, *devices: Actor) -> list[object]:
    """Return how many grants for one use are held or spent, of each device."""
    return [await desk.store.ask(b"HLEN", keys.uses(each.client)) for each in devices]


async def test_one_creator_cannot_take_all_places_of_a_device(desk: Desk) -> None:
    bad, friend, victim = [await actor(desk) for _ in range(3)]
    await befriend(bad, victim)
    await befriend(friend, victim)
    first = await bad.create()
    await call_in(bad, victim)
    await hold_for_many(desk, bad, victim)
    await bad.create()
    await invite_and_answer(bad, victim)
    assert (await bad.admit()).rejected == (InviteResult(victim.client, Reason.OVERLOADED),)
    await victim.create()
    await call_in(victim, friend)
    await friend.create()
    await call_in(friend, victim)
    # A session that is closed gives its place back, to its creator too.
    await bad.ask(CloseSession(id=1, session=first), Ok)
    await bad.create()
    await call_in(bad, victim)


@pytest.mark.parametrize("way", ["leave", "untrust"])
async def test_a_session_that_a_device_is_out_of_takes_no_place(desk: Desk, way: str) -> None:
    bad, victim = [await actor(desk) for _ in range(2)]
    await befriend(bad, victim)
    session = await bad.create()
    await call_in(bad, victim)
    if way == "leave":
        await victim.ask(leave(victim, session), Ok)
    else:
        device = victim.device
        await victim.say(device.untrust(bad.device), device.trust(bad.device), device.grant(bad.device))
    await hold_for_many(desk, bad, victim, keys.MAX_INDEXED_PER_CREATOR - 1)
    await bad.create()
    await call_in(bad, victim)
    await bad.create()
    await invite_and_answer(bad, victim)
    assert (await bad.admit()).rejected == (InviteResult(victim.client, Reason.OVERLOADED),)


async def test_no_session_that_a_device_comes_back_into_is_lost_to_its_restrictions(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, victim = [await actor(desk) for _ in range(2)]
    await befriend(bad, victim)
    session = await bad.create()
    await call_in(bad, victim)
    await victim.ask(leave(victim, session), Ok)
    read_past, payer = past_sessions._past, Payer(victim.client, None)

    async def called_back_meanwhile(*asked: Any) -> list[str]:
        past = await read_past(*asked)
        await call_in(bad, victim)
        return past

    with monkeypatch.context() as patch:
        patch.setattr(past_sessions, "_past", called_back_meanwhile)
        assert not await past_sessions.drop_past(desk.hub, payer, victim.client)
    assert await read_session_index(desk.hub, victim.client) == [session]
    await victim.ask(leave(victim, session), Ok)
    assert await past_sessions.drop_past(desk.hub, payer, victim.client)
    assert await read_session_index(desk.hub, victim.client) == []


async def test_a_called_device_without_a_place_keeps_no_other_out(desk: Desk) -> None:
    ann, bad, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bad, dan)
    await ann.create()
    await answer_with_one_shots(ann, bad, dan)
    await hold_for_many(desk, bad, bad)
    assert (await ann.admit()).rejected == (InviteResult(bad.client, Reason.OVERLOADED),)
    assert await held_grants(desk, ann, dan) == [0, 0]
    assert not (await ann.admit()).rejected
    await dan.join()


async def test_a_member_without_a_place_leaves_no_grant_held(desk: Desk) -> None:
    """It is held because a newcomer of the mesh must trust it, and an index that was lost has it no more."""
    ann, bad, dan, eve = [await actor(desk) for _ in range(4)]
    await befriend(ann, bad, dan, eve)
    await ann.create(kind=SessionKind.MESH)
    await call_in(ann, bad)
    await desk.store.ask(b"DEL", keys.session_index(bad.client))
    await hold_for_many(desk, bad, bad)
    await answer_with_one_shots(ann, eve, dan)
    assert (await ann.refused(ann.admission())).reason is Reason.OVERLOADED
    assert await held_grants(desk, ann, dan) == [0, 0]


async def test_a_creator_that_is_superseded_leaves_no_grant_held(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    await ann.create()
    await answer_with_one_shots(ann, bob, dan)

    async def connect_again() -> None:
        await desk.seat(ann.device)

    desk.store.before["hold"] = connect_again
    assert (await ann.refused(ann.admission())).reason is Reason.SUPERSEDED
    assert await held_grants(desk, ann, dan) == [0, 0]
