"""One proven connection to the hub: the handshake, then requests with their replies, and pushes (SPEC.md section 4)."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from msgspec import structs

from muster_client.connection.replies import is_about
from muster_client.connection.tls import TlsWays
from muster_client.connection.transport import ABNORMAL_CLOSURE, Socket, SocketClosed, open_socket
from muster_client.connection.tries import MAX_TRIES, Check, Tries, unchecked
from muster_client.errors import HubBusy, HubError, HubKeyChanged, HubRefused, HubUnreachable, ReplyUnreadable
from muster_protocol.closes import after_refusal
from muster_protocol.connect import DeviceHandshake, Dialled, RefusedBody, Welcome
from muster_protocol.continuity import Token, prove
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    Challenge,
    Error,
    FrameRefused,
    Goaway,
    PresencePush,
    Push,
    Reply,
    Request,
    Watch,
    decode_frame,
    encode_frame,
)
from muster_protocol.hub_keys import HubKey
from muster_protocol.ids import NONCE_BYTES, ClientId, Fingerprint, Nonce
from muster_protocol.reasons import Reason

REPLY_TIMEOUT_S = 15.0
"""How long a reply may take before the outcome of its request counts as unknown."""
MAX_TOKEN_READS = 5
"""How often a command line connects while the hub says that the agent wrote the next token meanwhile."""
MAX_OPEN_REQUESTS = 256
PONG_TIMEOUT_S = 20.0
"""How long the hub may take to answer a ping that keeps the connection alive."""

R = TypeVar("R", bound=Reply)


@dataclass(frozen=True, slots=True, repr=False)
class Dial:
    """Where to connect, as whom, and how to read the hub's continuity token, which is done after the challenge."""

    url: str
    dialled: Dialled
    token: Callable[[Fingerprint], Token | None]
    timeout_s: float = 10.0
    tls: TlsWays = (None,)


class ConnectionLost(HubUnreachable):
    """A connection that was up ended, with this close code.

    ``died_idle_s``: it broke without a close, after this much silence; None if one side closed it.
    """

    def __init__(self, code: int, retry_after_ms: int | None, died_idle_s: float | None = None) -> None:
        self.code = code
        self.retry_after_ms = retry_after_ms
        self.died_idle_s = died_idle_s
        super().__init__(f"the connection to the hub ended ({code})")


class HubConnection:
    """A connection after ``welcome``. Replies arrive only while ``read`` runs."""

    def __init__(self, socket: Socket, welcome: Welcome, hub: HubKey) -> None:
        self._socket = socket
        self._open: dict[int, asyncio.Future[Reply]] = {}
        self._watched: frozenset[ClientId] = frozenset()
        self._last_id = 0
        self._retry_after_ms: int | None = None
        self._died_idle_s: float | None = None
        self._dropped = False
        self.welcome = welcome
        self.hub = hub

    @property
    def by_hub_key(self) -> bool | None:
        """Whether the hub's key vouched for its TLS, or else an authority; None without TLS."""
        return self._socket.by_hub_key

    async def ask(self, request: Request, reply: type[R], check: Check = unchecked, max_tries: int = MAX_TRIES) -> R:
        """Send a request and return its reply; one that the hub turns away for a while is sent again (``Tries``).

        ``check`` runs before each sending, and what it raises is raised here: meanwhile the person may have taken back
        what the request rests on. ``max_tries`` is how often it is sent where the hub names no time to come back.

        Raises ``HubRefused`` with the typed reason, ``HubUnreachable`` if no reply came, ``ReplyUnreadable`` if one
        came that this version cannot read, or that is not about what was asked. ``HubBusy`` if the hub turned the
        request away each time, or may have carried it out: where it did the first for long, the connection ends, and
        the next one begins with all that is due.
        """
        tries = Tries(max_tries)
        while True:
            check()
            try:
                return await self._ask_once(request, reply)
            except HubRefused as refused:
                await asyncio.sleep(await self._pause_s(tries, refused))

    async def _pause_s(self, tries: Tries, refused: HubRefused) -> float:
        try:
            return tries.pause_s(refused)
        except HubBusy:
            if tries.in_vain:
                await self.drop()
            raise

    async def _ask_once(self, request: Request, reply: type[R]) -> R:
        if len(self._open) >= MAX_OPEN_REQUESTS:
            raise HubUnreachable("too many requests wait for the hub")
        if isinstance(request, Watch):
            self._watched = frozenset(request.clients)
        self._last_id += 1
        number = self._last_id
        waiting = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                await self._socket.send(encode_frame(structs.replace(request, id=number)))
                answer = await waiting
        except TimeoutError:
            raise HubUnreachable("the hub did not answer in time") from None
        finally:
            self._open.pop(number, None)
        if isinstance(answer, Error):
            raise HubRefused(answer.reason, answer.detail, answer.retry_after_ms)
        if not isinstance(answer, reply) or not is_about(answer, request):
            raise self._unreadable()
        return answer

    async def read(self, on_push: Callable[[Push], None]) -> None:
        """Read until the connection ends, and then raise ``ConnectionLost``. Unknown messages are skipped."""
        try:
            while True:
                self._take(await self._socket.receive(), on_push)
        except SocketClosed as closed:
            if closed.code == ABNORMAL_CLOSURE and not self._dropped:
                self._died_idle_s = time.monotonic() - self._socket.heard_s
            raise ConnectionLost(closed.code, self._retry_after_ms, self._died_idle_s) from None
        finally:
            for waiting in self._open.values():
                if not waiting.done():
                    waiting.set_exception(HubUnreachable("the connection ended before the hub answered"))
                    # Retrieved here, since the caller may have been cancelled and would leave it unretrieved.
                    waiting.exception()

    def _take(self, data: bytes, on_push: Callable[[Push], None]) -> None:
        try:
            frame = decode_frame(data)
        except FrameRefused as refused:
            # A newer hub may send messages that this version does not know; they are not for it.
            self._on_unread(refused.number("re"))
            return
        except Refused:
            return
        if isinstance(frame, Reply):
            waiting = self._open.get(frame.re)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
        elif isinstance(frame, PresencePush):
            watched = tuple(device for device in frame.devices if device.client in self._watched)
            if watched:
                on_push(structs.replace(frame, devices=watched))
        elif isinstance(frame, Push):
            on_push(frame)
        elif isinstance(frame, Goaway):
            self._retry_after_ms = frame.retry_after_ms

    def _on_unread(self, number: int) -> None:
        """End the request that an unreadable message replies to, if it is one: it would wait in vain."""
        waiting = self._open.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_exception(self._unreadable())

    def _unreadable(self) -> ReplyUnreadable:
        spoken = f"the hub (protocol {self.welcome.protocol}) sent a reply that this version of Muster cannot read"
        return ReplyUnreadable(spoken)

    async def probe(self, timeout_s: float) -> float:
        """Ping the hub and return the round trip in seconds; raises ``HubUnreachable``."""
        return await self._socket.probe(timeout_s)

    async def keep_alive(self, interval_s: float) -> None:
        """Ping after each silence of this length. When the hub does not answer, drop the connection."""
        while True:
            idle_s = time.monotonic() - self._socket.heard_s
            if idle_s < interval_s:
                await asyncio.sleep(interval_s - idle_s)
                continue
            try:
                await self._socket.probe(PONG_TIMEOUT_S)
            except HubUnreachable:
                if not self._dropped:
                    self._died_idle_s = idle_s
                await self.drop()
                return

    @property
    def outlived_s(self) -> float:
        """The longest silence that this connection survived, in seconds."""
        return self._socket.outlived_s

    @property
    def local(self) -> str:
        """This machine's own address on it."""
        return self._socket.local

    @property
    def peer(self) -> str:
        """The address of the hub, or of the proxy on the way to it."""
        return self._socket.peer

    async def drop(self) -> None:
        """Close the connection, which ends ``read``; the link then opens a new one."""
        self._dropped = True
        await self._socket.close()


@asynccontextmanager
async def open_connection(dial: Dial) -> AsyncIterator[HubConnection]:
    """Connect, and have both sides prove their keys.

    Where the device's agent wrote the next token meanwhile, connect again, since the token is read again then.

    Raises ``HubUnreachable``, ``ReplyUnreadable``, ``HubKeyChanged``; ``HubRefused``, which ends or slows a device's
    tries only if the pinned hub signed it.
    """
    async with AsyncExitStack() as stack:
        yield await _open_with_newest_token(stack, dial)


async def _open_with_newest_token(stack: AsyncExitStack, dial: Dial) -> HubConnection:
    for _ in range(MAX_TOKEN_READS - 1):
        try:
            return await stack.enter_async_context(_open_once(dial))
        except HubRefused as refused:
            if refused.reason is not Reason.EXPIRED:
                raise
    return await stack.enter_async_context(_open_once(dial))


@asynccontextmanager
async def _open_once(dial: Dial) -> AsyncIterator[HubConnection]:
    async with open_socket(dial.url, timeout_s=dial.timeout_s, tls=dial.tls) as socket:
        try:
            async with asyncio.timeout(dial.timeout_s):
                welcome, hub = await _shake_hands(socket, dial)
        except TimeoutError:
            raise HubUnreachable("the hub did not finish its handshake in time") from None
        yield HubConnection(socket, welcome, hub)


async def _shake_hands(socket: Socket, dial: Dial) -> tuple[Welcome, HubKey]:
    handshake = DeviceHandshake(dial.dialled)
    shown = await socket.receive()
    try:
        challenge = handshake.on_challenge(shown)
        nonce = Nonce(os.urandom(NONCE_BYTES))
        # Read now and not earlier: the agent may write the next token while a command line waits for the hub.
        token = None if handshake.hub is None else dial.token(handshake.hub.fingerprint)
        proof = None if token is None else prove(token, challenge.nonce, nonce)
        await socket.send(handshake.hello(nonce, proof))
        reply = handshake.on_reply(await socket.receive())
    except Refused as refused:
        raise _unproven(refused, shown) from None
    if isinstance(reply, RefusedBody):
        next_try = after_refusal(reply.code, pinned=dial.dialled.pinned_hub is not None)
        detail = _origins(dial.dialled.origin, reply) if reply.origins else ""
        raise HubRefused(reply.reason, detail, reply.retry_after_ms, next_try=next_try)
    if handshake.hub is None:
        raise ReplyUnreadable("the hub showed no key")
    return reply, handshake.hub


def _origins(dialled: str, refused: RefusedBody) -> str:
    return f"it was dialled as {dialled}, and answers to {', '.join(refused.origins)}"


def _unproven(refused: Refused, shown: bytes) -> HubError:
    if refused.reason is Reason.HUB_KEY_CHANGED:
        return HubKeyChanged(shown_key(shown))
    return ReplyUnreadable(f"the hub's message was not accepted: {refused}")


def shown_key(challenge: bytes) -> Fingerprint:
    """Return the fingerprint of the key that a ``challenge`` message shows; raises ``Refused(malformed)``."""
    return read_challenge(challenge).hub_key.check().fingerprint


def read_challenge(challenge: bytes) -> Challenge:
    """Read the hub's first message, without any proof of the sender; raises ``Refused(malformed)``."""
    frame = decode_frame(challenge)
    if not isinstance(frame, Challenge):
        raise Refused(Reason.MALFORMED, "expected a challenge")
    frame.hub_key.check()
    return frame
