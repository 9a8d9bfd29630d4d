"""A real hub as a process of its own, and devices on disk that know it."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from muster_client import Agent, Device
from muster_client.events import Event, Stream
from muster_client.sessions.session import Session
from muster_hub.node.node import Node
from muster_protocol.cards import Mode
from muster_protocol.frames import MemberState
from muster_protocol.ids import ClientId

WAIT_S = 30
"""How long a test waits for an event before it fails: far longer than it ever takes."""

E = TypeVar("E")


_reserved: list[socket.socket] = []


def free_port() -> int:
    """Return a port that a server may listen on; no other call returns it while these tests run."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # bound and not listening: a server may share it
    holder.bind(("127.0.0.1", 0))
    _reserved.append(holder)
    return int(holder.getsockname()[1])


class HubProcess:
    """A hub that can be killed and started again on the same data and the same address."""

    def __init__(self, data: Path, port: int, *options: str, scheme: str = "ws") -> None:
        self.data = data
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        arguments = ["--json", "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(self.data), *self._options]
        with (self.data.parent / "hub.log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "muster_hub", *arguments], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        assert json.loads(self._process.stdout.readline())["url"] == self.url

    def tell(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(WAIT_S)
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def running_hub(folder: Path, *options: str, scheme: str = "ws") -> Iterator[HubProcess]:
    hub = HubProcess(folder / "hub", free_port(), *options, scheme=scheme)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()


@pytest.fixture(scope="session")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One hub for all tests of a process: their devices do not know each other."""
    with running_hub(tmp_path_factory.mktemp("shared")) as hub:
        yield hub


@pytest.fixture
def own_hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A hub that the test may kill."""
    with running_hub(tmp_path) as hub:
        yield hub


@pytest.fixture
def hub_url(request: pytest.FixtureRequest) -> str:
    """The hub of a test: its own if it asks for one, else the one that all share."""
    hub = request.getfixturevalue("own_hub" if "own_hub" in request.fixturenames else "shared_hub")
    assert isinstance(hub, HubProcess)
    return hub.url


@contextmanager
def devices_in(folder: Path, hub_url: str) -> Iterator[Callable[[str], Device]]:
    """Create devices of one hub by their names, each in a folder of its own, and close them in the end."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(Device.create(folder / name, hub_url=hub_url))


@pytest.fixture
def make_device(tmp_path: Path, hub_url: str) -> Iterator[Callable[[str], Device]]:
    with devices_in(tmp_path, hub_url) as create:
        yield create


@pytest.fixture
def devices(tmp_path: Path, node: Node) -> Iterator[Callable[[str], Device]]:
    """Create devices of a hub that runs in the process of the test."""
    with devices_in(tmp_path, node.url) as create:
        yield create


def befriend(*devices: Device, granted: bool = True, mode: Mode = Mode.SYNCHRONIZE) -> None:
    """Let devices trust each other, and by default grant each other everything."""
    for one in devices:
        for other in devices:
            if one is not other:
                one.peers.trust(other.client, other.fingerprint, other.path.name)
                if granted:
                    one.peers.grant(other.client, mode=mode)


async def until(events: Stream[Event], kind: type[E], /, **fields: object) -> E:
    """Wait for an event of a kind with these fields."""
    async with asyncio.timeout(WAIT_S):
        async for event in events:
            if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items()):
                return event
    raise AssertionError(f"the events ended before {kind.__name__}")


@pytest_asyncio.fixture
async def open_agent() -> AsyncIterator[Callable[..., object]]:
    """Open agents that are connected and end with the test."""
    async with AsyncExitStack() as stack:

        async def opened(device: Device, **options: object) -> Agent:
            agent = await stack.enter_async_context(Agent.open(device, **options))  # type: ignore[arg-type]
            async with asyncio.timeout(WAIT_S):
                await agent.connected()
            return agent

        yield opened


async def settled(session: Session):
    async with asyncio.timeout(WAIT_S):
        return {target.client: target for target in await session.wait()}


async def all_joined(session: Session, *clients: ClientId) -> None:
    updates = session.updates()
    async with asyncio.timeout(WAIT_S):
        while {member.client for member in session.members if member.state is MemberState.JOINED} < {*clients}:
            await anext(updates)
