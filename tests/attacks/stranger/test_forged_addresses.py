"""Addresses that a stranger names, by which its connections would spend what other addresses may."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio
from msgspec.structs import replace
from tests.integration.hub.conftest import NodeSettings
from tests.rubbish.peers import Door, upgrade

from muster_hub.listener import ListenerSettings
from muster_hub.node.node import Tuning, open_node

PROXY, STRANGER, SECOND, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
MANY = 3
PLACES = 2 * MANY
LIMITS = ListenerSettings(max_unauthenticated_per_address=MANY, max_unauthenticated=PLACES)
AGREED, BUSY, BAD = 101, 503, 400


@dataclass
class Strangers:
    """Connections that prove nothing and stay open until the test ends."""

    door: Door
    stack: AsyncExitStack

    async def status(self, source: str, *headers: str, first: str = "") -> int:
        """Ask for a WebSocket, after ``first``, and return the status of the answer."""
        peer = await self.stack.enter_async_context(self.door.peer(source))
        peer.send(first.encode() + upgrade(*headers))
        return int((await peer.head()).split()[1])

    async def behind(self, source: str, *headers: str) -> int:
        """Ask as ``status`` does, through a proxy that names ``source`` in a PROXY header."""
        return await self.status(PROXY, *headers, first=f"PROXY TCP4 {source} 127.0.0.1 1 2\r\n")


@pytest_asyncio.fixture
async def strangers(hub_settings: NodeSettings) -> AsyncIterator[Strangers]:
    settings = replace(hub_settings("one"), trusted_proxy=(PROXY,), enrolment="open")
    async with open_node(settings, Tuning(limits=LIMITS)) as node, AsyncExitStack() as stack:
        yield Strangers(Door("127.0.0.1", int(node.url.rpartition(":")[2])), stack)


async def test_one_stranger_behind_a_proxy_does_not_shut_out_others(strangers: Strangers) -> None:
    assert [await strangers.behind(STRANGER) for _ in range(MANY + 1)] == [*[AGREED] * MANY, BUSY]
    assert await strangers.behind(OTHER) == AGREED
    assert await strangers.status(PROXY, f"X-Forwarded-For: {STRANGER}") == BUSY
    assert await strangers.status(STRANGER) == BUSY


async def test_strangers_that_take_all_places_behind_a_proxy_make_room(strangers: Strangers) -> None:
    for stranger in (STRANGER, SECOND):
        assert [await strangers.behind(stranger) for _ in range(MANY)] == [AGREED] * MANY
    assert await strangers.behind(OTHER) == AGREED
    assert await strangers.status(PROXY, f"Forwarded: for={OTHER}") == AGREED


@pytest.mark.parametrize("header", ["X-Forwarded-For: {}", "Forwarded: for={}"])
async def test_from_outside_no_header_changes_whose_allowance_is_spent(strangers: Strangers, header: str) -> None:
    statuses = [await strangers.status(STRANGER, header.format(f"192.0.2.{number}")) for number in range(MANY + 1)]
    assert statuses == [*[AGREED] * MANY, BUSY]


async def test_from_outside_no_proxy_header_is_taken(strangers: Strangers) -> None:
    assert await strangers.status(STRANGER, first=f"PROXY TCP4 {OTHER} 127.0.0.1 1 2\r\n") == BAD


@pytest.mark.parametrize("forged", ["192.0.2.{}", "unknown {}", '"{}', "127.0.0.1, 192.0.2.{}"])
async def test_what_a_client_of_the_proxy_writes_into_the_header_does_not_count(
    strangers: Strangers, forged: str
) -> None:
    headers = [f"X-Forwarded-For: {forged.format(number)}, {STRANGER}" for number in range(MANY + 1)]
    assert [await strangers.status(PROXY, header) for header in headers] == [*[AGREED] * MANY, BUSY]


async def test_headers_behind_a_proxy_header_are_the_clients_own(strangers: Strangers) -> None:
    headers = [f"X-Forwarded-For: 192.0.2.{number}" for number in range(MANY + 1)]
    assert [await strangers.behind(STRANGER, header) for header in headers] == [*[AGREED] * MANY, BUSY]


@pytest.mark.parametrize("forged", ["Forwarded: for=192.0.2.9", "Forwarded: for=unknown", 'Forwarded: for="'])
async def test_a_header_beside_the_one_of_the_proxy_spends_nothing(strangers: Strangers, forged: str) -> None:
    statuses = [await strangers.status(PROXY, f"X-Forwarded-For: {STRANGER}", forged) for _ in range(PLACES)]
    assert statuses == [BAD] * PLACES
    assert await strangers.status(PROXY) == AGREED
    assert await strangers.behind(STRANGER) == AGREED
