"""A short connection to the hub for a program that only asks: the ``cli`` role, next to a running agent."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ssl import SSLContext

from muster_client.alongside import companions
from muster_client.connection import Connection, Dial, open_connection, shown_key
from muster_client.device import Device
from muster_client.errors import HubUnreachable
from muster_client.hub_address import parse_hub_url
from muster_client.introduction import dialled, new_instance, pin
from muster_client.synchronising import PublishResult, fetch_own, publish
from muster_client.transport import open_socket
from muster_protocol.cards import Mode
from muster_protocol.connect import Role, Welcome
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    ClearSuspicion,
    DecisionReply,
    GetSession,
    ListSessions,
    Ok,
    Presence,
    PresencePush,
    PresenceReply,
    Purpose,
    Push,
    SessionReply,
    SessionsReply,
    SessionSummary,
    Watch,
    Who,
    Why,
)
from muster_protocol.ids import ClientId, Fingerprint, SessionId

MAX_CHANGES = 64
"""Presence changes that wait for a slow reader of ``watch``; the oldest go first."""

__all__ = ["Hub", "PublishResult", "shown_hub_key"]


class Hub:
    """One connection. Every method raises ``HubUnreachable`` when it is lost, and ``HubRefused``."""

    def __init__(self, device: Device, connection: Connection, *, newly_pinned: bool) -> None:
        self._device = device
        self._connection = connection
        self._changes: asyncio.Queue[tuple[Presence, ...]] = asyncio.Queue(MAX_CHANGES)
        self.newly_pinned = newly_pinned
        """This connection pinned the hub's key: there was none before, or the pinned one certified it."""
        self.published: tuple[PublishResult, ...] = ()
        """What ``connect`` published."""

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, device: Device, *, timeout_s: float = 10.0, ssl: SSLContext | None = None
    ) -> AsyncIterator["Hub"]:
        """Connect once, without retries, and bring device and hub to the same statements.

        ``ssl`` None trusts what the system trusts. Raises ``HubUnreachable``, ``HubKeyChanged``, ``HubRefused``.
        """
        dial = Dial(device.address.url, dialled(device, Role.CLI, new_instance()), None, timeout_s, ssl)
        async with open_connection(dial) as connection, companions() as beside:
            hub = cls(device, connection, newly_pinned=pin(device, connection.hub))
            beside.start(connection.read(hub._on_push))
            await fetch_own(connection, device)
            hub.published = await hub.publish()
            yield hub

    @property
    def welcome(self) -> Welcome:
        """What the hub said at the connect."""
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
        """Give the state of all, then each change, for as long as the connection lasts."""
        yield (await self._connection.ask(Watch(id=0, clients=tuple(peers)), PresenceReply)).devices
        while True:
            yield await self._changes.get()

    async def why(
        self, creator: ClientId, target: ClientId, *, mode: Mode, profile: str | None, purpose: Purpose
    ) -> DecisionReply:
        """Ask what the hub would say to a call; this device is one of the two."""
        request = Why(id=0, creator=creator, target=target, mode=mode, profile=profile, purpose=purpose)
        return await self._connection.ask(request, DecisionReply)

    async def sessions(self) -> tuple[SessionSummary, ...]:
        """List the sessions that the hub has this device in."""
        return (await self._connection.ask(ListSessions(id=0), SessionsReply)).sessions

    async def session(self, session: SessionId) -> SessionReply:
        """Show one session, as the hub knows it."""
        return await self._connection.ask(GetSession(id=0, session=session, after=0), SessionReply)

    async def clear_suspicion(self) -> None:
        """Say that this device's data is the only copy in use."""
        await self._connection.ask(ClearSuspicion(id=0), Ok)
        self._device.note_confirmed()


async def shown_hub_key(
    hub_url: str, *, insecure: bool = False, timeout_s: float = 10.0, ssl: SSLContext | None = None
) -> Fingerprint:
    """Give the fingerprint of the key that a hub shows now, trusting nothing: for a person to compare.

    Raises ``BadHubUrl``, ``HubUnreachable``.
    """
    address = parse_hub_url(hub_url, insecure=insecure)
    try:
        async with asyncio.timeout(timeout_s), open_socket(address.url, timeout_s=timeout_s, ssl=ssl) as socket:
            return shown_key(await socket.receive())
    except TimeoutError:
        raise HubUnreachable("the hub did not say who it is in time") from None
    except Refused as refused:
        raise HubUnreachable(f"what the hub said was not accepted: {refused}") from None
