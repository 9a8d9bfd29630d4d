"""A short connection to the hub for queries: the ``cli`` role, next to a running agent."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from ssl import SSLContext

from muster_client.concurrency import companions
from muster_client.connection.connection import Dial, HubConnection, open_connection, read_challenge
from muster_client.connection.dialling import dialled, new_instance, pin
from muster_client.connection.keep_alive import USUAL_S
from muster_client.connection.session_list import list_sessions
from muster_client.connection.statement_sync import PublishResult, fetch_own, publish
from muster_client.connection.tls import TlsWays, tls_ways
from muster_client.connection.transport import PeerCertificate, open_socket
from muster_client.device.device import Device
from muster_client.device.hub_address import HubAddress
from muster_client.errors import HubKeyChanged, HubUnreachable, Trouble
from muster_protocol.cards import Mode
from muster_protocol.connect import Role, Welcome
from muster_protocol.enrolment import CODE_MS, Invitation
from muster_protocol.errors import Refused
from muster_protocol.exchange import CLOCK_SKEW_MS
from muster_protocol.frames import (
    Challenge,
    ClearSuspicion,
    CodeReply,
    DecisionReply,
    GetSession,
    MakeCode,
    Ok,
    Presence,
    PresencePush,
    PresenceReply,
    Purpose,
    Push,
    SessionReply,
    SessionSummary,
    Watch,
    Who,
    Why,
)
from muster_protocol.ids import ClientId, Fingerprint, SessionId, TimeMs

MAX_CHANGES = 64
"""Presence changes that wait for a slow reader of ``watch``. Beyond that the oldest is dropped."""


class Hub:
    """One short connection to the hub. Every method raises ``NoReply`` if no usable reply comes, and ``HubRefused``."""

    def __init__(self, device: Device, connection: HubConnection, *, newly_pinned: bool) -> None:
        self._device = device
        self._connection = connection
        self._changes: asyncio.Queue[tuple[Presence, ...]] = asyncio.Queue(MAX_CHANGES)
        self.newly_pinned = newly_pinned
        """Whether this connection pinned the hub's key: none was pinned before, or the pinned one certified it."""
        self.published: tuple[PublishResult, ...] = ()
        """The statements that ``connect`` published."""

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, device: Device, *, timeout_s: float = 10.0, ssl: SSLContext | None = None
    ) -> AsyncIterator["Hub"]:
        """Connect once, without retries, and synchronize the statements of device and hub.

        ``ssl`` None trusts what the device was set up to trust. Raises ``NoReply``, ``HubKeyChanged``, ``HubRefused``.
        """
        trusted = tls_ways(device) if ssl is None else (ssl,)
        async with AsyncExitStack() as stack:
            connection = await _first_of(device, timeout_s, trusted, stack)
            beside = await stack.enter_async_context(companions())
            hub = cls(device, connection, newly_pinned=pin(device, connection))
            beside.start(connection.read(hub._on_push))
            beside.start(connection.keep_alive(USUAL_S))
            await fetch_own(connection, device)
            hub.published = await hub.publish()
            yield hub

    @property
    def welcome(self) -> Welcome:
        """The hub's ``welcome`` message."""
        return self._connection.welcome

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the hub's key."""
        return self._connection.hub.fingerprint

    def _on_push(self, push: Push) -> None:
        if isinstance(push, PresencePush):
            if self._changes.full():
                self._changes.get_nowait()
            self._changes.put_nowait(push.devices)

    async def publish(self) -> tuple[PublishResult, ...]:
        """Offer the hub every statement that it has not acknowledged."""
        return await publish(self._connection, self._device)

    async def who(self, peers: Sequence[ClientId]) -> tuple[Presence, ...]:
        """Ask who is online, in the order asked."""
        return (await self._connection.ask(Who(id=0, clients=tuple(peers)), PresenceReply)).devices

    async def watch(self, peers: Sequence[ClientId]) -> AsyncIterator[tuple[Presence, ...]]:
        """Yield the state of all, then each change, for as long as the connection lasts."""
        yield (await self._connection.ask(Watch(id=0, clients=tuple(peers)), PresenceReply)).devices
        while True:
            yield await self._changes.get()

    async def why(
        self, creator: ClientId, target: ClientId, *, mode: Mode, profile: str | None, purpose: Purpose
    ) -> DecisionReply:
        """Ask how the hub would decide on a call; this device must be one of the two."""
        request = Why(id=0, creator=creator, target=target, mode=mode, profile=profile, purpose=purpose)
        return await self._connection.ask(request, DecisionReply)

    async def sessions(self) -> tuple[SessionSummary, ...]:
        """Return the sessions of this device, as the hub knows them."""
        return await list_sessions(self._connection)

    async def session(self, session: SessionId) -> SessionReply:
        """Return one session, as the hub knows it."""
        return await self._connection.ask(GetSession(id=0, session=session, after=0), SessionReply)

    async def round_trip_s(self, timeout_s: float) -> float:
        """Return the time of one round trip to the hub, in seconds."""
        return await self._connection.probe(timeout_s)

    async def make_invitation(self) -> tuple[Invitation, TimeMs]:
        """Have the hub make an invitation for one other device; return it with its end, as the hub says.

        The end is no later than an honest hub could say whose clock is a day ahead. Raises ``HubRefused``:
        ``unsupported`` where no device comes by invitation, ``rate_limited``.
        """
        made = await self._connection.ask(MakeCode(id=0), CodeReply)
        latest = self._device.clock() + CODE_MS + CLOCK_SKEW_MS
        return Invitation(self._device.hub_url, self.fingerprint, made.code), TimeMs(min(made.expires_at, latest))

    async def clear_suspicion(self) -> None:
        """Confirm that this device's data are the only copy in use.

        Raises ``HubRefused``: ``clone_suspected`` where these data do not hold the current continuity token. They get
        one when their agent connects.
        """
        await self._connection.ask(ClearSuspicion(id=0), Ok)
        self._device.note_confirmed()


async def _first_of(device: Device, timeout_s: float, tls: TlsWays, stack: AsyncExitStack) -> HubConnection:
    """Connect to the first of the hub's addresses that leads there; raises what the last one does."""
    *others, last = device.addresses
    for address in others:
        with suppress(HubUnreachable):
            return await stack.enter_async_context(open_connection(_dial(device, address, timeout_s, tls)))
    return await stack.enter_async_context(open_connection(_dial(device, last, timeout_s, tls)))


def _dial(device: Device, address: HubAddress, timeout_s: float, tls: TlsWays) -> Dial:
    return Dial(address.url, dialled(device, address, Role.CLI, new_instance()), device.token, timeout_s, tls)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a hub shows before any proof: its first message, and its certificate if there is TLS."""

    challenge: Challenge
    certificate: PeerCertificate | None


async def shown_hub_key(device: Device, expected: Fingerprint | None = None) -> Fingerprint:
    """Return the fingerprint of the key that the device's hub shows now, without proof, for a person to compare.

    A key that is ``expected`` may vouch for the hub's TLS, as the pinned one may. Raises ``HubUnreachable``.
    """
    try:
        return (await show_hub(device, expected=expected)).challenge.hub_key.check().fingerprint
    except HubKeyChanged as changed:
        return changed.shown


async def show_hub(
    device: Device, url: str | None = None, *, timeout_s: float = 10.0, expected: Fingerprint | None = None
) -> Shown:
    """Connect to an address of the device's hub, by default the first, and return what it shows before any proof.

    Raises ``HubUnreachable``; ``HubKeyChanged`` where another key vouches for its TLS.
    """
    url, trusted = url or device.addresses[0].url, tls_ways(device, expected)
    try:
        async with asyncio.timeout(timeout_s), open_socket(url, timeout_s=timeout_s, tls=trusted) as socket:
            return Shown(read_challenge(await socket.receive()), socket.certificate)
    except TimeoutError:
        raise HubUnreachable("the hub did not send its first message in time") from None
    except Refused as refused:
        raise HubUnreachable(f"the hub's message was not accepted: {refused}", Trouble.NOT_A_HUB) from None
