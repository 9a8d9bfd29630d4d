"""The agent's way to the hub: one connection, made again whenever it is lost (SPEC.md section 3.4)."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from typing import TypeVar

import structlog

from muster_client.alongside import companions
from muster_client.backoff import Backoff
from muster_client.connection import Connection, ConnectionLost, Dial, open_connection
from muster_client.device import Device
from muster_client.errors import HubKeyChanged, HubRefused, HubUnreachable
from muster_client.events import Connected, Disconnected, Event, HubPinned, Stopped
from muster_client.introduction import dialled, new_instance, pin
from muster_client.sleeping import CHECK_EVERY_S, SleepWatch
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.frames import MAX_WAITING, Ack, Ok, Push, Reply, Request
from muster_protocol.reasons import Reason

PROBE_TIMEOUT_S = 5.0
WAIT_FOR_HUB_S = 10.0
"""How long a request waits for a connection before it fails."""
MAX_QUEUED_PUSHES = 1024
"""Pushes that wait to be handled; beyond, the connection is dropped and everything read anew."""
STOP_REASONS = {
    CloseCode.REVOKED: Reason.DEVICE_REVOKED,
    CloseCode.KEY_MISMATCH: Reason.KEY_MISMATCH,
    CloseCode.INCOMPATIBLE: Reason.INCOMPATIBLE_PROTOCOL,
}
"""What a close for good means where it came after ``welcome``; any other is a fault in what this device said."""

_log = structlog.get_logger("muster.link")

R = TypeVar("R", bound=Reply)


class Link:
    """Keeps the agent connected while ``run`` runs.

    ``on_welcome`` is awaited at each connect before any push is handled; ``on_push`` handles pushes in order, one at a
    time.
    """

    def __init__(
        self,
        device: Device,
        *,
        on_welcome: Callable[[Connection], Awaitable[None]],
        on_push: Callable[[Connection, Push], Awaitable[None]],
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
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection | None:
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
            raise HubUnreachable("no connection to the hub") from None

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
            beside.start(self._watch_sleep())
            while True:
                await self._wait(*await self._connect_once())

    async def _connect_once(self) -> tuple[str, float, Reason | None]:
        """Be connected for as long as it lasts; give why it ended, how long to wait at least, and the hub's reason."""
        try:
            await self._be_connected()
        except HubRefused as refused:
            if refused.stop:
                raise self._stopped(refused.reason) from None
            return "refused", (refused.retry_after_ms or 0) / 1000, refused.reason
        except HubKeyChanged:
            self._backoff.longest()
            return "hub_key_changed", 0.0, Reason.HUB_KEY_CHANGED
        except ConnectionLost as lost:
            return self._on_lost(lost)
        except HubUnreachable:
            return "unreachable", 0.0, None
        return "closed", 0.0, None

    def _on_lost(self, lost: ConnectionLost) -> tuple[str, float, Reason | None]:
        if lost.code == CloseCode.SUPERSEDED:
            # Another process of this device took the seat: this one comes back as a new instance, much later, so that
            # two copies of one device do not take it from each other without end.
            self._instance = new_instance()
            self._backoff.longest()
            return "superseded", 0.0, Reason.SUPERSEDED
        if lost.stop:
            known = {code.value: reason for code, reason in STOP_REASONS.items()}
            raise self._stopped(known.get(lost.code, Reason.MALFORMED))
        return f"closed_{lost.code}", (lost.retry_after_ms or 0) / 1000, None

    def _stopped(self, reason: Reason) -> HubRefused:
        self._tell(Stopped(reason=reason))
        return HubRefused(reason, stop=True)

    async def _be_connected(self) -> None:
        device = self._device
        dial = Dial(device.address.url, dialled(device, Role.AGENT, self._instance), device.token(), ssl=self._ssl)
        async with open_connection(dial) as connection, companions() as beside:
            self._connection = connection
            self._awake.clear()
            self._backoff.connected(time.monotonic())
            self._introduce(connection)
            queue: asyncio.Queue[Push] = asyncio.Queue(MAX_QUEUED_PUSHES)
            handled: asyncio.Queue[str] = asyncio.Queue()
            try:
                beside.start(self._handle(connection, queue, handled))
                beside.start(_acknowledge(connection, handled))
                await connection.read(lambda push: _enqueue(queue, push))
            finally:
                self._ready.clear()
                self._connection = None

    def _introduce(self, connection: Connection) -> None:
        hub, welcome = connection.hub, connection.welcome
        if pin(self._device, hub):
            self._tell(HubPinned(hub=hub.fingerprint, followed=hub.followed))
        self._tell(Connected(hub=hub.fingerprint, connection=welcome.connection, standing=welcome.standing))

    async def _handle(self, connection: Connection, queue: asyncio.Queue[Push], handled: asyncio.Queue[str]) -> None:
        try:
            await self._on_welcome(connection)
            self._ready.set()
            while True:
                push = await queue.get()
                await self._on_push(connection, push)
                if push.push is not None:
                    handled.put_nowait(push.push)
        except HubUnreachable:
            # The reader finds the same and says why; what was not acknowledged comes again.
            await connection.drop()

    async def _wait(self, cause: str, at_least_s: float, reason: Reason | None) -> None:
        self._backoff.lost(time.monotonic())
        delay_s = self._backoff.delay_s(self._random.random(), at_least_s=at_least_s)
        self._tell(Disconnected(cause=cause, retry_in_s=delay_s, reason=reason))
        try:
            async with asyncio.timeout(delay_s):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _watch_sleep(self) -> None:
        watch = SleepWatch(time.time(), time.monotonic())
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            if watch.slept(time.time(), time.monotonic()):
                await self._after_sleep()

    async def _after_sleep(self) -> None:
        """Find out at once whether the connection survived; without one, try at once."""
        if self._connection is None:
            self.wake()
            return
        try:
            await self._connection.probe(PROBE_TIMEOUT_S)
        except HubUnreachable:
            await self.refresh()

    def wake(self) -> None:
        """Try again now, where the next try is waited for."""
        if self._connection is None:
            self._awake.set()

    async def refresh(self) -> None:
        """Connect anew, now."""
        if self._connection is not None:
            self._awake.set()
            await self._connection.drop()


async def _acknowledge(connection: Connection, handled: asyncio.Queue[str]) -> None:
    """Acknowledge what was handled, as much as waits at once, and keep no push waiting for it."""
    while True:
        pushes = [await handled.get()]
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
