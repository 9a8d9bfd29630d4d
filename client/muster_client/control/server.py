"""The agent's end of the local control socket."""

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from muster_client.concurrency import Companions, companions
from muster_client.control.errors import as_line
from muster_client.control.messages import (
    MAX_LINE_BYTES,
    Accept,
    AnyLine,
    AnyRequest,
    AskInbox,
    AskSessions,
    AskStatus,
    Blocking,
    Cancel,
    Decline,
    Done,
    EndSession,
    GoAhead,
    InboxIs,
    LeaveSession,
    Notify,
    SessionsAre,
    Settled,
    Started,
    StartRequest,
    StatusIs,
    TargetUpdate,
)
from muster_client.control.same_user import same_user
from muster_client.device.private_files import PRIVATE_FILE, in_words, make_own_folder
from muster_client.device.session_request import SessionRequest
from muster_client.errors import ControlFailed, HubRefused, NoReply, UnusableData
from muster_client.events import InboxEntry, MembersChanged, TargetChanged
from muster_client.paths import SOCKET_FILE
from muster_client.sessions.session import Session
from muster_client.views import AgentStatus
from muster_protocol.errors import MusterError
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import Sayer

MAX_CONTROL_CLIENTS = 16
REQUEST_TIMEOUT_S = 5.0
"""How long a command line may take to send its request."""
GO_AHEAD_TIMEOUT_S = 60.0
"""How long a command line may take to confirm its new session, before that is closed again."""
MAX_SOCKET_PATH_BYTES = 100
"""A Unix socket's address holds 104 bytes on macOS, 108 on Linux."""

_log = structlog.get_logger("muster.control")


def _blocking(update: MembersChanged) -> tuple[ClientId, ...]:
    return tuple(member.client for member in update.members if member.blocks)


def socket_path(device: Path) -> Path:
    """Return the path of the control socket: beside the data, or if that is too long, in a temporary folder.

    Raises ``UnusableData`` if another user owns that folder, or if it is a symbolic link.
    """
    beside = (device / SOCKET_FILE).absolute()
    if len(os.fsencode(beside)) <= MAX_SOCKET_PATH_BYTES:
        return beside
    folder = Path(tempfile.gettempdir()) / f"muster-{os.getuid()}"
    with in_words(folder):
        if not make_own_folder(folder):
            raise UnusableData(
                f"{folder} belongs to another user; give the device a shorter path, or set another TMPDIR"
            )
    return folder / f"{sha256(os.fsencode(beside)).hexdigest()[:16]}.sock"


class Controlled(Protocol):
    """The part of an agent that command lines use; ``Agent`` documents each method."""

    def status(self) -> AgentStatus:
        """Return the state of the agent."""

    def sessions(self) -> tuple[Session, ...]:
        """Return the sessions of this process."""

    def session(self, session: SessionId) -> Session:
        """Return one session of this process."""

    def inbox(self) -> tuple[InboxEntry, ...]:
        """Return the invites that wait for the person."""

    async def accept(self, invite: str) -> InboxEntry:
        """Accept an invite."""

    async def decline(self, invite: str) -> InboxEntry:
        """Decline an invite."""

    def notify(self) -> None:
        """Check for changes by another process of the device."""

    async def create_session(self, request: SessionRequest) -> Session:
        """Create a session without calling any device."""


class ControlServer:
    """Answers command lines of the same user, one request for each connection."""

    def __init__(self, agent: Controlled, beside: Companions) -> None:
        self._agent = agent
        self._beside = beside
        self._clients = 0

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Listen for as long as the block runs; raises ``UnusableData`` if the socket cannot be made."""
        with in_words(path):
            bound = _bind(path)
        server = await asyncio.start_unix_server(self._accept, sock=bound, limit=MAX_LINE_BYTES)
        try:
            yield
        finally:
            server.close()
            _forget(path)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._clients >= MAX_CONTROL_CLIENTS or not same_user(writer.get_extra_info("socket")):
            writer.close()
            return
        self._clients += 1
        self._beside.start(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                line = await reader.readline()
            request = msgspec.json.decode(line, type=AnyRequest)
            go_ahead = asyncio.Event()
            async with companions() as beside:
                beside.start(_listen(reader, go_ahead if isinstance(request, StartRequest) else None))
                async with aclosing(self._answer(request, go_ahead)) as answers:
                    async for answer in answers:
                        writer.write(msgspec.json.encode(answer) + b"\n")
                        await writer.drain()
        except (TimeoutError, ValueError, OSError, msgspec.DecodeError) as error:
            _log.info("control_request_dropped", cause=type(error).__name__)
        finally:
            self._clients -= 1
            writer.close()

    async def _answer(self, request: AnyRequest, go_ahead: asyncio.Event) -> AsyncGenerator[AnyLine, None]:
        try:
            if isinstance(request, StartRequest):
                async with aclosing(self._start(request.session, go_ahead)) as lines:
                    async for line in lines:
                        yield line
            else:
                yield await self._do(request)
        except MusterError as error:
            yield as_line(error)

    async def _start(self, request: SessionRequest, go_ahead: asyncio.Event) -> AsyncGenerator[AnyLine, None]:
        session = await self._create(request)
        taken = False
        try:
            updates = session.updates()
            yield Started(session=session.view())
            await _in_time(go_ahead)
            taken = True
        finally:
            if not taken:
                self._beside.start(_drop(session))
        # From here on the calls go on without the command line; only ``cancel`` withdraws them.
        self._beside.start(session.invite(request.targets, purpose=request.purpose))
        waiting, blocking = set(request.targets), tuple[ClientId, ...]()
        async for update in updates:
            if isinstance(update, TargetChanged):
                yield TargetUpdate(target=update.target)
                if update.target.state.final:
                    waiting.discard(update.target.client)
            if isinstance(update, MembersChanged) and _blocking(update) != blocking:
                blocking = _blocking(update)
                yield Blocking(members=blocking)
            if not waiting:
                break
        yield Settled(session=session.view())

    async def _create(self, request: SessionRequest) -> Session:
        """Create the session; if the command line disconnects meanwhile, the session is closed again."""
        made: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        # Not cancelled with the request: a session that the hub created has to be closed.
        self._beside.start(self._make(request, made))
        try:
            return await made
        except asyncio.CancelledError:
            if not made.cancelled() and made.exception() is None:
                self._beside.start(_drop(made.result()))
            raise

    async def _make(self, request: SessionRequest, made: "asyncio.Future[Session]") -> None:
        try:
            session = await self._agent.create_session(request)
        except MusterError as error:
            if not made.cancelled():
                made.set_exception(error)
            return
        if made.cancelled():
            await _drop(session)
        else:
            made.set_result(session)

    async def _do(self, request: AnyRequest) -> AnyLine:  # noqa: C901 - one case for each request
        agent = self._agent
        match request:
            case AskStatus():
                return StatusIs(status=agent.status())
            case AskSessions():
                return SessionsAre(sessions=tuple(session.view() for session in agent.sessions()))
            case AskInbox():
                return InboxIs(invites=agent.inbox())
            case Accept():
                return InboxIs(invites=(await agent.accept(request.invite),))
            case Decline():
                return InboxIs(invites=(await agent.decline(request.invite),))
            case Notify():
                agent.notify()
            case Cancel():
                await agent.session(request.session).cancel()
            case LeaveSession():
                await agent.session(request.session).leave()
            case EndSession():
                await agent.session(request.session).close()
            case StartRequest():
                raise TypeError("a start is answered line by line")
        return Done()


async def _drop(session: Session) -> None:
    """Close a session whose command line disconnected before it knew of the session."""
    try:
        await session.close()
    except (NoReply, HubRefused) as error:
        # The hub is asked again at the next welcome, since this process no longer holds the session.
        _log.info("session_not_closed", session=session.id[:8], cause=str(error))
        session.end(None, Sayer.DEVICE)


async def _in_time(go_ahead: asyncio.Event) -> None:
    """Wait until the command line has confirmed the session; raises ``ControlFailed``."""
    try:
        async with asyncio.timeout(GO_AHEAD_TIMEOUT_S):
            await go_ahead.wait()
    except TimeoutError:
        raise ControlFailed("the command line did not confirm the new session in time; it was closed again") from None


async def _listen(reader: asyncio.StreamReader, go_ahead: asyncio.Event | None) -> None:
    """Wait for a start's go-ahead, and raise ``ConnectionResetError`` once the command line is gone.

    Otherwise the agent would send updates to a closed connection for days.
    """
    if go_ahead is not None and (line := await reader.readline()):
        msgspec.json.decode(line, type=GoAhead)
        go_ahead.set()
    if not await reader.read(1):
        raise ConnectionResetError
    raise ValueError("one request a connection")


def _bind(path: Path) -> socket.socket:
    """Make the socket, 0600. We hold the agent's lock, so an existing socket file is stale."""
    _forget(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The mode is set before any process can connect: nothing is accepted until the server listens.
        bound.bind(str(path))
        path.chmod(PRIVATE_FILE)
    except BaseException:
        bound.close()
        raise
    return bound


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)
