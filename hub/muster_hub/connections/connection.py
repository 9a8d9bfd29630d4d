"""One device's connection: the handshake, then its requests, one at a time and in their order.

    greeted ---hello---> entering ---welcome---> open ---finish---> leaving ---the transport's end---> closed
                             |                     |                                                     ^
                             |                     +-----------------------------------------------------+
                             +---refused, then a close

An idle connection has no task. One is started when a request comes, and ends when none is left.
"""

import asyncio
from collections import deque
from enum import Enum, auto

import structlog

from muster_hub import listener
from muster_hub.connections.handshake import Greeting, Welcomed
from muster_hub.connections.handshake_queue import HandshakeRefused
from muster_hub.connections.services import Services
from muster_hub.delivery import inbox
from muster_hub.listener.peer import SocketPeer
from muster_hub.rate_limits.costs import arrival_cost
from muster_hub.routing.caller import Caller
from muster_hub.store.errors import StoreUnavailable
from muster_hub.telemetry.faults import fault_fields
from muster_protocol.closes import CloseCode
from muster_protocol.codec import MAX_MESSAGE_BYTES
from muster_protocol.connect import MAX_ORIGINS_SHOWN, Role
from muster_protocol.frames import DropCause, Reply, encode_frame
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason

MAX_QUEUED_REQUESTS = 32
"""Queued requests of one connection at which reading pauses."""
RESUME_AT = MAX_QUEUED_REQUESTS // 2
MAX_QUEUED_BYTES = MAX_MESSAGE_BYTES
"""Bytes of them at which it pauses too."""
UNREAD_LIMIT_S = 60.0
"""How long a device may leave its replies unread before it is closed as a slow reader; its requests wait meanwhile."""
UNREAD_POLL_S = 0.5
MAX_PAUSE_S = 1.0
"""How long a device that owes too much waits for each message at most: one that does not stop to ask is hardly served,
and a node that stops does not wait for its debt."""

_log = structlog.get_logger(__name__)

_CAUSES = {
    listener.SocketDropCause.CLOSED: DropCause.CLOSED,
    listener.SocketDropCause.TIMEOUT: DropCause.TIMEOUT,
    listener.SocketDropCause.LOST: DropCause.CLOSED,
}
_CLOSE_CAUSES = {CloseCode.SUPERSEDED: DropCause.SUPERSEDED, CloseCode.REVOKED: DropCause.REVOKED}


class _ServingPhase(Enum):
    GREETED = auto()
    ENTERING = auto()
    OPEN = auto()
    LEAVING = auto()
    CLOSED = auto()


class _Inbox(Enum):
    QUIET = auto()
    DELIVERING = auto()
    NOTIFIED = auto()


class DeviceConnection:
    """One device's connection: a ``listener.Handler``, and a ``LocalConnection`` for use cases."""

    __slots__ = ("_caller", "_cause", "_greeting", "_inbox", "_peer", "_phase", "_queue", "_services", "_working")

    _peer: SocketPeer

    def __init__(self, services: Services) -> None:
        self._services = services
        self._phase = _ServingPhase.GREETED
        self._greeting: Greeting | None = None
        self._caller: Caller | None = None
        self._queue: deque[bytes] | None = None
        self._working = False
        self._inbox = _Inbox.QUIET
        self._cause: DropCause | None = None

    # The listener calls these.

    def opened(self, peer: SocketPeer) -> None:
        """Send the challenge."""
        self._peer = peer
        self._greeting = self._services.handshakes.greet()
        peer.send(self._greeting.handshake.message)

    def message(self, data: bytes) -> None:
        """Take a ``hello``, or a request."""
        if self._phase is _ServingPhase.GREETED and self._greeting is not None:
            self._phase = _ServingPhase.ENTERING
            self._services.tasks.spawn(self._admit(self._greeting, data))
        elif self._phase is _ServingPhase.OPEN:
            self._take(data)
        elif self._phase is _ServingPhase.ENTERING:
            self._peer.close(CloseCode.PROTOCOL_VIOLATION, "nothing comes between hello and welcome")

    def closed(self, cause: listener.SocketDropCause) -> None:
        """Remove the connection from the node and note its departure for the store."""
        self._phase = _ServingPhase.CLOSED
        self._queue = None
        self._greeting = None
        if self._caller is not None:
            self._leave(self._cause or _CAUSES[cause])

    # Use cases call these, through ``router``.

    @property
    def caller(self) -> Caller:
        """The device; raises ``RuntimeError`` before it is admitted."""
        if self._caller is None:
            raise RuntimeError("no device is admitted yet")
        return self._caller

    @property
    def client(self) -> ClientId:
        """The device's id."""
        return self.caller.client

    @property
    def number(self) -> int:
        """The connection's number in the store."""
        return self.caller.connection

    @property
    def role(self) -> Role:
        """The role of the process on the other end."""
        return self.caller.role

    @property
    def busy(self) -> bool:
        """Whether a request is being served."""
        return self._working

    def finish(self) -> None:
        """Take no more requests: the node stops. Queued ones are answered; another node takes the rest."""
        if self._phase is _ServingPhase.OPEN:
            self._phase = _ServingPhase.LEAVING

    def send(self, frame: bytes) -> None:
        """Send an encoded frame."""
        self._peer.send(frame)

    def close(self, code: CloseCode) -> None:
        """Close the connection; queued requests are not served."""
        self._cause = self._cause or _CLOSE_CAUSES.get(code)
        self._queue = None
        if self._phase in {_ServingPhase.OPEN, _ServingPhase.LEAVING}:
            self._services.context.router.remove(self)
        self._peer.close(code)

    def hand_over(self, frame: bytes) -> None:
        """Send a push that was just put into the inbox; during a delivery, the delivery sends it in its order."""
        if self._inbox is _Inbox.QUIET:
            self.send(frame)
        else:
            self._inbox = _Inbox.NOTIFIED

    def deliver_inbox(self) -> None:
        """Send the pushes of the device's inbox; a notification during a delivery starts another round."""
        if self._inbox is _Inbox.QUIET:
            self._inbox = _Inbox.DELIVERING
            self._services.tasks.spawn(self._deliver())
        else:
            self._inbox = _Inbox.NOTIFIED

    # The handshake.

    async def _admit(self, greeting: Greeting, hello: bytes) -> None:
        handshakes = self._services.handshakes
        try:
            acting = await self._services.context.nodes.until_acting()
            async with handshakes.queue.place():
                if self._peer.closing:
                    return  # the peer left before its turn
                device = await handshakes.introduce(greeting, hello, self._peer, acting=acting)
                welcomed = await handshakes.admit(greeting, device, self._peer.near)
        except HandshakeRefused as refused:
            self._refuse(greeting, hello, refused)
        except Exception as exc:  # noqa: BLE001 - the connection ends, and the log says why
            _log.error("entry_failed", address=self._peer.address, **fault_fields(exc))
            self._refuse(greeting, hello, HandshakeRefused(Reason.INTERNAL))
        else:
            self._open(welcomed)
        finally:
            self._greeting = None

    def _refuse(self, greeting: Greeting, hello: bytes, refused: HandshakeRefused) -> None:
        said = {"reason": refused.reason, "code": int(refused.code), "address": self._peer.address}
        if refused.dialled is not None:
            origins = self._services.handshakes.origins()
            said |= {"dialled": ascii(refused.dialled), "answers_to": sorted(origins)[:MAX_ORIGINS_SHOWN]}
        _log.info("device_refused", **said)
        self._peer.send(self._services.handshakes.refusal(greeting, hello, refused))
        self._peer.close(refused.code, refused.reason)

    def _open(self, welcomed: Welcomed) -> None:
        router, caller = self._services.context.router, welcomed.caller
        self._caller = caller
        if self._phase is _ServingPhase.CLOSED or self._peer.closing:
            self._leave(DropCause.CLOSED)
            return
        self._phase = _ServingPhase.OPEN
        self._peer.authenticated()
        before = router.add(self)
        if before is not None:
            before.close(CloseCode.SUPERSEDED)
        self._peer.send(welcomed.message)
        _log.info("device_entered", client=caller.client[:8], role=caller.role, connection=caller.connection)
        if caller.role is Role.AGENT:
            self.deliver_inbox()

    def _leave(self, cause: DropCause) -> None:
        services, caller = self._services, self.caller
        services.context.router.remove(self)
        services.watches.forget(caller.client, caller.connection)
        services.departures.note(caller.client, caller.connection, cause)
        _log.info("device_left", client=caller.client[:8], connection=caller.connection, cause=cause)

    # Requests.

    def _take(self, data: bytes) -> None:
        if self._peer.closing:
            return
        if self._queue is None:
            self._queue = deque()
        self._queue.append(data)
        if len(self._queue) >= MAX_QUEUED_REQUESTS or sum(map(len, self._queue)) >= MAX_QUEUED_BYTES:
            self._peer.pause()
        if not self._working:
            self._working = True
            self._services.tasks.spawn(self._work())

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._take_turn()
                acting = await self._services.context.nodes.until_acting()
                if not self._queue:  # closed meanwhile
                    return
                data = self._queue.popleft()
                if len(self._queue) <= RESUME_AT and sum(map(len, self._queue)) < MAX_QUEUED_BYTES:
                    self._peer.resume()
                self._peer.send(encode_frame(await self._answer(data, acting=acting)))
        finally:
            self._working = False
            self._queue = None

    async def _take_turn(self) -> None:
        """Let others be served before the next message is paid, and for longer where device or address owe too much.

        A device that does not read its replies waits until it does, since they would fill the memory of the node.
        """
        spending = self._services.context.spending
        await asyncio.sleep(min(spending.overdraft_s(self.client), MAX_PAUSE_S))
        waited_s = 0.0
        while self._queue and self._peer.behind:
            if waited_s >= UNREAD_LIMIT_S:
                self.close(CloseCode.SLOW_READER)
                return
            await asyncio.sleep(UNREAD_POLL_S)
            waited_s += UNREAD_POLL_S
        if self._queue:
            await spending.arrive(self.caller.payer, arrival_cost(len(self._queue[0])), self._may_wait)

    def _may_wait(self) -> bool:
        return self._phase is _ServingPhase.OPEN and bool(self._queue)

    async def _answer(self, data: bytes, *, acting: bool) -> Reply:
        if acting:
            return await self._services.dispatch.answer(self.caller, data)
        return self._services.dispatch.answer_without_store(self.caller, data)

    async def _deliver(self) -> None:
        while self._inbox is not _Inbox.QUIET and self._phase is _ServingPhase.OPEN:
            self._inbox = _Inbox.DELIVERING
            try:
                if await self._services.context.nodes.until_acting():
                    await inbox.deliver(self._services.context, self.client, self)
            except StoreUnavailable as error:
                # The outbox pass finds what still waits, and notifies again.
                _log.info("inbox_not_delivered", client=self.client[:8], cause=error.cause)
            except Exception as exc:  # noqa: BLE001 - what waits is still there; the log says why it stays
                _log.error("inbox_failed", client=self.client[:8], **fault_fields(exc))
            if self._inbox is _Inbox.DELIVERING:
                self._inbox = _Inbox.QUIET
