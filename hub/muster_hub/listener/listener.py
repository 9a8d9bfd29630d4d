"""The listener: accepting sockets, the sweep over all deadlines, and the planned stop."""

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import structlog

from muster_hub.listener.gate import Gate
from muster_hub.listener.opening import Opening
from muster_hub.listener.peer import AnswerHttp, NewHandler
from muster_hub.listener.settings import ListenerSettings
from muster_hub.listener.sockets import UnixSocketFile, bind, shown, waiting
from muster_hub.listener.state import ListenerState
from muster_hub.listener.tls import TlsHandshake
from muster_hub.listener.wheel import Wheel
from muster_protocol.closes import CloseCode
from muster_protocol.connect import SUBPROTOCOL

DRAIN_BATCH = 200
"""Connections that are closed at the same time, and so may come back elsewhere at the same time."""

DRAIN_PAUSE_S = 0.1
"""The pause between two such batches."""

LAST_CALL_TURNS = 1_000
"""Turns of the event loop in which sockets that the kernel has accepted are still taken."""

TAKING_TURNS = 8
"""Turns of the event loop from accepting a socket to its first call, with a margin: asyncio loses sockets that are
between the two when it closes."""

OPENING_WAIT_S = 1.0
"""How long the stop waits for handshakes under way to read their refusal."""
OPENING_POLL_S = 0.01

_log = structlog.get_logger(__name__)


class Listener:
    """Accepts connections while its ``async with`` block runs, and serves each by a handler of its own.

    ``new_handler`` is called once per WebSocket connection; ``http`` answers ``/healthz`` and ``/readyz``, at once.
    With ``subprotocol`` None a connection needs none. Entering raises ``OSError`` if the address cannot be bound.
    Leaving closes what is still connected with ``GOING_AWAY``.
    """

    _loop: asyncio.AbstractEventLoop
    _server: asyncio.Server
    _socket_file: UnixSocketFile
    _sweeper: asyncio.TimerHandle

    def __init__(
        self,
        settings: ListenerSettings,
        new_handler: NewHandler,
        http: AnswerHttp,
        subprotocol: str | None = SUBPROTOCOL,
    ) -> None:
        self._settings = settings
        self._state = ListenerState(
            settings, subprotocol, new_handler, http, Gate(settings), Wheel(settings.sweep_interval_s)
        )
        self._sweep_at_s = 0.0
        self.addresses: tuple[str, ...] = ()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as started:
            await started.enter_async_context(self._state.tasks)  # first: a socket may come before ``bind`` returns
            started.callback(self._state.abort_all)
            self._server = await bind(self._settings, self._accepted)
            started.callback(self._server.close)
            self._begin()
            started.pop_all()  # ``__aexit__`` ends it from now on
        _log.info("listening", addresses=self.addresses)
        return self

    def _begin(self) -> None:
        self._socket_file = UnixSocketFile(self._settings)
        names = [sock.getsockname() for sock in self._server.sockets]
        self.addresses = tuple(shown(name) for name in names)
        self.port = names[0][1] if isinstance(names[0], tuple) else 0
        self._sweep_at_s = self._loop.time() + self._settings.sweep_interval_s
        self._sweeper = self._loop.call_at(self._sweep_at_s, self._sweep)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.drain(CloseCode.GOING_AWAY)
        finally:
            self._sweeper.cancel()
            self._socket_file.remove()
            self._state.abort_all()
            await self._state.tasks.__aexit__(None, None, None)
        await self._server.wait_closed()

    def _accepted(self) -> asyncio.Protocol:
        tls = self._settings.tls
        return Opening(self._state) if tls is None else TlsHandshake(self._state, tls)

    @property
    def connections(self) -> int:
        """The number of WebSocket connections, including those that are closing."""
        return len(self._state.connections)

    def stop_accepting(self) -> None:
        """Close the listening sockets, and refuse handshakes that are still under way with 503; idempotent."""
        self._state.accepting = False
        self._server.close()

    async def last_call(self) -> None:
        """Accept the sockets in the kernel's queue, then ``stop_accepting``: closing first would reset them."""
        quiet = 0
        for _ in range(LAST_CALL_TURNS):
            quiet = 0 if waiting(self._server.sockets) else quiet + 1
            if quiet > TAKING_TURNS:
                break
            await asyncio.sleep(0)
        self.stop_accepting()

    async def drain(
        self, code: int, reason: str = "", *, batch: int = DRAIN_BATCH, pause_s: float = DRAIN_PAUSE_S
    ) -> None:
        """Stop accepting, close all connections, ``batch`` of them every ``pause_s``, and wait until all have ended.

        A peer that does not answer is reset after ``close_timeout_s``.
        """
        await self.last_call()
        leaving = tuple(self._state.connections)
        for start in range(0, len(leaving), batch):
            if start:
                await asyncio.sleep(pause_s)
            for connection in leaving[start : start + batch]:
                connection.close(code, reason)
        if self._state.connections:
            await self._state.all_closed.wait()
        await self._until_refused()
        _log.info("drained", connections=len(leaving))

    async def _until_refused(self) -> None:
        until_s = self._loop.time() + OPENING_WAIT_S
        while self._state.openings and self._loop.time() < until_s:  # noqa: ASYNC110 - once in a listener's life
            await asyncio.sleep(OPENING_POLL_S)

    def _sweep(self) -> None:
        interval_s = self._settings.sweep_interval_s
        now_s = self._loop.time()
        # A small delay is made up for. A long one means that this process was frozen, and the silence was ours.
        late = now_s - self._sweep_at_s > interval_s
        self._sweep_at_s = (now_s if late else self._sweep_at_s) + interval_s
        self._sweeper = self._loop.call_at(self._sweep_at_s, self._sweep)
        self._state.wheel.turn()
        refused = self._state.gate.take_refused()
        if refused:
            _log.warning("connections_refused", count=refused, inside=self._state.gate.inside)
