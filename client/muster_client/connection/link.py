"""The agent's way to the hub: one connection, made again whenever it is lost (SPEC.md section 3.4)."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ssl import SSLContext
from typing import TypeVar

import structlog

from muster_client.concurrency import companions
from muster_client.connection.backoff import CAP_S, Backoff
from muster_client.connection.connection import ConnectionLost, Dial, HubConnection, open_connection
from muster_client.connection.dialling import dialled, new_instance, pin
from muster_client.connection.keep_alive import KeepAlive
from muster_client.connection.machine_watch import CHECK_EVERY_S, SleepWatch, way_to
from muster_client.connection.tls import tls_context
from muster_client.device.device import Device
from muster_client.errors import DataNotWritten, HubKeyChanged, HubRefused, HubUnreachable, Trouble
from muster_client.events import (
    Connected,
    DataUnwritable,
    Disconnected,
    Event,
    HubPinned,
    KeepAliveShortened,
    Stopped,
)
from muster_client.views import Drop
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.frames import MAX_WAITING, Ack, Ok, Push, Reply, Request
from muster_protocol.ids import TimeMs
from muster_protocol.reasons import Reason

PROBE_TIMEOUT_S = 5.0
WAIT_FOR_HUB_S = 10.0
"""How long a request waits for a connection before it fails."""
MAX_QUEUED_PUSHES = 1024
"""Pushes that wait to be handled; beyond, the connection is dropped and everything read anew."""
MAX_UNACKNOWLEDGED = MAX_WAITING
"""Handled pushes that wait to be acknowledged, beside as many that are being; beyond, no further one is handled.

A hub lets no more than that wait for one device (SPEC.md section 3.3), so only one that answers nothing gets there.
"""
ACKNOWLEDGE_AFTER_S = 0.1
"""What is handled within this time is acknowledged together. A hub sends a push again only after some seconds."""
STOP_REASONS = {
    CloseCode.REVOKED: Reason.DEVICE_REVOKED,
    CloseCode.KEY_MISMATCH: Reason.KEY_MISMATCH,
    CloseCode.INCOMPATIBLE: Reason.INCOMPATIBLE_PROTOCOL,
}
"""What a close for good means where it came after ``welcome``; any other is a fault in what this device said."""

_log = structlog.get_logger("muster.link")

R = TypeVar("R", bound=Reply)


@dataclass(frozen=True, slots=True)
class _Ended:
    """Why a try or a connection ended, and how long to wait at least before the next."""

    cause: str
    at_least_s: float = 0.0
    reason: Reason | None = None
    sentence: str = ""


class Link:
    """Keeps the agent connected while ``run`` runs.

    ``on_welcome`` is awaited at each connect before any push is handled; ``on_push`` handles pushes in order, one at a
    time.
    """

    def __init__(
        self,
        device: Device,
        *,
        on_welcome: Callable[[HubConnection], Awaitable[None]],
        on_push: Callable[[HubConnection, Push], Awaitable[None]],
        tell: Callable[[Event], None],
        ssl: SSLContext | None = None,
    ) -> None:
        self._device = device
        self._on_welcome = on_welcome
        self._on_push = on_push
        self._tell = tell
        self._ssl = ssl
        self._instance = new_instance()
        self._backoff = Backoff()
        self._random = random.SystemRandom()
        self._ready = asyncio.Event()
        self._awake = asyncio.Event()
        self._connection: HubConnection | None = None
        self._unwritten: DataNotWritten | None = None
        self._peer: str | None = None
        self._way: str | None = None
        self.keep_alive = KeepAlive()
        """What was learnt of the way to the hub."""
        self.since: TimeMs | None = None
        """Since when the connection is up."""
        self.last_drop: Drop | None = None
        """Why there was no connection the last time that there was none."""

    @property
    def connection(self) -> HubConnection | None:
        """The connection that is up and in step with the hub, or None."""
        return self._connection if self._ready.is_set() else None

    @property
    def standing(self) -> Reason | None:
        """What the hub holds against this device, as it said at the newest connect."""
        return None if self._connection is None else self._connection.welcome.standing

    async def ready(self) -> None:
        """Wait until there is a connection and ``on_welcome`` is done with it."""
        await self._ready.wait()

    async def in_step(self) -> None:
        """Wait for a connection that is in step with the hub, if one comes soon; raises ``HubUnreachable``."""
        try:
            async with asyncio.timeout(WAIT_FOR_HUB_S):
                await self._ready.wait()
        except TimeoutError:
            raise self._away() from None

    def _away(self) -> HubUnreachable:
        """Say why there is no connection, where that is known."""
        drop = self.last_drop
        if drop is None or not drop.sentence:
            return HubUnreachable("no connection to the hub")
        known = drop.cause in set(Trouble)
        return HubUnreachable(drop.sentence, Trouble(drop.cause) if known else Trouble.HUB_UNREACHABLE)

    async def ask(self, request: Request, reply: type[R]) -> R:
        """Send a request over the connection that is up, or the next one if it comes soon.

        Raises ``HubRefused``, ``HubUnreachable``.
        """
        if self._connection is None:
            await self.in_step()
        if self._connection is None:
            raise HubUnreachable("the connection to the hub was lost just now")
        return await self._connection.ask(request, reply)

    # -- keeping connected --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, again and again; raises ``HubRefused`` where the hub said with proof that it is no use."""
        async with companions() as beside:
            beside.start(self._watch_machine())
            while True:
                await self._wait(await self._connect_once())

    async def _connect_once(self) -> _Ended:
        """Be connected for as long as it lasts; tells why it ended."""
        try:
            await self._be_connected()
        except HubRefused as refused:
            if refused.stop:
                raise self._stopped(refused.reason) from None
            return _Ended("refused", (refused.retry_after_ms or 0) / 1000, refused.reason)
        except HubKeyChanged as changed:
            self._backoff.longest()
            return _Ended("hub_key_changed", 0.0, Reason.HUB_KEY_CHANGED, str(changed))
        except DataNotWritten as error:
            return self._on_unwritten(error)
        except ConnectionLost as lost:
            return self._on_lost(lost)
        except HubUnreachable as error:
            plain = error.trouble is Trouble.HUB_UNREACHABLE
            return _Ended("unreachable" if plain else error.trouble.value, sentence=str(error))
        return _Ended("closed")

    def _on_lost(self, lost: ConnectionLost) -> _Ended:
        unwritten, self._unwritten = self._unwritten, None
        if unwritten is not None:
            return self._on_unwritten(unwritten)
        if lost.code == CloseCode.SUPERSEDED:
            # Another process of this device took the seat: this one comes back as a new instance, much later, so that
            # two copies of one device do not take it from each other without end.
            self._instance = new_instance()
            self._backoff.longest()
            return _Ended("superseded", CAP_S, Reason.SUPERSEDED)
        if lost.stop:
            known = {code.value: reason for code, reason in STOP_REASONS.items()}
            raise self._stopped(known.get(lost.code, Reason.MALFORMED))
        return _Ended(f"closed_{lost.code}", (lost.retry_after_ms or 0) / 1000, sentence=_why_lost(lost))

    def _on_unwritten(self, error: DataNotWritten) -> _Ended:
        """Go on without the connection: what the hub pushes could not be kept, and comes again at the next one."""
        self._tell(DataUnwritable(sentence=str(error)))
        return _Ended("data_unwritable", sentence=str(error))

    def _stopped(self, reason: Reason) -> HubRefused:
        self._tell(Stopped(reason=reason))
        return HubRefused(reason, stop=True)

    async def _be_connected(self) -> None:
        device = self._device
        introduction = dialled(device, Role.AGENT, self._instance)
        dial = Dial(device.address.url, introduction, device.token(), ssl=self._ssl or tls_context(device))
        async with open_connection(dial) as connection, companions() as beside:
            self._begin(connection)
            queue: asyncio.Queue[Push] = asyncio.Queue(MAX_QUEUED_PUSHES)
            handled: asyncio.Queue[str] = asyncio.Queue(MAX_UNACKNOWLEDGED)
            try:
                beside.start(self._handle(connection, queue, handled))
                beside.start(_acknowledge(connection, handled))
                beside.start(connection.keep_alive(self.keep_alive.interval_s))
                await connection.read(lambda push: _enqueue(queue, push))
            except ConnectionLost as lost:
                self._learn(connection, lost)
                raise
            finally:
                self._ready.clear()
                self._connection = self.since = None

    def _begin(self, connection: HubConnection) -> None:
        self._connection, self.since = connection, self._device.clock()
        self._awake.clear()
        self._unwritten = None
        self._backoff.connected(time.monotonic())
        self._peer, self._way = connection.peer, way_to(connection.peer)
        self.keep_alive.connected(connection.local)
        self._introduce(connection)

    def _learn(self, connection: HubConnection, lost: ConnectionLost) -> None:
        if lost.died_idle_s is not None and self.keep_alive.died(lost.died_idle_s, connection.outlived_s):
            self._tell(KeepAliveShortened(interval_s=self.keep_alive.interval_s))

    def _introduce(self, connection: HubConnection) -> None:
        hub, welcome = connection.hub, connection.welcome
        if pin(self._device, hub):
            self._tell(HubPinned(hub=hub.fingerprint, followed=hub.followed))
        self._tell(Connected(hub=hub.fingerprint, connection=welcome.connection, standing=welcome.standing))

    async def _handle(self, connection: HubConnection, queue: asyncio.Queue[Push], handled: asyncio.Queue[str]) -> None:
        try:
            await self._on_welcome(connection)
            self._ready.set()
            while True:
                push = await queue.get()
                await self._on_push(connection, push)
                if push.push is not None:
                    await handled.put(push.push)
        except DataNotWritten as error:
            self._unwritten = error
            await connection.drop()
        except HubUnreachable:
            # The reader finds the same and says why; what was not acknowledged comes again.
            await connection.drop()

    async def _wait(self, ended: _Ended) -> None:
        self._backoff.lost(time.monotonic())
        delay_s = self._backoff.delay_s(self._random.random(), at_least_s=ended.at_least_s)
        cause, reason, sentence = ended.cause, ended.reason, ended.sentence
        self.last_drop = Drop(at=self._device.clock(), cause=cause, reason=reason, sentence=sentence)
        self._tell(Disconnected(cause=cause, retry_in_s=delay_s, reason=reason, sentence=sentence))
        try:
            async with asyncio.timeout(delay_s):
                await self._awake.wait()
        except TimeoutError:
            return
        # It woke up for one try: where that fails at once too, the next one waits.
        self._awake.clear()

    async def _watch_machine(self) -> None:
        """Look every few seconds whether the machine slept, or is on another network."""
        watch = SleepWatch(self._wall_s(), time.monotonic())
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            slept = watch.slept(self._wall_s(), time.monotonic())
            if self._moved() or slept:
                await self._look_now()

    def _wall_s(self) -> float:
        return self._device.clock() / 1000

    def _moved(self) -> bool:
        """Tell whether the way to the hub starts elsewhere than at the last look, or at last starts somewhere."""
        if self._peer is None:
            return False
        before, self._way = self._way, way_to(self._peer)
        return self._way != before

    async def _look_now(self) -> None:
        """Find out at once whether the connection survived; without one, try at once."""
        connection = self._connection
        if connection is None:
            self.wake()
            return
        try:
            await connection.probe(PROBE_TIMEOUT_S)
        except HubUnreachable:
            self._awake.set()
            await connection.drop()

    def wake(self) -> None:
        """Try again now, where the next try is waited for."""
        if self._connection is None:
            self._awake.set()

    async def refresh(self) -> None:
        """Connect anew, now."""
        if self._connection is not None:
            self._awake.set()
            await self._connection.drop()


def _why_lost(lost: ConnectionLost) -> str:
    if lost.died_idle_s is None:
        return str(lost)
    return f"the connection to the hub broke after {lost.died_idle_s:.0f} s of silence"


async def _acknowledge(connection: HubConnection, handled: asyncio.Queue[str]) -> None:
    """Acknowledge what was handled, as much as came within a moment in one request, and keep no push waiting for it."""
    while True:
        pushes = [await handled.get()]
        await asyncio.sleep(ACKNOWLEDGE_AFTER_S)
        while len(pushes) < MAX_WAITING and not handled.empty():
            pushes.append(handled.get_nowait())
        try:
            await connection.ask(Ack(id=0, pushes=tuple(pushes)), Ok)
        except HubRefused as refused:
            # They come again at the next connect, and have no second effect.
            _log.info("pushes_not_acknowledged", count=len(pushes), reason=refused.reason)
        except HubUnreachable:
            await connection.drop()
            return


def _enqueue(queue: asyncio.Queue[Push], push: Push) -> None:
    if queue.full():
        raise HubUnreachable("more pushes came than this device could handle")
    queue.put_nowait(push)
