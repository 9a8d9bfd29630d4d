"""Sessions that were closed and have not ended yet: they keep no device out of another one."""

from tests.integration.hub.desk import Desk
from tests.integration.hub.stage import Actor, actor, befriend, call_in

from muster_hub.store import keys
from muster_protocol.frames import CloseSession, ListSessions, Ok, SessionsReply
from muster_protocol.ids import SessionId
from muster_protocol.reasons import Reason


async def fill_index(device: Actor, *, close: bool) -> list[SessionId]:
    """Make as many sessions as are indexed, and close all but the first or none."""
    made = [await device.create() for _ in range(keys.MAX_INDEXED_SESSIONS)]
    for session in made[1:] if close else []:
        await device.ask(CloseSession(id=1, session=session), Ok)
    return made


async def indexed(desk: Desk, device: Actor) -> int:
    found = await desk.store.ask(b"ZCARD", keys.session_index(device.client))
    assert isinstance(found, int)
    return found


async def test_closed_sessions_keep_no_device_from_another_one(desk: Desk) -> None:
    friend, victim = await actor(desk), await actor(desk)
    await befriend(friend, victim)
    first, *_ = await fill_index(victim, close=True)
    assert await indexed(desk, victim) == keys.MAX_INDEXED_SESSIONS
    session = await friend.create()
    await call_in(friend, victim)
    assert await indexed(desk, victim) == 2
    listed = (await victim.ask(ListSessions(id=1), SessionsReply)).sessions
    assert {each.session for each in listed} == {first, session}
    await victim.create()


async def test_open_sessions_are_kept_in_a_full_index(desk: Desk) -> None:
    victim, friend = await actor(desk), await actor(desk)
    await befriend(victim, friend)
    await fill_index(victim, close=False)
    assert (await victim.refused(victim.plan())).reason is Reason.OVERLOADED
    assert await indexed(desk, victim) == keys.MAX_INDEXED_SESSIONS
