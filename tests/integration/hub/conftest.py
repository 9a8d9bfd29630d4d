"""Nodes in this process, on the test store, and desks: the use cases on that store without sockets."""

import asyncio
import inspect
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import msgpack
import msgspec
import pytest
import pytest_asyncio
from tests.integration.hub.desk import Desk, WatchedStore
from tests.integration.hub.device import WAIT_S, SigningDevice
from tests.integration.hub.stage import Actor, actor, befriend

from muster_hub.config.hub_key import load_or_create
from muster_hub.config.settings import Enrolment, Settings
from muster_hub.node.node import Node, Tuning, open_node
from muster_hub.store import keys
from muster_hub.store.embedded import EmbeddedStore
from muster_hub.store.wire import Wire

StartNode = Callable[..., Awaitable[Node]]
NodeSettings = Callable[[str], Settings]


@pytest.fixture
def hub_settings(store_url: str, tmp_path: Path) -> NodeSettings:
    """Settings for a node by its name; all of them are nodes of one hub."""
    load_or_create(tmp_path / "hub.key")
    return lambda name: Settings(
        data_dir=tmp_path / name, store=store_url, listen="127.0.0.1:0", key_file=tmp_path / "hub.key"
    )


@pytest_asyncio.fixture
async def start_node(hub_settings: NodeSettings) -> AsyncIterator[StartNode]:
    """Start nodes by name; they end with the test."""
    async with AsyncExitStack() as stack:

        async def start(
            name: str = "one",
            tuning: Tuning | None = None,
            store: str | None = None,
            enrolment: Enrolment | None = None,
        ) -> Node:
            settings = msgspec.structs.replace(hub_settings(name), enrolment=enrolment)
            if store is not None:
                settings = msgspec.structs.replace(settings, store=store)
            return await stack.enter_async_context(open_node(settings, tuning))

        yield start


@pytest_asyncio.fixture
async def node(start_node: StartNode) -> Node:
    return await start_node()


Eventually = Callable[[Callable[[], object]], Awaitable[None]]
Links = AsyncExitStack
Records = Callable[[Node, SigningDevice], Awaitable[list[list[object]]]]


async def _eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            held = holds()
            if await held if inspect.isawaitable(held) else held:
                return
            await asyncio.sleep(0.005)


@pytest.fixture
def eventually() -> Eventually:
    """Wait until a condition holds for which the hub has no event."""
    return _eventually


@pytest_asyncio.fixture
async def links(node: Node) -> AsyncIterator[Links]:
    """Connections that end with the test, before the node does."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest_asyncio.fixture
async def own_store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    """A store that the test may freeze."""
    async with EmbeddedStore(tmp_path / "own") as embedded:
        yield embedded


@contextmanager
def frozen(embedded: EmbeddedStore) -> Iterator[None]:
    """Stop a store's process for the body's time."""
    assert embedded.pid is not None
    os.kill(embedded.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(embedded.pid, signal.SIGCONT)


Ask = Callable[..., Awaitable[object]]


@pytest.fixture
def ask_store() -> Ask:
    """Send one command to a node's store, unknown to the hub."""

    async def ask(node: Node, *words: bytes) -> object:
        wire = Wire(node.context.store.address)
        await wire.connect()
        reply = await wire.ask(*words)
        await wire.close()
        return reply

    return ask


@pytest.fixture
def records(ask_store: Ask) -> Records:
    """Return the records in the outbox of a device's bucket that name the device, oldest first."""

    async def read(node: Node, device: SigningDevice) -> list[list[object]]:
        entries = await ask_store(node, b"XRANGE", keys.outbox(keys.bucket(device.client)), b"-", b"+")
        assert isinstance(entries, list)
        fields = [dict(zip(entry[1][::2], entry[1][1::2], strict=True)) for entry in entries]
        rows = [msgpack.unpackb(field[b"data"], raw=True) for field in fields if field[b"kind"] == b"record"]
        return [row for row in rows if device.client.encode() in row[1:3]]

    return read


@pytest_asyncio.fixture
async def desks(store_url: str) -> AsyncIterator[dict[str, Desk]]:
    """Two nodes, ``one`` and ``two``."""
    found: dict[str, Desk] = {"one": None, "two": None}  # type: ignore[dict-item] # each needs to know of both
    async with WatchedStore.open(store_url) as one, WatchedStore.open(store_url) as two, asyncio.TaskGroup() as group:
        assert isinstance(one, WatchedStore)
        assert isinstance(two, WatchedStore)
        for name, store in (("one", one), ("two", two)):
            found[name] = Desk(store, group, name, found)
        yield found


@pytest.fixture
def desk(desks: dict[str, Desk]) -> Desk:
    """The first node."""
    return desks["one"]


@pytest_asyncio.fixture
async def pair(desk: Desk) -> tuple[Actor, Actor]:
    """Two devices at one node that trust each other and grant each other everything."""
    ann, bob = await actor(desk, "ann"), await actor(desk, "bob")
    await befriend(ann, bob)
    return ann, bob
