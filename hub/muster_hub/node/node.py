"""The composition root of one node: store, lease, bus, use cases, listener, closed in the reverse order.

This is the one place that names every room.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import msgspec
import structlog

from muster_hub.admin.server import listening
from muster_hub.admin.verbs import Verbs
from muster_hub.concurrency import Tasks, alongside
from muster_hub.config.addresses import (
    AcceptedOrigins,
    Binding,
    binding,
    dialled,
    enrolment,
    host_names,
    tls,
    trusted_proxies,
)
from muster_hub.config.certificate import ServerCertificate
from muster_hub.config.hub_key import HubSecrets, load_or_create
from muster_hub.config.own_certificate import OwnCertificate
from muster_hub.config.settings import Settings, Tls
from muster_hub.connections.connection import DeviceConnection
from muster_hub.connections.dispatch import Dispatch
from muster_hub.connections.handshake import Handshakes
from muster_hub.connections.request_table import use_cases
from muster_hub.connections.services import Services
from muster_hub.context import Clock, NodeContext, WallClock
from muster_hub.listener import Listener, ListenerSettings
from muster_hub.node import outbox
from muster_hub.node.bus_link import BusLink
from muster_hub.node.certificate_renewal import CertificateRenewal
from muster_hub.node.data_folder import data_folder, note
from muster_hub.node.drain import Drain
from muster_hub.node.health import Readiness
from muster_hub.node.lease import LeasedNodes
from muster_hub.node.other_nodes import KNOWN_AFTER_S, OtherNodes
from muster_hub.node.resync import Resync
from muster_hub.node.store_url import store_url
from muster_hub.presence.departures import Departures
from muster_hub.presence.record import AgentLocations
from muster_hub.presence.reregistration import refresh
from muster_hub.presence.watches import PresenceWatches
from muster_hub.rate_limits.costs import REQUEST_RATE
from muster_hub.rate_limits.spending import Spending
from muster_hub.rate_limits.token_bucket import Rate
from muster_hub.routing.router import Router
from muster_hub.store.adapter import Store
from muster_hub.store.bus import Bus
from muster_hub.store.durability import Durability, claim_hub, durability
from muster_hub.store.errors import StoreError
from muster_protocol.ids import Fingerprint

SETTLE_LIMIT_S = 5.0
"""How long a stopping node waits to write its departures to the store."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tuning:
    """Values that are fixed in service and set by tests: the clock, the listener's limits, the rate of requests."""

    clock: Clock = field(default_factory=WallClock)
    limits: ListenerSettings = field(default_factory=ListenerSettings)
    request_rate: Rate = REQUEST_RATE


@dataclass(frozen=True, slots=True)
class NodeParts:
    """The parts of a node: its name, its store and what that keeps, and the hub's key."""

    name: str
    store: Store
    kept: Durability
    key: HubSecrets


class Node:
    """A node that serves devices: see ``open_node``."""

    def __init__(self, settings: Settings, tuning: Tuning, parts: NodeParts) -> None:
        store, key = parts.store, parts.key
        self._tuning = tuning
        self._binding: Binding = binding(settings)
        if self._binding.own_tls:
            self._binding = replace(self._binding, certificate=OwnCertificate(settings.data_dir, key.signing))
        settings = msgspec.structs.replace(settings, enrolment=enrolment(settings, self._binding))
        certificate = self._binding.certificate
        self._renewal = None if certificate is None else CertificateRenewal(certificate)
        self._tasks = Tasks()
        self._bus: Bus
        self._listener: Listener
        self._nodes = LeasedNodes(store, parts.name)
        self._watching = PresenceWatches()
        self._bus_link = BusLink()
        self._router = Router(parts.name, self._bus_link, AgentLocations(store), self._watching)
        self._departures = Departures(store, self._router, self._nodes)
        self.kept = parts.kept
        self.context = NodeContext(
            store=store,
            router=self._router,
            nodes=self._nodes,
            clock=tuning.clock,
            settings=settings,
            key=key.signing,
            spending=_spending(settings, tuning.request_rate),
        )
        self._resync = Resync(self.context, self._bus_link)
        self._others = OtherNodes(self.context, self._nodes, self._watching, self._resync, self._tasks)
        self._key = key
        self._services: Services
        self.readiness: Readiness

    @property
    def url(self) -> str:
        """The URL that a device on this machine dials."""
        return self._binding.url(self._listener.port)

    @property
    def tls(self) -> Tls:
        """Who makes the certificate that devices see."""
        return tls(self._binding)

    @property
    def urls(self) -> tuple[str, ...]:
        """The URLs that devices elsewhere dial, as they are now; an invitation names the first one."""
        return dialled(self.context.settings, self._binding, self._listener.port)

    @property
    def pid(self) -> int:
        """The id of the node's process."""
        return os.getpid()

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the hub's key."""
        return self.context.key.fingerprint

    @property
    def certificate(self) -> ServerCertificate | None:
        """The certificate that devices see, if this hub ends TLS itself."""
        return self._binding.certificate

    def renew_certificate(self) -> None:
        """Load the certificate again soon; if that fails, the old one stays in use."""
        if self._renewal is not None:
            self._renewal.now()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Serve devices while the body runs; then close their connections and tell the store, before all else ends."""
        context, store = self.context, self.context.store
        async with AsyncExitStack() as stack:
            await self._nodes.keeper.renew(self._others)
            stack.push_async_callback(self._give_up_lease)
            if len(self._nodes.live_nodes()) > 1:
                await asyncio.sleep(KNOWN_AFTER_S)
            self._bus = await stack.enter_async_context(Bus.open(store, context.nodes.node, self._others))
            self._bus_link.attach(self._bus)
            await stack.enter_async_context(
                alongside(
                    self._nodes.keeper.run(self._others),
                    self._departures.run(),
                    self._watching.run(context),
                    outbox.run(context),
                    refresh(context),
                    self._resync.run(),
                )
            )
            if self._renewal is not None:
                await stack.enter_async_context(alongside(self._renewal.run()))
            stack.push_async_callback(self._settle_departures)
            await stack.enter_async_context(self._tasks)
            await self._bus.until_subscribed()
            await self._listen(stack)
            yield

    async def _listen(self, stack: AsyncExitStack) -> None:
        found = self._binding
        self.readiness = Readiness(self.context, self._bus, self.kept)
        limits = self._tuning.limits.per_address(self.context.settings.max_per_address)
        hosts, proxies = host_names(self.context.settings, found), trusted_proxies(self.context.settings)
        settings = replace(limits, host=found.host, port=found.port, hosts=hosts, trusted_proxies=proxies)
        if found.certificate is not None:
            tls, cost = found.certificate.context, found.certificate.handshake_cost
            settings = replace(settings, tls=tls, tls_handshake=cost)
        listener = Listener(settings, lambda: DeviceConnection(self._services), self.readiness.answer)
        self._listener = await stack.enter_async_context(listener)
        # Port 0 is known only now. A socket that is accepted meanwhile is first read in a later turn of the loop.
        self._services = self._serving(AcceptedOrigins(self.context.settings, found, listener.port))
        verbs = Verbs(self.context, lambda: self.urls[0])
        await stack.enter_async_context(listening(self.context.settings.data_dir, verbs))
        stack.push_async_callback(self._drain)

    def _serving(self, accepted: AcceptedOrigins) -> Services:
        return Services(
            context=self.context,
            handshakes=Handshakes(self.context, self._key, self._departures, accepted),
            dispatch=Dispatch(self.context, use_cases(self._watching), self._watching),
            departures=self._departures,
            watches=self._watching,
            tasks=self._tasks,
        )

    # The planned stop.

    async def _drain(self) -> None:
        self.readiness.stopping = True
        await asyncio.sleep(self.context.settings.stop_grace_s)
        await Drain(self.context.store, self._router, self._departures, self._listener).run()

    async def _settle_departures(self) -> None:
        try:
            async with asyncio.timeout(SETTLE_LIMIT_S):
                await self._departures.settled()
        except TimeoutError:
            _log.warning("departures_not_settled")  # the end of the lease takes these entries with it

    async def _give_up_lease(self) -> None:
        try:
            await self._nodes.keeper.leave()
        except StoreError as error:
            _log.warning("lease_not_given_up", error=str(error))


@asynccontextmanager
async def open_node(settings: Settings, tuning: Tuning | None = None) -> AsyncIterator[Node]:
    """Serve devices as the settings say while the body runs.

    Raises ``SettingError`` or ``StoreRefused`` for settings that cannot be used, ``HubKeyError``, ``StoreUnavailable``
    when the store is not there at the start, ``OSError`` when the address cannot be bound; and in an ``ExceptionGroup``
    ``StoreEndedError`` or ``NodeReplacedError`` when it had to end.
    """
    binding(settings)  # an error here comes before anything is started
    async with AsyncExitStack() as stack:
        name = stack.enter_context(data_folder(settings.data_dir))
        key = load_or_create(settings.hub_key_file)
        store = await _open_store(settings, stack)
        kept = await durability(store.address, store_replicas=settings.store_replicas)
        await claim_hub(store, key.signing.fingerprint)
        node = Node(settings, tuning or Tuning(), NodeParts(name, store, kept, key))
        await stack.enter_async_context(node.serve())
        stack.enter_context(note(settings.data_dir, url=node.url, fingerprint=node.fingerprint.hex(), pid=node.pid))
        yield node


def _spending(settings: Settings, request_rate: Rate) -> Spending:
    if not settings.max_per_address:
        return Spending(request_rate)
    return Spending(
        request_rate, units_per_address=settings.units_per_address, mib_per_address=settings.store_mib_per_address
    )


async def _open_store(settings: Settings, stack: AsyncExitStack) -> Store:
    url = await stack.enter_async_context(store_url(settings))
    return await stack.enter_async_context(Store.open(url, store_replicas=settings.store_replicas))
