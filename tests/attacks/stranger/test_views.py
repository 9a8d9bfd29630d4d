"""What a stranger learns and leaves by each request: the same for any state of a device that does not trust it."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import pytest
import pytest_asyncio
from tests.attacks.stored import changed, keep, put_back, stored
from tests.attacks.stranger.asked import ASKED, Asked, StrangerAtWork
from tests.attacks.stranger.targets import TARGETS, Targets
from tests.integration.hub.desk import Desk, DeskSeat
from tests.integration.hub.stage import Actor, actor, befriend

from muster_hub.node import outbox
from muster_hub.store import keys
from muster_protocol.codec import encode
from muster_protocol.frames import FRAMES, Push, Request
from muster_protocol.ids import SessionId

REQUESTS = [frame for frame in FRAMES.values() if issubclass(frame, Request)]


class StrangersView(NamedTuple):
    """What the stranger may tell targets apart by: the reply, the store calls, the bus messages, and its own pushes."""

    reply: bytes
    calls: list[str]
    messages: int
    pushes: list[Push]


@pytest_asyncio.fixture(autouse=True)
async def without_a_file(desk: Desk) -> AsyncIterator[None]:
    """Have the store wait for no disk: these tests make some hundred devices each."""
    await desk.store.ask(b"CONFIG", b"SET", b"appendfsync", b"no")
    yield
    await desk.store.ask(b"CONFIG", b"SET", b"appendfsync", b"always")


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda frame: str(frame.__struct_config__.tag))
async def test_a_request_shows_a_stranger_nothing_and_leaves_nothing_behind(
    desk: Desk, request_type: type[Request]
) -> None:
    expected: list[StrangersView] = []
    for targets in TARGETS:
        views = await views_of(desk, ASKED[request_type], targets)
        assert len(views) == len(ASKED[request_type]) > 0
        expected = expected or views
        assert views == expected, targets.__name__


async def views_of(desk: Desk, requests: Sequence[Asked], targets: Targets) -> list[StrangersView]:
    """Put each of these requests to the hub, each to the store as it was before the first; return what one sees."""
    await desk.store.ask(b"FLUSHALL")
    me, accomplice = await actor(desk), await actor(desk)
    await befriend(me, accomplice)
    target = await targets(desk, me)
    await me.say(me.device.trust(target.device), me.device.grant(target.device))
    stranger = StrangerAtWork(me, accomplice, target)
    await settled(desk)
    kept = await keep(desk)
    views = []
    for asked in requests:
        await put_back(desk, kept)
        views.append(await view_of(desk, asked, stranger))
    return views


async def view_of(desk: Desk, asked: Asked, stranger: StrangerAtWork) -> StrangersView:
    """Put one request to the hub, and return what the stranger sees; the store has then only rows of its own."""
    me, accomplice, target = stranger.me, stranger.accomplice, stranger.target
    request = await asked(stranger)
    assert isinstance(me.line, DeskSeat)
    before, seen = await settled(desk), frames_to_others(desk, me, accomplice)
    me.line.sent.clear()
    for each in desk.all:
        each.store.calls.clear()
        each.published.clear()
    reply = encode(await me.line.ask_any(request))
    for name in (target.device.client, target.session, accomplice.client):
        reply = reply.replace(name.encode(), b"target")
    calls = [name for each in desk.all for name in each.store.calls]
    view = StrangersView(reply, calls, sum(len(each.published) for each in desk.all), list(me.line.sent))
    after = await settled(desk)
    assert frames_to_others(desk, me, accomplice) == seen
    assert {name for name in changed(before, after) if not is_own(name, me, accomplice)} == set()
    return view


async def settled(desk: Desk) -> dict[bytes, object]:
    """Return all that the store holds once the outboxes are drained."""
    for name in await stored(desk):
        if name.endswith(b":out"):
            await outbox.drain(desk.hub, int(name[3:5], 16), min_age_ms=0)
    return await stored(desk)


def frames_to_others(desk: Desk, *strangers: Actor) -> set[bytes]:
    """Return what was sent to all devices but the stranger and its accomplice, however often."""
    own = {stranger.client for stranger in strangers}
    seats = [seat for each in desk.all for seat in each.router if seat.client not in own]
    return {encode(push) for seat in seats if isinstance(seat, DeskSeat) for push in seat.sent}


def is_own(name: bytes, me: Actor, accomplice: Actor) -> bool:
    """Return whether a key is of the stranger itself, its accomplice, or the session that it created last."""
    sessions = [me.session] if hasattr(me, "inviting") else list[SessionId]()
    owned = [me.client, accomplice.client, *sessions]
    buckets = [keys.tag(keys.bucket(one)) + end for one in owned for end in (b":out", b":due", b":drained")]
    return name in buckets or any(name.endswith(b":" + one.encode()) for one in owned)
