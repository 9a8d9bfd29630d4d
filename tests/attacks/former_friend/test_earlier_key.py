"""A device with a new key, which others trust under its earlier one until they have compared the new one."""

import os
from collections.abc import Awaitable, Callable

from tests.integration.hub.desk import Desk, DeskSeat
from tests.integration.hub.device import now_ms
from tests.integration.hub.sessions.test_refusals import set_standing
from tests.integration.hub.stage import Actor, actor, befriend

from muster_hub.sessions.holds import HOLD_MS
from muster_hub.store import keys
from muster_hub.store.cells import pack
from muster_protocol.cards import Mode
from muster_protocol.codec import encode
from muster_protocol.frames import GetCard, Purpose, Request, SendInvites, Watch, Who, Why
from muster_protocol.ids import GrantId, Seed, session_id
from muster_protocol.reasons import Reason


async def nothing_more(desk: Desk, friend: Actor, me: Actor) -> None:
    """Leave the friend as it is."""


async def granted_all(desk: Desk, friend: Actor, me: Actor) -> None:
    await friend.say(friend.device.grant(me.device))


async def granted_once_to_a_join_that_broke_off(desk: Desk, friend: Actor, me: Actor) -> None:
    grant = GrantId(os.urandom(16))
    await friend.say(friend.device.grant(me.device, once=True, grant=grant))
    session = session_id(me.client, Seed(os.urandom(16)))
    left_behind = pack(session, os.urandom(16), "held", now_ms() - HOLD_MS - 1, 0)
    await desk.store.ask(b"HSET", keys.uses(friend.client), grant, left_behind)


async def away(desk: Desk, friend: Actor, me: Actor) -> None:
    assert isinstance(friend.line, DeskSeat)
    await desk.unseat(friend.line)


async def suspected(desk: Desk, friend: Actor, me: Actor) -> None:
    await set_standing(desk, friend, Reason.CLONE_SUSPECTED)


async def revoked(desk: Desk, friend: Actor, me: Actor) -> None:
    await set_standing(desk, friend, Reason.DEVICE_REVOKED)


State = Callable[[Desk, Actor, Actor], Awaitable[None]]


def why(me: Actor, friend: Actor, purpose: Purpose, *, calls: bool) -> Request:
    creator, target = (me.client, friend.client) if calls else (friend.client, me.client)
    return Why(id=1, creator=creator, target=target, mode=Mode.JOIN, profile=None, purpose=purpose)


REQUESTS: list[Callable[[Actor, Actor], Request]] = [
    *(
        lambda me, friend, purpose=purpose, calls=calls: why(me, friend, purpose, calls=calls)
        for purpose in Purpose
        for calls in (True, False)
    ),
    lambda me, friend: SendInvites(id=1, session=me.session, invites=(me.invite(friend),)),
    lambda me, friend: GetCard(id=1, client=friend.client),
    lambda me, friend: Who(id=1, clients=(friend.client,)),
    lambda me, friend: Watch(id=1, clients=(friend.client,)),
]


async def views_of(desk: Desk, state: State) -> list[tuple[bytes, list[str]]]:
    """Return what a device with a new key sees of a friend in this state, which pinned its earlier key."""
    me, friend = await actor(desk), await actor(desk)
    await befriend(me, friend, grants=False)
    await state(desk, friend, me)
    me.device.rotate()
    me.line = await desk.seat(me.device)
    await me.say(me.device.trust(friend.device), me.device.grant(friend.device))
    await me.create()
    seen = []
    for request in REQUESTS:
        asked = request(me, friend)
        desk.store.calls.clear()
        reply = encode(await me.line.ask_any(asked)).replace(friend.client.encode(), b"friend")
        seen.append((reply, list(desk.store.calls)))
    return seen


async def test_an_earlier_key_shows_only_that_it_was_pinned(desk: Desk) -> None:
    states: list[State] = [nothing_more, granted_all, granted_once_to_a_join_that_broke_off, away, suspected, revoked]
    views = [await views_of(desk, state) for state in states]
    assert all(view == views[0] for view in views)
    decided = [reply for reply, _ in views[0][: 2 * len(Purpose) + 1]]
    assert all(b"key_mismatch" in reply for reply in decided)
