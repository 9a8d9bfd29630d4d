"""The agent's end of the local control socket."""

import asyncio
import os
import socket
import struct
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
from muster_client.device.private_files import PRIVATE_FILE, in_words, make_private_folder, readable_by_others
from muster_client.device.session_request import SessionRequest
from muster_client.errors import ControlFailed, HubRefused, HubUnreachable, UnusableData
from muster_client.events import InboxEntry, TargetChanged
from muster_client.paths import SOCKET_FILE
from muster_client.sessions.session import Session
from muster_client.views import AgentStatus
from muster_protocol.errors import MusterError
from muster_protocol.ids import SessionId
from muster_protocol.reasons import Sayer

MAX_CONTROL_CLIENTS = 16
REQUEST_TIMEOUT_S = 5.0
"""How long a command line may take to say what it wants."""
GO_AHEAD_TIMEOUT_S = 60.0
"""How long it may take over the session that was made for it, before that is closed again."""
MAX_SOCKET_PATH_BYTES = 100
"""A Unix socket's address holds 104 bytes on macOS, 108 on Linux."""

_log = structlog.get_logger("muster.control")


def socket_path(device: Path) -> Path:
    """Say where the control socket is: beside the data, or where that path is too long, in a folder of this user.

    Raises ``UnusableData`` where that folder is somebody else's.
    """
    beside = (device / SOCKET_FILE).absolute()
    if len(os.fsencode(beside)) <= MAX_SOCKET_PATH_BYTES:
        return beside
    folder = Path(tempfile.gettempdir()) / f"muster-{os.getuid()}"
    with in_words(folder):
        make_private_folder(folder)
        if folder.stat().st_uid != os.getuid() or readable_by_others(folder):
            raise UnusableData(f"{folder} is somebody else's; give the device a shorter path, or name another TMPDIR")
    return folder / f"{sha256(os.fsencode(beside)).hexdigest()[:16]}.sock"


class Controlled(Protocol):
    """What command lines ask of an agent; ``Agent`` documents each of these."""

    def status(self) -> AgentStatus:
        """Return how the agent is."""

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
        """Look for what another process of the device did."""

    async def create_session(self, request: SessionRequest) -> Session:
        """Create a session without calling anyone."""


class ControlServer:
    """Answers command lines of the same user, each connection one request."""

    def __init__(self, agent: Controlled, beside: Companions) -> None:
        self._agent = agent
        self._beside = beside
        self._clients = 0

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Listen for as long as the block runs; raises ``UnusableData`` where the socket cannot be made."""
        with in_words(path):
            bound = _bind(path)
        server = await asyncio.start_unix_server(self._accept, sock=bound, limit=MAX_LINE_BYTES)
        try:
            yield
        finally:
            server.close()
            _forget(path)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._clients >= MAX_CONTROL_CLIENTS or not _same_user(writer):
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
        # The calls go on if the command line goes away from here on; only `cancel` withdraws them.
        self._beside.start(session.invite(request.targets, purpose=request.purpose))
        waiting = set(request.targets)
        async for update in updates:
            if isinstance(update, TargetChanged):
                yield TargetUpdate(target=update.target)
                if update.target.state.final:
                    waiting.discard(update.target.client)
            if not waiting:
                break
        yield Settled(session=session.view())

    async def _create(self, request: SessionRequest) -> Session:
        """Make the session; where the command line goes away meanwhile, nobody wants it, and it is closed again."""
        made: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        # Not cancelled with the request: whatever the hub was asked for has to be taken back.
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
    """Close a session that was asked for by a command line that heard nothing of it."""
    try:
        await session.close()
    except (HubUnreachable, HubRefused) as error:
        # What this process does not hold is closed at the next welcome.
        _log.info("session_not_closed", session=session.id[:8], cause=str(error))
        session.end(None, Sayer.DEVICE)


async def _in_time(go_ahead: asyncio.Event) -> None:
    """Wait until the command line has taken the session over; raises ``ControlFailed``."""
    try:
        async with asyncio.timeout(GO_AHEAD_TIMEOUT_S):
            await go_ahead.wait()
    except TimeoutError:
        raise ControlFailed("nobody took the new session over in time; it was closed again") from None


async def _listen(reader: asyncio.StreamReader, go_ahead: asyncio.Event | None) -> None:
    """Hear a start's go-ahead, and raise once the command line is gone: nobody goes on telling it things for days."""
    if go_ahead is not None and (line := await reader.readline()):
        msgspec.json.decode(line, type=GoAhead)
        go_ahead.set()
    if not await reader.read(1):
        raise ConnectionResetError
    raise ValueError("one request a connection")


def _bind(path: Path) -> socket.socket:
    """Make the socket, 0600. The agent's lock is held, so an old one there is nobody's."""
    _forget(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The mode is restricted before anybody can connect: nothing is accepted until the server listens.
        bound.bind(str(path))
        path.chmod(PRIVATE_FILE)
    except BaseException:
        bound.close()
        raise
    return bound


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


def _same_user(writer: asyncio.StreamWriter) -> bool:
    """Tell whether the other end runs as this user. Where the platform cannot say, the file's mode has to do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    peer: socket.socket = writer.get_extra_info("socket")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return bool(uid == os.getuid())
