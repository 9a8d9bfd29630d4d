"""The opening handshake: the ``hello`` is checked, the store numbers the connection, and the hub signs its answer."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import structlog

from muster_hub.config.hub_key import HubSecrets
from muster_hub.connections.handshake_queue import HandshakeQueue, HandshakeRefused, overloaded
from muster_hub.context import NodeContext
from muster_hub.enrolment.devices import enrol_by_code
from muster_hub.listener import SocketPeer
from muster_hub.listener.settings import KEEPALIVE_INTERVAL_S
from muster_hub.presence.departures import Departures
from muster_hub.presence.registry import ConnectingDevice, Registered, connect, is_known
from muster_hub.rate_limits.costs import KEPT_DEVICE, KEPT_KEY, kept_statement
from muster_hub.routing.caller import Caller
from muster_hub.sessions import cuts
from muster_hub.sessions.cuts import CutCause
from muster_hub.store.clock import boot_ms
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.rows import InstanceRow
from muster_protocol.checks import Checks
from muster_protocol.closes import CloseCode
from muster_protocol.codec import MAX_MESSAGE_BYTES
from muster_protocol.connect import PROTOCOL, HubHandshake, Introduced, Limits
from muster_protocol.continuity import genuine, issue
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    MAX_MEMBERS,
    MAX_TARGETS,
    MAX_WAITING,
    MAX_WATCHED,
    Challenge,
    DropCause,
)
from muster_protocol.ids import NONCE_BYTES, ClientId, Nonce, SessionId, TimeMs
from muster_protocol.reasons import Reason

KEEP_ALIVE_MS = round(KEEPALIVE_INTERVAL_S * 1000)
"""The hub pings a connection that was silent for this long."""
RETRY_AFTER_MS = 2_000
FIRST_SIGNATURE = 1
"""The one by which a device proves its key; a ``hello`` pays for it before it is decoded."""
CODE_COST = 16
"""What a code costs its address, in signatures, also a wrong one: 80 random bits are not found by trying."""
BYTES_PER_SIGNATURE = 2 * 1024
"""Bytes of a ``hello`` that cost as much to decode as a signature to check, if they are chosen for it."""
LIMITS = Limits(
    message_bytes=MAX_MESSAGE_BYTES,
    targets=MAX_TARGETS,
    members=MAX_MEMBERS,
    watched=MAX_WATCHED,
    waiting=MAX_WAITING,
)

_log = structlog.get_logger(__name__)


AnyOrigins: TypeAlias = Callable[[], frozenset[str]]
"""The origins that devices may sign now."""


class Greeting(NamedTuple):
    """One connection's handshake, the nonce of its challenge, and when it was made, by ``boot_ms``."""

    handshake: HubHandshake
    nonce: Nonce
    made_at_ms: int


@dataclass(frozen=True, slots=True)
class Welcomed:
    """A device that was admitted: who it is, and the ``welcome`` message to send."""

    caller: Caller
    message: bytes


class Handshakes:
    """The opening handshakes of one node (SPEC.md section 4)."""

    __slots__ = ("_context", "_departures", "_key", "origins", "queue")

    def __init__(self, context: NodeContext, key: HubSecrets, departures: Departures, origins: AnyOrigins) -> None:
        self._context = context
        self._key = key
        self._departures = departures
        self.origins = origins
        """What devices may dial."""
        self.queue = HandshakeQueue(context.settings.max_entering)

    def greet(self) -> Greeting:
        """Begin a handshake."""
        nonce = Nonce(os.urandom(NONCE_BYTES))
        challenge = Challenge(
            nonce=nonce,
            hub_key=self._key.signing.public,
            hub_rotations=(),
            protocol=PROTOCOL,
            at=self._context.clock.now_ms(),
        )
        return Greeting(HubHandshake(self._key.signing, challenge, self.origins()), nonce, boot_ms())

    def refusal(self, greeting: Greeting, hello: bytes, refused: HandshakeRefused) -> bytes:
        """Return the signed ``refused`` message."""
        now = self._context.clock.now_ms()
        return greeting.handshake.refused(hello, refused.reason, now, refused.retry_after_ms)

    async def introduce(self, greeting: Greeting, hello: bytes, peer: SocketPeer, *, acting: bool) -> Introduced:
        """Check a ``hello``, if this node may act and the peer's address has room. Raises ``HandshakeRefused``.

        The caller has a place in ``queue``.
        """
        if not acting:
            raise _store_away()
        if not peer.take_place():
            _log.info("address_full", address=peer.address)
            raise overloaded()
        try:
            _pay(peer, hello_cost(len(hello)))
            device = await self._check(greeting.handshake.checks(hello), peer)
        except Refused as refused:
            dialled = refused.detail if refused.reason is Reason.WRONG_ORIGIN else None
            raise HandshakeRefused(refused.reason, dialled=dialled) from refused
        if device.hello.enrolment is not None:
            _pay(peer, CODE_COST)
        return device

    async def admit(self, greeting: Greeting, device: Introduced, near: str | None) -> Welcomed:
        """Admit a device that was introduced, from an address ``near``. Raises ``HandshakeRefused``.

        What the connection restricts, by a new key or as a suspected clone, is carried into the device's sessions
        first.
        """
        client = device.card.card.client
        self._departures.entering(client, +1)
        try:
            connecting = await self._connecting(greeting, device)
            connected = await self._connect(connecting, near)
            caller = _caller(device, connecting, connected, near)
            return Welcomed(caller, self._welcome(greeting, device, connected))
        except StoreUnavailable as error:
            if error.outcome_unknown:
                self._departures.suspect(client)
            _log.info("device_not_admitted", client=client[:8], error=str(error))
            raise HandshakeRefused(error.reason, RETRY_AFTER_MS) from error
        finally:
            self._departures.entering(client, -1)

    async def _connecting(self, greeting: Greeting, device: Introduced) -> ConnectingDevice:
        # The estimate of the store's clock is never ahead of it: the challenge was sent at this time or later.
        now = await self._context.store.now_ms()
        return ConnectingDevice(
            card=device.card,
            role=device.hello.role,
            instance=device.hello.instance,
            token_counter=self._token_counter(greeting, device),
            challenged_ms=now - (boot_ms() - greeting.made_at_ms),
            enrolment=device.hello.enrolment,
        )

    async def _check(self, checks: Checks[Introduced], peer: SocketPeer) -> Introduced:
        """Make the checks, each at its turn and within what the peer's address may cause.

        The first signature was paid with the ``hello``, so that one which is not even read is not free.
        """
        paid = FIRST_SIGNATURE
        try:
            while True:
                step = next(checks)
                _pay(peer, step.charge - paid)
                paid = 0
                await self.queue.turn(step.signatures)
        except StopIteration as done:
            device: Introduced = done.value
            return device

    def _token_counter(self, greeting: Greeting, device: Introduced) -> int:
        """Return the counter of the token that the device showed; 0 without a genuine proof."""
        proof, client = device.hello.continuity, device.card.card.client
        if proof is None:
            return 0
        if not genuine(self._key.token_secret, client, proof, greeting.nonce, device.hello.nonce):
            return 0
        return proof.counter

    async def _connect(self, connecting: ConnectingDevice, near: str | None) -> Registered:
        context = self._context
        wait_ms = context.spending.left_ms(near)
        if wait_ms and not await is_known(context.store, connecting.client):
            raise overloaded(wait_ms)
        since = TimeMs(await context.store.now_ms())
        row = InstanceRow(connecting.instance, connecting.role, context.nodes.node, context.nodes.incarnation, since)
        try:
            outcome = await self._register(connecting, row)
        except Refused as refused:
            raise HandshakeRefused(refused.reason) from refused
        context.spending.keep(near, _kept(connecting, outcome))
        try:
            await self._cut(connecting.client, outcome)
        except BaseException:
            self._departures.note(connecting.client, outcome.number, DropCause.CLOSED)
            raise
        for location in outcome.superseded:
            context.router.close(connecting.client, location, CloseCode.SUPERSEDED)
        context.router.notify_presence(connecting.client, outcome.watching)
        return outcome

    async def _register(self, connecting: ConnectingDevice, row: InstanceRow) -> Registered:
        """Register the connection, of a device that is not enrolled if its code enrols it. Raises ``Refused``."""
        context, code = self._context, connecting.enrolment
        try:
            return await connect(context.store, connecting, row, only_enrolled=context.only_enrolled)
        except Refused as refused:
            if refused.reason is not Reason.NOT_ENROLLED or code is None or context.settings.enrolment != "invited":
                raise
        await enrol_by_code(context.store, connecting.client, code)
        return await connect(context.store, connecting, row, only_enrolled=True)

    async def _cut(self, client: ClientId, connected: Registered) -> None:
        sessions = [SessionId(session) for session in connected.sessions]
        for cut in connected.cuts:
            _log.warning("device_restricted", client=client[:8], why=cut.why, sessions=len(sessions))
            await cuts.apply(self._context, client, cut.ver, CutCause(cut.why), cut.about, sessions)

    def _welcome(self, greeting: Greeting, device: Introduced, connected: Registered) -> bytes:
        client = device.card.card.client
        token = issue(self._key.token_secret, client, connected.issued) if connected.issued else None
        return greeting.handshake.welcome(
            device,
            connection=connected.number,
            keep_alive_ms=KEEP_ALIVE_MS,
            limits=LIMITS,
            token=token,
            newest_serial=connected.newest_serial,
            changes=connected.changes,
            standing=connected.standing,
            now=self._context.clock.now_ms(),
        )


def _caller(device: Introduced, connecting: ConnectingDevice, connected: Registered, near: str | None) -> Caller:
    return Caller(
        client=connecting.client,
        fingerprint=device.card.fingerprint,
        fingerprints=device.card.fingerprints,
        connection=connected.number,
        role=connecting.role,
        instance=connecting.instance,
        card=device.card,
        token_counter=connecting.token_counter,
        near=near,
    )


def _kept(connecting: ConnectingDevice, outcome: Registered) -> int:
    """Return the bytes that a connection left in the store."""
    kept = kept_statement(outcome.kept_card)
    if not outcome.changes or outcome.cuts:  # a new identity, or one more key of it
        kept += KEPT_DEVICE + KEPT_KEY * len(connecting.card.fingerprints[1:])
    return kept


def hello_cost(size: int) -> int:
    """Return what a ``hello`` costs an address before it is decoded, its first signature included."""
    return FIRST_SIGNATURE + size // BYTES_PER_SIGNATURE


def _pay(peer: SocketPeer, signatures: int) -> None:
    wait_ms = peer.charge(signatures) if signatures > 0 else 0
    if wait_ms:
        raise overloaded(wait_ms)


def _store_away() -> HandshakeRefused:
    return HandshakeRefused(Reason.STORE_UNAVAILABLE, RETRY_AFTER_MS)
