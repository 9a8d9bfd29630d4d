"""The table of limits in the hub's README, each row filled by trying on a real store."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor, actor, befriend

from muster_hub.store import keys
from muster_protocol.cards import MAX_ROTATIONS
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.frames import Error, PutStatement, Reply, Request
from muster_protocol.ids import SessionId
from muster_protocol.reasons import Reason

README = Path(__file__).parents[3] / "hub" / "README.md"
ROW = re.compile(r"^\| `(\w+)` [^|]*\| ([\d,]+) \| ([\d,]+) B \| [^|]+ \|$", re.MULTILINE)
UNTRUSTS = 8
TOLERANCE = 0.25
"""By what part the bytes may differ from those of the table: the store's allocator decides."""


def table() -> dict[str, tuple[int, int]]:
    """Return limit and bytes of each row that names a key of the store."""
    _, _, section = README.read_text(encoding="utf-8").partition("\n## Limits\n")
    rows = ROW.findall(section.partition("\n## ")[0])
    return {name: (int(limit.replace(",", "")), int(each.replace(",", ""))) for name, limit, each in rows}


async def count(desk: Desk, command: bytes, *names: bytes) -> int:
    found = await desk.store.ask(command, *names)
    assert isinstance(found, int)
    return found


async def bytes_of(desk: Desk, key: bytes) -> int:
    return await count(desk, b"MEMORY", b"USAGE", key, b"SAMPLES", b"0")


async def served(one: Actor, request: Request) -> Reply:
    """Ask, and ask the same again where the machine was too busy for the store to answer in time."""
    while True:
        reply = await one.line.ask_any(request)
        if not isinstance(reply, Error) or reply.reason is not Reason.STORE_UNAVAILABLE:
            return reply


async def bytes_of_statements(desk: Desk, one: Actor, key: Callable[[str], bytes]) -> int:
    """Return the bytes of the statements of one kind, with their order."""
    return await bytes_of(desk, key(one.client)) + await bytes_of(desk, keys.stated(one.client))


async def state(one: Actor, *, grants: bool) -> None:
    """State something about one device after the other until the hub refuses."""
    while True:
        peer = SigningDevice()
        kind, signed = one.device.grant(peer) if grants else one.device.trust(peer)
        reply = await served(one, PutStatement(id=0, kind=kind, statement=signed))
        if isinstance(reply, Error):
            assert reply.reason is Reason.TOO_LARGE
            return


async def fill_device(desk: Desk, one: Actor, friend: Actor) -> tuple[int, int]:
    """Each key is certified in the card, which is kept with the device."""
    for _ in range(MAX_ROTATIONS):
        one.device.rotate()
    await Actor(one.device, await desk.seat(one.device)).say(one.device.trust(friend.device))
    key = keys.device(one.client)
    chain = await desk.store.ask(b"HGET", key, b"chain")
    assert isinstance(chain, bytes)
    one.device.rotate()
    with pytest.raises(Refused):
        await desk.seat(one.device)
    return len(chain) // len(one.device.fingerprint), await bytes_of(desk, key)


async def fill_peers(desk: Desk, one: Actor, friend: Actor) -> tuple[int, int]:
    await state(one, grants=False)
    return await count(desk, b"HLEN", keys.peers(one.client)), await bytes_of_statements(desk, one, keys.peers)


async def fill_grants(desk: Desk, one: Actor, friend: Actor) -> tuple[int, int]:
    await state(one, grants=True)
    for _ in range(UNTRUSTS):  # each would end a grant to its peer
        await one.say(one.device.untrust(SigningDevice()))
    return await count(desk, b"HLEN", keys.grants(one.client)), await bytes_of_statements(desk, one, keys.grants)


async def make(one: Actor, lasts_ms: int) -> tuple[list[SessionId], Error]:
    made: list[SessionId] = []
    while True:
        request = replace(one.plan(), lasts_ms=lasts_ms)
        reply = await served(one, request)
        if isinstance(reply, Error):
            return made, reply
        made.append(request.session)


async def fill_session_index(desk: Desk, one: Actor, friend: Actor) -> tuple[int, int]:
    _, refused = await make(one, 3_600_000)
    assert refused.reason is Reason.OVERLOADED
    key = keys.session_index(one.client)
    return await count(desk, b"ZCARD", key), await bytes_of(desk, key)


async def fill_session(desk: Desk, one: Actor, friend: Actor) -> tuple[int, int]:
    """All keys of the sessions that one device makes; a few more than the limit come in the time that this takes."""
    made, refused = await make(one, 1)
    assert refused.reason is Reason.RATE_LIMITED
    limit = keys.SESSIONS_A_DAY
    assert limit <= len(made) <= limit + 8
    kinds = (keys.session, keys.roster, keys.epochs)
    return limit, sum([await bytes_of(desk, kind(name)) for name in made[:limit] for kind in kinds])


async def fill_inbox(desk: Desk, one: Actor, friend: Actor) -> tuple[int, int]:
    """Even a friend's invites stop, and those of all friends together: each is of a session of its own."""
    key = keys.inbox(friend.client)
    while await invite_until_refused(one, friend):
        one = await actor(desk)
        await befriend(one, friend)
    return await count(desk, b"HLEN", key), await bytes_of(desk, key)


async def invite_until_refused(one: Actor, friend: Actor) -> int:
    """Return how many invites one device has in the inbox of another then."""
    for invited in range(keys.MAX_INBOX_PER_SENDER + 1):
        await one.create()
        [result] = (await one.call(friend)).results
        if result.reason is not None:
            assert result.reason is Reason.OVERLOADED
            return invited
    raise AssertionError("one device fills the inbox of another")


async def fill_invite_outcomes(desk: Desk, one: Actor, friend: Actor) -> tuple[int, int]:
    """Each invite takes the place of the one before, so one of them is live."""
    key = keys.invite_outcomes(await one.create())
    while True:
        [result] = (await one.call(friend)).results
        if result.reason is not None:
            assert result.reason is Reason.TOO_MANY_TARGETS
            return await count(desk, b"HLEN", key), await bytes_of(desk, key)
        await friend.take_invite()


async def fill_instances(desk: Desk, one: Actor, friend: Actor) -> tuple[int, int]:
    key = keys.instances(one.client)
    for _ in range(keys.MAX_CLI_INSTANCES + 1):
        await desk.seat(one.device, Role.CLI)
    return await count(desk, b"HLEN", key), await bytes_of(desk, key)


Fill = Callable[[Desk, Actor, Actor], Awaitable[tuple[int, int]]]
FILLS: list[Fill] = [
    fill_device,
    fill_peers,
    fill_grants,
    fill_session_index,
    fill_session,
    fill_inbox,
    fill_invite_outcomes,
    fill_instances,
]


@pytest.mark.parametrize("fill", FILLS)
async def test_what_a_device_can_leave_stops_where_the_table_says(desk: Desk, fill: Fill) -> None:
    one, friend = await actor(desk), await actor(desk)
    await befriend(one, friend)
    limit, each = table()[fill.__name__.removeprefix("fill_")]
    filled, used = await fill(desk, one, friend)
    assert filled == limit
    assert abs(used / filled - each) <= TOLERANCE * each, f"{used / filled:.0f} bytes each"


def test_the_table_has_a_row_for_each_that_is_filled() -> None:
    assert set(table()) == {fill.__name__.removeprefix("fill_") for fill in FILLS}
