"""How the store learns of connections that ended, and of entries that no connection stands behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import msgpack
import pytest
import pytest_asyncio
from typing_extensions import override

from muster_hub.concurrency import alongside
from muster_hub.node.bus_link import BusLink
from muster_hub.presence import departures as departures_module
from muster_hub.presence.departures import Departures
from muster_hub.presence.record import AgentLocations
from muster_hub.routing.router import Router
from muster_hub.routing.services import LocalConnection
from muster_hub.store.adapter import Reply, Store, Word
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_hub.store.scripts import Script
from muster_hub.store.urls import Address
from muster_protocol.connect import Role
from muster_protocol.frames import DropCause
from muster_protocol.ids import ClientId

ANN, BOB = ClientId("a" * 32), ClientId("b" * 32)
WAIT_S = 10.0


class Entries(Store):
    """A store in memory: the entries of connections, each with the node and incarnation that registered it."""

    def __init__(self) -> None:
        super().__init__(Address("unix", "", 0, "unused", 0, None, None))
        self.held: dict[ClientId, dict[int, tuple[str, str]]] = {}
        self.removed: list[tuple[ClientId, int, str, int]] = []
        self.failures = 0
        self.changed = asyncio.Event()
        self.on_read: Callable[[], None] = lambda: None

    def add(self, client: ClientId, number: int, node: str = "here", incarnation: str = "now") -> None:
        self.held.setdefault(client, {})[number] = (node, incarnation)

    @override
    async def now_ms(self) -> int:
        return 0

    @override
    async def run(
        self, script: Script, keys: Sequence[bytes], args: Sequence[Word] = (), *, not_after_ms: int | None = None
    ) -> Reply:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable(StoreCause.TIMEOUT, outcome_unknown=True)
        client = ClientId(keys[0].decode().rsplit(":", 1)[-1])
        return self._depart(client, args) if script.name == "depart" else self._look(client)

    def _depart(self, client: ClientId, args: Sequence[Word]) -> Reply:
        cause, back_by_ms, number = args[-3:]
        assert isinstance(number, int)
        if self.held.get(client, {}).pop(number, None) is None:
            return [0]
        self.removed.append((client, number, str(cause), int(back_by_ms)))
        self.changed.set()
        return [1, [b"here"]]

    def _look(self, client: ClientId) -> Reply:
        self.on_read()
        rows: list[Reply] = []
        for number, (node, incarnation) in self.held.get(client, {}).items():
            cells = [bytes(16), Role.AGENT.value, node, incarnation, 1]
            rows += [str(number).encode(), cast("bytes", msgpack.packb(cells, use_bin_type=False))]
        return [b"", b"0", b"", rows, b"0"]


class OneLiveNode:
    """One live node."""

    node = "here"
    incarnation = "now"

    def live(self, node: str, incarnation: str) -> bool:
        return (node, incarnation) == ("here", "now")

    def live_nodes(self) -> Sequence[str]:
        return ["here"]

    def acting(self) -> bool:
        return True

    async def until_acting(self) -> bool:
        return self.acting()


class NumberedConnection:
    """A connection of this node, as far as the router's table needs it."""

    role = Role.AGENT

    def __init__(self, client: ClientId, number: int) -> None:
        self.client, self.number = client, number


class Watched:
    """Writes down the devices that are to be looked at again."""

    def __init__(self) -> None:
        self.clients: list[ClientId] = []

    def changed(self, client: ClientId) -> None:
        self.clients.append(client)


@pytest_asyncio.fixture
async def store() -> Entries:
    return Entries()


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def router(store: Entries, watched: Watched) -> Router:
    return Router("here", BusLink(), AgentLocations(store), watched)


@pytest_asyncio.fixture
async def departures(store: Entries, router: Router, monkeypatch: pytest.MonkeyPatch) -> Departures:
    monkeypatch.setattr(departures_module, "RETRY_S", 0.0)
    return Departures(store, router, OneLiveNode())


@asynccontextmanager
async def running(departures: Departures) -> AsyncIterator[None]:
    """Run the departures for the body's time."""
    async with asyncio.timeout(WAIT_S), alongside(departures.run()):
        yield


async def test_a_closed_connection_is_removed_and_its_watchers_are_notified(
    departures: Departures, store: Entries, watched: Watched
) -> None:
    store.add(ANN, 5)
    async with running(departures):
        departures.note(ANN, 5, DropCause.TIMEOUT)
        await departures.settled()
    assert store.removed == [(ANN, 5, "timeout", 0)]
    assert watched.clients == [ANN]


async def test_what_the_store_did_not_take_is_sent_again(departures: Departures, store: Entries) -> None:
    for number in range(3):
        store.add(ANN, number)
        departures.note(ANN, number, DropCause.CLOSED)
    store.failures = 5
    async with running(departures):
        await departures.settled()
    assert {number for _, number, _, _ in store.removed} == {0, 1, 2}
    assert store.failures == 0


async def test_more_than_one_batch_is_sent(
    departures: Departures, store: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures_module, "BATCH", 2)
    for number in range(5):
        store.add(ANN, number)
        departures.note(ANN, number, DropCause.CLOSED)
    async with running(departures):
        await departures.settled()
    assert store.held == {ANN: {}}


async def test_who_is_gone_already_is_not_announced(departures: Departures, watched: Watched) -> None:
    async with running(departures):
        departures.note(ANN, 5, DropCause.CLOSED)
        await departures.settled()
    assert watched.clients == []


async def test_a_planned_stop_tells_when_its_devices_should_be_back(departures: Departures, store: Entries) -> None:
    store.add(ANN, 5)
    departures.expect_back(1_234)
    departures.note(ANN, 5, DropCause.CLOSED)
    async with running(departures):
        await departures.settled()
    assert store.removed == [(ANN, 5, "closed", 1_234)]


async def test_a_suspicion_removes_only_what_this_node_entered_and_does_not_hold(
    departures: Departures, store: Entries, router: Router
) -> None:
    store.add(ANN, 1)
    store.add(ANN, 2)
    store.add(ANN, 3, node="there")
    store.add(ANN, 4, incarnation="before")
    router.add(cast("LocalConnection", NumberedConnection(ANN, 2)))
    async with running(departures):
        departures.suspect(ANN)
        await departures.settled()
    assert store.removed == [(ANN, 1, "closed", 0)]


async def test_a_suspicion_outlives_a_store_that_is_away(departures: Departures, store: Entries) -> None:
    store.add(ANN, 1)
    store.failures = 2
    async with running(departures):
        departures.suspect(ANN)
        await departures.settled()
    assert store.removed == [(ANN, 1, "closed", 0)]


async def test_a_device_is_checked_once_its_last_handshake_is_over(departures: Departures, store: Entries) -> None:
    """Two handshakes of one device at once: the second may be about to hold the entry that the first left."""
    store.add(ANN, 1)
    store.add(BOB, 1)
    departures.entering(ANN, +1)
    departures.entering(ANN, +1)
    departures.suspect(ANN)
    departures.suspect(BOB)
    departures.entering(ANN, -1)
    async with running(departures):
        await store.changed.wait()
        assert [client for client, *_ in store.removed] == [BOB]
        departures.entering(ANN, -1)
        await departures.settled()
    assert [client for client, *_ in store.removed] == [BOB, ANN]


async def test_a_handshake_that_begins_during_the_check_keeps_its_entry(departures: Departures, store: Entries) -> None:
    store.add(ANN, 1)
    store.on_read = lambda: departures.entering(ANN, +1)
    async with running(departures):
        departures.suspect(ANN)
        await departures.settled()
    assert store.removed == []


async def test_suspects_are_bounded(departures: Departures, store: Entries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures_module, "MAX_SUSPECTS", 1)
    store.add(ANN, 1)
    store.add(BOB, 1)
    async with running(departures):
        departures.suspect(ANN)
        departures.suspect(BOB)
        await departures.settled()
    assert [client for client, *_ in store.removed] == [ANN]
