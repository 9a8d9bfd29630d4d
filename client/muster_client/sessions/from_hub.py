"""What reaches an agent from its hub: the welcome of each connection, and then pushes."""

import structlog

from muster_client.connection.connection import HubConnection
from muster_client.connection.statement_sync import PublishResult, fetch_own, publish
from muster_client.events import (
    ClockBehind,
    CloneSuspected,
    NotPublished,
    PresenceChanged,
    Published,
    TrustEnded,
    TrustUnconfirmed,
)
from muster_client.sessions.answering import Answering
from muster_client.sessions.context import SessionContext
from muster_client.sessions.membership import Membership
from muster_client.sessions.pushes import Pushes
from muster_protocol.errors import Refused
from muster_protocol.frames import ConfirmToken, Ok, PresenceReply, Push, StatementPush, Watch
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason
from muster_protocol.serials import SerialVerdict, Version

LOGGED_PEERS = 8
"""Peers that one line of the log names; a copy of the data can name any number."""

_log = structlog.get_logger("muster.agent")


class FromHub:
    """Implements ``link.LinkHandler`` for one agent."""

    def __init__(self, context: SessionContext, answering: Answering, membership: Membership, pushes: Pushes) -> None:
        self._context = context
        self._answering = answering
        self._membership = membership
        self._pushes = pushes
        self._made_elsewhere = False
        self._told: frozenset[Version] = frozenset()
        self.watched: tuple[ClientId, ...] = ()
        """The peers that each new connection watches."""

    async def begin(self, connection: HubConnection) -> None:
        """Bring the device and the hub in step: what both hold of it, its answers, its sessions and its watch."""
        device = self._context.device
        if connection.welcome.token is not None:
            # Stored before it is confirmed: the hub never expects a token that could be lost with this process.
            device.keep_token(connection.hub.fingerprint, connection.welcome.token)
            await connection.ask(ConfirmToken(id=0, counter=connection.welcome.token.counter), Ok)
        if connection.welcome.standing is Reason.CLONE_SUSPECTED:
            self._context.tell(CloneSuspected())
        await fetch_own(connection, device)
        if device.peers.clock_behind:
            self._context.tell(ClockBehind())
        self._told = frozenset()
        self._tell_made_elsewhere()
        await self.publish(connection)
        await self._answering.flush()
        await self._membership.on_welcome(connection)
        if self.watched:
            reply = await connection.ask(Watch(id=0, clients=self.watched), PresenceReply)
            self._context.tell(PresenceChanged(devices=reply.devices))

    async def handle(self, connection: HubConnection, push: Push) -> None:
        """Handle one push."""
        if isinstance(push, StatementPush) and push.client == self._context.device.client:
            self._on_own(push)
        else:
            await self._pushes.handle(connection, push)

    def _on_own(self, push: StatementPush) -> None:
        """Take in what another process under this device's key stated; a copy of its data may have."""
        try:
            verdict = self._context.device.apply_own(push.kind, push.statement)
        except Refused as refused:
            _log.info("push_ignored", push=type(push).__name__, reason=refused.reason)
        else:
            # One of the same serial may have taken the place of this device's own.
            self._made_elsewhere |= verdict in {SerialVerdict.TAKEN, SerialVerdict.MISMATCH}

    def tell_news(self) -> None:
        """Tell the person what a copy of this device's data stated since the last time, all of it at once."""
        if self._made_elsewhere:
            self._made_elsewhere = False
            self._tell_made_elsewhere()

    async def publish(self, connection: HubConnection) -> tuple[PublishResult, ...]:
        """Offer the hub every statement that it has not acknowledged; raises ``NoReply``, ``HubRefused``."""
        results = await publish(connection, self._context.device)
        for one in results:
            if one.reason is None:
                self._context.tell(Published(kind=one.kind, serial=one.serial))
            else:
                self._context.tell(NotPublished(kind=one.kind, serial=one.serial, reason=one.reason))
        return results

    def _tell_made_elsewhere(self) -> None:
        """Tell the person what a copy of this device's data stated, each statement once over this connection."""
        book, told = self._context.device.peers, self._told
        unconfirmed, ended = book.unconfirmed(), book.ended_elsewhere()
        self._told = frozenset([one.version for one in unconfirmed] + [one.version for one in ended])
        peers = tuple(sorted({one.peer for one in unconfirmed if one.version not in told}))
        if peers:
            _log.warning("trust_unconfirmed", devices=len(peers), first=[peer[:8] for peer in peers[:LOGGED_PEERS]])
            self._context.tell(TrustUnconfirmed(peers=peers))
        devices = len({one.peer for one in ended if one.version not in told})
        if devices:
            _log.warning("trust_ended", devices=devices)
            self._context.tell(TrustEnded(devices=devices))
