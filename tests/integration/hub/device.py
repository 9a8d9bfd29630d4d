"""A raw device for tests: the handshake of ``muster_protocol`` over a ``websockets`` client, and nothing in between."""

import asyncio
import contextlib
import itertools
import os
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.typing import Subprotocol

from muster_protocol.cards import Card, Mode, ProtocolRange, Rotation, SignedRotation, sign_rotation
from muster_protocol.connect import DeviceHandshake, Dialled, RefusedBody, Role, Welcome
from muster_protocol.continuity import Token, prove
from muster_protocol.frames import Frame, Goaway, Push, PutStatement, Reply, Request, decode_frame, encode_frame
from muster_protocol.governance import Grant, Revocation, Trust, Untrust
from muster_protocol.ids import (
    ClientId,
    EnrolmentCode,
    Fingerprint,
    GrantId,
    InstanceId,
    Nonce,
    Serial,
    TimeMs,
    client_id,
)
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.signed import Body, Signed, sign

WAIT_S = 20.0
"""How long a test waits for what must come, before it says that it did not."""

R = TypeVar("R", bound=Reply)
P = TypeVar("P", bound=Push)


def now_ms() -> TimeMs:
    return TimeMs(time.time_ns() // 1_000_000)


class RefusedByHubError(Exception):
    """The hub said no, signed."""

    def __init__(self, refused: RefusedBody) -> None:
        super().__init__(f"{refused.reason} ({refused.code})")
        self.refused = refused


class SigningDevice:
    """An identity and what it says. Serial numbers rise with each statement."""

    def __init__(self, name: str = "", app: str = "muster", modes: tuple[Mode, ...] = tuple(Mode)) -> None:
        self.name = name
        self.key = SigningKey.from_secret(os.urandom(32))
        self.genesis = self.key.public
        self.client: ClientId = client_id(self.genesis.alg, self.genesis.public)
        self.app = app
        self.modes = modes
        self.protocol = ProtocolRange(1, 1)
        self.rotations: tuple[SignedRotation, ...] = ()
        self.serial = int(now_ms())
        self.token: Token | None = None
        self._card: Signed | None = None

    @property
    def fingerprint(self) -> Fingerprint:
        return self.key.fingerprint

    def next_serial(self) -> Serial:
        self.serial = max(self.serial + 1, int(now_ms()))
        return Serial(self.serial)

    def card(self, *, new: bool = False) -> Signed:
        if self._card is None or new:
            self._card = sign(
                Card(
                    client=self.client,
                    genesis=self.genesis,
                    current=self.key.public,
                    rotations=self.rotations,
                    serial=self.next_serial(),
                    protocol=self.protocol,
                    app=self.app,
                    app_version="1.0",
                    modes=self.modes,
                ),
                self.key,
            )
        return self._card

    def rotate(self) -> None:
        """Take a new key, certified by the old one."""
        old, self.key = self.key, SigningKey.from_secret(os.urandom(32))
        body = Rotation(
            client=self.client,
            number=len(self.rotations) + 1,
            predecessor=old.fingerprint,
            new_key=self.key.public,
            serial=self.next_serial(),
        )
        self.rotations = (*self.rotations, sign_rotation(body, old, self.key))
        self._card = None

    def sign(self, body: Body) -> Signed:
        return sign(body, self.key)

    def trust(self, peer: "SigningDevice", fingerprint: Fingerprint | None = None) -> tuple[Kind, Signed]:
        body = Trust(
            client=self.client,
            serial=self.next_serial(),
            peer=peer.client,
            peer_key=fingerprint or peer.fingerprint,
        )
        return Kind.TRUST, self.sign(body)

    def untrust(self, peer: "SigningDevice") -> tuple[Kind, Signed]:
        return Kind.UNTRUST, self.sign(Untrust(client=self.client, serial=self.next_serial(), peer=peer.client))

    def grant(
        self,
        peer: "SigningDevice",
        mode: Mode = Mode.SYNCHRONIZE,
        profiles: tuple[str, ...] | None = None,
        *,
        once: bool = False,
        grant: GrantId | None = None,
        lasts_ms: int = 3_600_000,
    ) -> tuple[Kind, Signed]:
        start = now_ms() - 1_000
        body = Grant(
            client=self.client,
            serial=self.next_serial(),
            peer=peer.client,
            peer_key=peer.fingerprint,
            grant=grant or GrantId(os.urandom(16)),
            mode=mode,
            profiles=profiles,
            uses=1 if once else None,
            not_before=TimeMs(start),
            expires_at=TimeMs(start + lasts_ms),
        )
        return Kind.GRANT, self.sign(body)

    def revocation(self, peer: "SigningDevice", grant: GrantId) -> tuple[Kind, Signed]:
        body = Revocation(client=self.client, serial=self.next_serial(), peer=peer.client, grant=grant)
        return Kind.REVOCATION, self.sign(body)

    @asynccontextmanager
    async def connect(
        self,
        url: str,
        *,
        role: Role = Role.AGENT,
        instance: InstanceId | None = None,
        pinned_hub: Fingerprint | None = None,
        origin: str | None = None,
        token: Token | None = None,
        tls: ssl.SSLContext | None = None,
        source: str | None = None,
        enrolment: EnrolmentCode | None = None,
    ) -> AsyncIterator["DeviceLink"]:
        """Connect, or raise RefusedByHubError. The device shows ``token``, else the token that it was given last."""
        async with dial(url, tls=tls, source=source) as socket:
            shake = self.handshake(
                origin or url, role=role, instance=instance, pinned_hub=pinned_hub, enrolment=enrolment
            )
            challenge = shake.on_challenge(await receive(socket))
            nonce = Nonce(os.urandom(32))
            token = token or self.token
            proof = prove(token, challenge.nonce, nonce) if token else None
            await socket.send(shake.hello(nonce, proof))
            answer = shake.on_reply(await receive(socket))
            if isinstance(answer, RefusedBody):
                raise RefusedByHubError(answer)
            async with DeviceLink(self, socket, answer) as link:
                yield link

    def handshake(
        self,
        origin: str,
        *,
        role: Role = Role.AGENT,
        instance: InstanceId | None = None,
        pinned_hub: Fingerprint | None = None,
        enrolment: EnrolmentCode | None = None,
    ) -> DeviceHandshake:
        return DeviceHandshake(
            Dialled(
                key=self.key,
                card=self.card(),
                client=self.client,
                instance=instance or InstanceId(os.urandom(16)),
                role=role,
                protocol=self.protocol,
                origin=origin,
                pinned_hub=pinned_hub,
                enrolment=enrolment,
            )
        )


class DeviceLink:
    """One welcome connection: requests that wait for their reply, and the pushes that came meanwhile."""

    def __init__(self, device: SigningDevice, socket: ClientConnection, welcome: Welcome) -> None:
        self.device = device
        self.socket = socket
        self.welcome = welcome
        self.bytes_of_replies: dict[int, bytes] = {}
        self.close_code: int | None = None
        self.goaway: Goaway | None = None
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._pushes: list[Push] = []
        self._moved = asyncio.Condition()
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._reader = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._reader

    def next_id(self) -> int:
        return next(self._ids)

    async def ask(self, request: Request, expected: type[R]) -> R:
        """Send a request (its id is replaced) and return its reply, which must be of that type."""
        reply = await self.ask_any(request)
        assert isinstance(reply, expected), f"expected {expected.__name__}, got {reply}"
        return reply

    async def ask_any(self, request: Request) -> Reply:
        number = self.next_id()
        return await self.ask_bytes(number, encode_frame(msgspec.structs.replace(request, id=number)))

    async def ask_bytes(self, number: int, data: bytes) -> Reply:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[number] = future
        try:
            await self.socket.send(data)
        except ConnectionClosed as closed:
            raise ConnectionError("closed") from closed  # what it hears too where it waits for the reply
        async with asyncio.timeout(WAIT_S):
            return await future

    async def put(self, statement: tuple[Kind, Signed]) -> Reply:
        """Publish a statement of any kind."""
        kind, signed = statement
        return await self.ask_any(PutStatement(id=0, kind=kind, statement=signed))

    async def next_push(self, expected: type[P]) -> P:
        """Wait for a push of that type, and take the first; others stay for those who ask for them."""
        async with asyncio.timeout(WAIT_S), self._moved:
            while True:
                for push in self._pushes:
                    if isinstance(push, expected):
                        self._pushes.remove(push)
                        return push
                await self._moved.wait()

    def waiting(self, expected: type[P]) -> list[P]:
        """Return the pushes of that type that came and were not taken."""
        return [push for push in self._pushes if isinstance(push, expected)]

    async def closed(self) -> int:
        """Wait until the hub closed the connection; return the code."""
        async with asyncio.timeout(WAIT_S):
            await self.ended.wait()
        assert self.close_code is not None
        return self.close_code

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosedError):  # any code but 1000 and 1001
            async for data in self.socket:
                assert isinstance(data, bytes)
                await self._take(decode_frame(data), data)
        self.close_code = self.socket.close_code
        for future in self._replies.values():
            if not future.done():
                future.set_exception(ConnectionError(f"closed with {self.close_code}"))
                future.exception()  # a caller still gets it, if there is one
        self.ended.set()
        async with self._moved:
            self._moved.notify_all()

    async def _take(self, frame: Frame, data: bytes) -> None:
        if isinstance(frame, Reply):
            self.bytes_of_replies[frame.re] = data
            self._replies.pop(frame.re).set_result(frame)
        elif isinstance(frame, Goaway):
            self.goaway = frame
        elif isinstance(frame, Push):
            async with self._moved:
                self._pushes.append(frame)
                self._moved.notify_all()


def dial(url: str, *, tls: ssl.SSLContext | None = None, source: str | None = None) -> connect:
    """Open a WebSocket as a device does, from a source address if one is named; nothing is said yet."""
    more: dict[str, Any] = {}
    if tls is not None:
        more["ssl"] = tls
    if source is not None:
        more["local_addr"] = (source, 0)
    return connect(
        url, subprotocols=[Subprotocol("muster.v1")], compression=None, ping_interval=None, open_timeout=WAIT_S, **more
    )


async def receive(socket: ClientConnection) -> bytes:
    async with asyncio.timeout(WAIT_S):
        data = await socket.recv()
    assert isinstance(data, bytes)
    return data
