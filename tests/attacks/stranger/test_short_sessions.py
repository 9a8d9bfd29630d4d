"""Sessions that end at once, which a stranger makes one after the other because the hub keeps each for a day."""

from msgspec.structs import replace
from tests.integration.hub.desk import Desk
from tests.integration.hub.stage import Actor, actor, befriend

from muster_hub.store import keys
from muster_protocol.frames import CreateSession, Error, Ok
from muster_protocol.ids import SessionId
from muster_protocol.reasons import Reason

REPEATS = 8
TRIES = keys.SESSIONS_A_DAY + 64
"""In the time that the test takes at most a few more sessions are allowed, one every SESSION_EVERY_MS."""


async def made_until_refused(stranger: Actor) -> tuple[list[SessionId], Error]:
    made: list[SessionId] = []
    while len(made) < TRIES:
        request = replace(stranger.plan(), lasts_ms=1)
        reply = await stranger.line.ask_any(request)
        if isinstance(reply, Error):
            return made, reply
        made.append(request.session)
    raise AssertionError("never refused")


async def held(desk: Desk, *sessions: SessionId) -> int:
    found = [await desk.store.ask(b"EXISTS", keys.session(session)) for session in sessions]
    return found.count(1)


async def test_sessions_that_end_at_once_are_counted_as_long_as_the_store_holds_them(desk: Desk) -> None:
    stranger, accomplice = await actor(desk), await actor(desk)
    await befriend(stranger, accomplice)
    made, refused = await made_until_refused(stranger)
    assert refused.reason is Reason.RATE_LIMITED
    assert refused.retry_after_ms == keys.SESSION_EVERY_MS
    assert keys.SESSIONS_A_DAY <= len(made) < TRIES
    assert await held(desk, *made[-REPEATS:]) == REPEATS
    last = stranger.plan()
    assert isinstance(await stranger.line.ask_any(last), Error)
    assert await held(desk, last.session) == 0
    await accomplice.create()


async def test_a_request_that_is_repeated_counts_once(desk: Desk) -> None:
    one, friend = await actor(desk), await actor(desk)
    await befriend(one, friend)
    request: CreateSession = one.plan()
    await one.ask(request, Ok)
    counted = await desk.store.ask(b"HGET", keys.device(one.client), b"sessions_tat_ms")
    for _ in range(REPEATS):
        await one.ask(request, Ok)
    assert await desk.store.ask(b"HGET", keys.device(one.client), b"sessions_tat_ms") == counted
