"""The control socket of an agent that has one state and does nothing else."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from muster_client.concurrency import companions
from muster_client.control.lock import agent_lock
from muster_client.control.server import ControlServer, socket_path
from muster_client.device.session_request import SessionRequest
from muster_client.events import InboxEntry
from muster_client.paths import LOCK_FILE
from muster_client.sessions.session import Session
from muster_client.views import AgentStatus
from muster_protocol.ids import ClientId, SessionId

WAIT_S = 60
"""When a thread that does not get ready is taken for hung."""


class StatusOnlyAgent:
    """An agent that can be asked for its state and for nothing else."""

    def __init__(self, status: AgentStatus) -> None:
        self._status = status

    def status(self) -> AgentStatus:
        return self._status

    def sessions(self) -> tuple[Session, ...]:
        raise AssertionError

    def session(self, session: SessionId) -> Session:
        raise AssertionError(session)

    def inbox(self) -> tuple[InboxEntry, ...]:
        raise AssertionError

    async def accept(self, invite: str) -> InboxEntry:
        raise AssertionError(invite)

    async def decline(self, invite: str) -> InboxEntry:
        raise AssertionError(invite)

    def notify(self) -> None:
        raise AssertionError

    async def create_session(self, request: SessionRequest) -> Session:
        raise AssertionError(request)


def status_of(client: ClientId, **fields: object) -> AgentStatus:
    """Return the state of a connected agent, but for these fields."""
    state: dict[str, object] = {
        "client": client,
        "pid": 4711,
        "hub_url": "wss://hub.example",
        "hub": None,
        "connected": True,
        "connected_since": None,
        "standing": None,
        "sessions": 0,
        "inbox": 0,
        "unpublished": 0,
        "keep_alive_ms": 20_000,
        "keep_alive_learnt": False,
        "last_drop": None,
    }
    return AgentStatus(**(state | fields))  # type: ignore[arg-type]


@contextmanager
def answering(device: Path, status: AgentStatus) -> Iterator[None]:
    """Answer command lines of the device in this folder with this state, for as long as the block runs."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        path = socket_path(device)
        async with companions() as beside:
            with agent_lock(device / LOCK_FILE, path):
                async with ControlServer(StatusOnlyAgent(status), beside).listening(path):
                    ready.set()
                    await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(WAIT_S)
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
