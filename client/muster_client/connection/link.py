"""The agent's link to the hub: one connection, opened again whenever it is lost (SPEC.md section 3.4)."""

import asyncio
from ssl import SSLContext
from typing import Protocol, TypeVar

from muster_client.concurrency import companions
from muster_client.connection.connection import ConnectionLost, Dial, HubConnection, open_connection
from muster_client.connection.dialling import dialled, new_instance, pin
from muster_client.connection.keep_alive import KeepAlive
from muster_client.connection.loss import LinkError, Loss, loss_from
from muster_client.connection.machine_watch import MachineWatch
from muster_client.connection.push_queue import PushHandler, PushQueue
from muster_client.connection.retries import Retries
from muster_client.connection.tls import tls_ways
from muster_client.connection.tries import MAX_TRIES, Check, unchecked
from muster_client.device.device import Device
from muster_client.device.hub_address import HubAddress
from muster_client.errors import (
    DataNotWritten,
    HubBusy,
    HubKeyChanged,
    HubRefused,
    HubUnreachable,
    NoReply,
    ReplyUnreadable,
)
from muster_client.events import Broadcast, Connected, DataUnwritable, Event, HubPinned, KeepAliveShortened, Stopped
from muster_client.views import Drop
from muster_protocol.closes import NextTry
from muster_protocol.connect import Role
from muster_protocol.frames import Reply, Request
from muster_protocol.ids import TimeMs
from muster_protocol.reasons import Reason

PROBE_TIMEOUT_S = 5.0
WAIT_FOR_HUB_S = 10.0
"""How long a request waits for a connection before it fails."""

R = TypeVar("R", bound=Reply)


class LinkHandler(PushHandler, Protocol):
    """What an agent does with each new connection, and then with its pushes."""

    async def begin(self, connection: HubConnection) -> None:
        """Bring the device and the hub in step; no push is handled before that is done."""


class Link:
    """Keeps the agent connected while ``run`` runs, and tells ``events`` how that goes."""

    def __init__(self, device: Device, events: Broadcast[Event], *, ssl: SSLContext | None = None) -> None:
        self._device = device
        self._events = events
        self._ssl = ssl
        self._instance = new_instance()
        self._turn = 0
        self._retries = Retries(device.clock, events)
        self._machine = MachineWatch(device.clock, self._check_connection)
        self._ready = asyncio.Event()
        self._connection: HubConnection | None = None
        self._fault: DataNotWritten | ReplyUnreadable | HubBusy | None = None
        self.keep_alive = KeepAlive()
        """What was learnt of the way to the hub."""
        self.since: TimeMs | None = None
        """Since when the connection is up."""

    @property
    def _address(self) -> HubAddress:
        addresses = self._device.addresses
        return addresses[self._turn % len(addresses)]

    @property
    def url(self) -> str:
        """The address that leads to the hub, or that is tried next."""
        return self._address.url

    @property
    def connection(self) -> HubConnection | None:
        """The connection that is up and in step with the hub, or None."""
        return self._connection if self._ready.is_set() else None

    @property
    def standing(self) -> Reason | None:
        """What the hub holds against this device, as it said at the newest connect."""
        return None if self._connection is None else self._connection.welcome.standing

    @property
    def last_drop(self) -> Drop | None:
        """Why there was no connection the last time that there was none."""
        return self._retries.last_drop

    async def ready(self) -> None:
        """Wait until there is a connection and device and hub are in step."""
        await self._ready.wait()

    async def in_step(self) -> None:
        """Wait up to ``WAIT_FOR_HUB_S`` for a connection that is in step with the hub; raises ``NoReply``."""
        try:
            async with asyncio.timeout(WAIT_FOR_HUB_S):
                await self._ready.wait()
        except TimeoutError:
            raise self._retries.error() from None

    async def ask(self, request: Request, reply: type[R], check: Check = unchecked, max_tries: int = MAX_TRIES) -> R:
        """Send a request over the connection that is up, or the next one if it comes soon.

        ``check`` and ``max_tries`` are those of ``HubConnection.ask``. Raises ``HubRefused``, ``NoReply``.
        """
        if self._connection is None:
            await self.in_step()
        if self._connection is None:
            raise HubUnreachable("the connection to the hub was lost just now")
        return await self._connection.ask(request, reply, check, max_tries)

    def wake(self) -> None:
        """Try again now, if the link waits for its next try."""
        if self._connection is None:
            self._retries.wake()

    async def refresh(self) -> None:
        """Drop the connection that is up and connect again at once."""
        if self._connection is not None:
            self._retries.wake()
            await self._connection.drop()

    # -- keeping connected --------------------------------------------------------------------------------------------

    async def run(self, handler: LinkHandler) -> None:
        """Connect again and again; raises ``HubRefused`` where the hub proved that it revoked this device."""
        async with companions() as beside:
            beside.start(self._machine.run())
            while True:
                await self._retries.wait(await self._connect_once(handler))

    async def _connect_once(self, handler: LinkHandler) -> Loss:
        """Stay connected for as long as it lasts, and return why it ended."""
        try:
            await self._stay_connected(handler)
        except ConnectionLost as lost:
            return self._lost(self._fault or lost)
        except (HubRefused, HubKeyChanged, NoReply, DataNotWritten) as error:
            return self._lost(error)
        return Loss("closed")

    def _lost(self, error: LinkError) -> Loss:
        """Return what an error means for the next try; raises ``HubRefused`` where there is to be none."""
        loss = loss_from(error)
        if isinstance(error, DataNotWritten):
            # What the hub pushed could not be kept; it comes again at the next connect.
            self._events.tell(DataUnwritable(sentence=loss.sentence))
        if loss.next_try is NextTry.NEVER:
            reason = loss.reason or Reason.DEVICE_REVOKED
            self._events.tell(Stopped(reason=reason))
            raise HubRefused(reason, next_try=NextTry.NEVER) from None
        if loss.next_try is NextTry.NEW_INSTANCE:
            self._instance = new_instance()
        return loss

    async def _stay_connected(self, handler: LinkHandler) -> None:
        device = self._device
        address = self._address
        # The next one, unless this one leads to the hub.
        self._turn += 1
        introduction = dialled(device, address, Role.AGENT, self._instance)
        trusted = tls_ways(device) if self._ssl is None else (self._ssl,)
        dial = Dial(address.url, introduction, device.token, tls=trusted)
        async with open_connection(dial) as connection, companions() as beside:
            self._turn -= 1
            self._begin(connection)
            pushes = PushQueue(connection, handler)
            try:
                beside.start(self._handle(connection, handler, pushes))
                beside.start(pushes.acknowledge())
                beside.start(connection.keep_alive(self.keep_alive.interval_s))
                await connection.read(pushes.put)
            except ConnectionLost as lost:
                self._learn(connection, lost)
                raise
            finally:
                self._ready.clear()
                self._connection = self.since = None

    def _begin(self, connection: HubConnection) -> None:
        self._connection, self.since = connection, self._device.clock()
        self._fault = None
        self._retries.connected()
        self._machine.connected(connection.peer)
        self.keep_alive.connected(connection.local)
        hub, welcome = connection.hub, connection.welcome
        if pin(self._device, connection):
            self._events.tell(HubPinned(hub=hub.fingerprint, followed=hub.followed))
        self._events.tell(
            Connected(url=self.url, hub=hub.fingerprint, connection=welcome.connection, standing=welcome.standing)
        )

    async def _handle(self, connection: HubConnection, handler: LinkHandler, pushes: PushQueue) -> None:
        try:
            await handler.begin(connection)
            self._ready.set()
            await pushes.handle()
        except (DataNotWritten, ReplyUnreadable, HubBusy) as error:
            self._fault = error
            await connection.drop()
        except HubUnreachable:
            # The reader finds the same and says why; pushes that were not acknowledged come again.
            await connection.drop()

    def _learn(self, connection: HubConnection, lost: ConnectionLost) -> None:
        if lost.died_idle_s is not None and self.keep_alive.died(lost.died_idle_s, connection.outlived_s):
            self._events.tell(KeepAliveShortened(interval_s=self.keep_alive.interval_s))

    async def _check_connection(self) -> None:
        """Find out at once whether the connection survived; without a connection, try at once."""
        connection = self._connection
        if connection is None:
            self.wake()
            return
        try:
            await connection.probe(PROBE_TIMEOUT_S)
        except HubUnreachable:
            self._retries.wake()
            await connection.drop()
