"""The connect handshake, both sides, pure (SPEC.md section 4).

Challenge, then ``hello``, then ``welcome`` or ``refused``: each bound by hash to the bytes before it. The device's
signature also covers the origin that it dialled and the hub key that it means, so that one hub cannot pass it on to
another.
"""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from muster_protocol.cards import Card, ProtocolRange, ProtocolVersion, VerifiedCard, card_checks, read_card
from muster_protocol.checks import Checks, SignatureStep, run
from muster_protocol.closes import code_of
from muster_protocol.codec import MAX_MESSAGE_BYTES, decode_closed, encode
from muster_protocol.continuity import Proof, Token
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    MAX_MEMBERS,
    MAX_TARGETS,
    MAX_WAITING,
    MAX_WATCHED,
    Challenge,
    HelloFrame,
    RefusedFrame,
    WelcomeFrame,
    decode_frame,
    encode_frame,
)
from muster_protocol.hub_keys import HubKey, follow_hub_key
from muster_protocol.ids import MAX_TIME_MS, ClientId, EnrolmentCode, Fingerprint, Hash, InstanceId, Nonce, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.labels import CHALLENGE, HELLO, HELLO_MESSAGE, Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Body, Signed, sign, verify

PROTOCOL = ProtocolRange(1, 1)
"""The protocol versions that this package speaks."""
SUBPROTOCOL = "muster.v1"
"""The WebSocket subprotocol (SPEC.md section 3.1)."""
MAX_ORIGIN_CHARS = 255
MAX_CONNECTION = MAX_TIME_MS
MAX_ORIGINS_SHOWN = 8

Origin = Annotated[str, Meta(min_length=1, max_length=MAX_ORIGIN_CHARS)]


class Role(StrEnum):
    """What a process of a device does: the one that answers invites, or one that only asks."""

    AGENT = "agent"
    CLI = "cli"


class Hello(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What a device says of itself when it connects. Not signed by itself: ``Connect`` signs its hash."""

    card: Signed
    instance: InstanceId
    role: Role
    nonce: Nonce
    protocol: ProtocolRange
    continuity: Proof | None
    enrolment: EnrolmentCode | None


class Connect(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The device's signature over one connection."""

    KIND: ClassVar[Kind] = Kind.CONNECT

    client: ClientId
    challenge: Hash
    hello: Hash
    origin: Origin
    hub_key: Fingerprint


class Limits(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a device may ask of this hub at most."""

    message_bytes: Annotated[int, Meta(ge=1, le=MAX_MESSAGE_BYTES)]
    targets: Annotated[int, Meta(ge=1, le=MAX_TARGETS)]
    members: Annotated[int, Meta(ge=1, le=MAX_MEMBERS)]
    watched: Annotated[int, Meta(ge=1, le=MAX_WATCHED)]
    waiting: Annotated[int, Meta(ge=1, le=MAX_WAITING)]


class Welcome(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The hub's signed yes. ``newest_serial`` and ``changes`` are 0 where the hub holds no statement of this device."""

    KIND: ClassVar[Kind] = Kind.WELCOME

    challenge: Hash
    hello: Hash
    connection: Annotated[int, Meta(ge=1, le=MAX_CONNECTION)]
    protocol: ProtocolVersion
    keep_alive_ms: Annotated[int, Meta(ge=1, le=MAX_TIME_MS)]
    limits: Limits
    token: Token | None
    newest_serial: Annotated[int, Meta(ge=0, le=MAX_TIME_MS)]
    changes: Annotated[int, Meta(ge=0, le=MAX_TIME_MS)]
    standing: Reason | None
    at: TimeMs


class RefusedBody(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The hub's signed no: the close code that follows, the reason, and when to come back if at all."""

    KIND: ClassVar[Kind] = Kind.REFUSED

    challenge: Hash
    hello: Hash
    code: Annotated[int, Meta(ge=4000, le=4999)]
    reason: Reason
    retry_after_ms: Annotated[int, Meta(ge=0, le=MAX_TIME_MS)] | None
    at: TimeMs
    origins: Annotated[tuple[Origin, ...], Meta(max_length=MAX_ORIGINS_SHOWN)]
    """Those that the hub answers to; empty unless the device dialled another one."""


def challenge_hash(data: bytes) -> Hash:
    """Hash a ``challenge`` message as it came."""
    return Hash(sha256(CHALLENGE + data).digest())


def hello_hash(body: bytes) -> Hash:
    """Hash the bytes of a ``Hello``, for the device to sign."""
    return Hash(sha256(HELLO + body).digest())


def hello_message_hash(data: bytes) -> Hash:
    """Hash a ``hello`` message as it came, signature and all, for the hub to sign.

    If a byte of it is changed on the way, the answer is to the changed message, and the device does not take it.
    """
    return Hash(sha256(HELLO_MESSAGE + data).digest())


@dataclass(frozen=True, slots=True)
class Dialled:
    """How a device means to connect: who it is, what it dialled, and which hub key it pinned (None: not yet)."""

    key: SigningKey
    card: Signed
    client: ClientId
    instance: InstanceId
    role: Role
    protocol: ProtocolRange
    origin: str
    pinned_hub: Fingerprint | None
    enrolment: EnrolmentCode | None = None
    """The code of an invitation that was not used yet."""


class DeviceHandshake:
    """The device's side of one connection."""

    def __init__(self, dialled: Dialled) -> None:
        self._dialled = dialled
        self._challenge: Hash | None = None
        self._hello: Hash | None = None
        self.hub: HubKey | None = None
        """The hub's key once ``on_challenge`` has checked it against the pin."""
        self.challenge: Challenge | None = None

    def on_challenge(self, data: bytes) -> Challenge:
        """Check the hub's key against the pin, before anything of ours is said.

        Raises ``Refused``: ``hub_key_changed`` for a key that the pinned one did not certify,
        ``incompatible_protocol``, ``malformed``.
        """
        frame = decode_frame(data)
        if not isinstance(frame, Challenge):
            raise Refused(Reason.MALFORMED, "expected a challenge")
        self.hub = follow_hub_key(frame.hub_key, frame.hub_rotations, self._dialled.pinned_hub)
        if frame.protocol.highest_common(self._dialled.protocol) is None:
            raise Refused(Reason.INCOMPATIBLE_PROTOCOL, "hub")
        self._challenge = challenge_hash(data)
        self.challenge = frame
        return frame

    def hello(self, nonce: Nonce, continuity: Proof | None) -> bytes:
        """Return the ``hello`` message; ``continuity`` proves the token over the challenge's nonce and this one."""
        mine = self._dialled
        if self.hub is None or self._challenge is None:
            raise Refused(Reason.MALFORMED, "no challenge yet")
        body = encode(
            Hello(
                card=mine.card,
                instance=mine.instance,
                role=mine.role,
                nonce=nonce,
                protocol=mine.protocol,
                continuity=continuity,
                enrolment=mine.enrolment,
            )
        )
        connect = Connect(
            client=mine.client,
            challenge=self._challenge,
            hello=hello_hash(body),
            origin=mine.origin,
            hub_key=self.hub.fingerprint,
        )
        message = encode_frame(HelloFrame(hello=body, connect=sign(connect, mine.key)))
        self._hello = hello_message_hash(message)
        return message

    def on_reply(self, data: bytes) -> Welcome | RefusedBody:
        """Check the hub's answer: signed by its key, for this challenge and this ``hello``.

        Raises ``Refused``: ``bad_signature``, ``mismatch``, ``malformed``, ``incompatible_protocol``. An error frame
        without a signature raises too: nothing unsigned ends a device's retries.
        """
        frame = decode_frame(data)
        if self.hub is None:
            raise Refused(Reason.MALFORMED, "no challenge yet")
        if isinstance(frame, WelcomeFrame):
            welcome = verify(frame.welcome, self.hub.key, Welcome)
            self._check_bound(welcome.challenge, welcome.hello)
            self._check_version(welcome.protocol)
            if welcome.standing not in {None, Reason.CLONE_SUSPECTED}:
                raise Refused(Reason.MALFORMED, "no standing of a device that may connect")
            return welcome
        if isinstance(frame, RefusedFrame):
            refused = verify(frame.refused, self.hub.key, RefusedBody)
            self._check_bound(refused.challenge, refused.hello)
            if refused.code != code_of(refused.reason):
                raise Refused(Reason.MALFORMED, "not the code of that reason")
            return refused
        raise Refused(Reason.MALFORMED, "expected welcome or refused")

    def _check_bound(self, challenge: Hash, hello: Hash) -> None:
        if (challenge, hello) != (self._challenge, self._hello):
            raise Refused(Reason.MISMATCH, "an answer to another connection")

    def _check_version(self, chosen: int) -> None:
        # Both ranges stand in signed bytes, so a hub in the middle cannot talk two sides down.
        if self.challenge is None or self.challenge.protocol.highest_common(self._dialled.protocol) != chosen:
            raise Refused(Reason.INCOMPATIBLE_PROTOCOL, "not the highest common version")


@dataclass(frozen=True, slots=True)
class Introduced:
    """A device that proved who it is, on this connection, to this hub."""

    card: VerifiedCard
    hello: Hello
    message_hash: Hash
    protocol: int


class HubHandshake:
    """The hub's side of one connection."""

    def __init__(self, key: SigningKey, challenge: Challenge, origins: frozenset[str]) -> None:
        self._key = key
        self._origins = origins
        self._frame = challenge
        self.message = encode_frame(challenge)
        """The ``challenge`` message to send, in the bytes that are hashed."""
        self._challenge = challenge_hash(self.message)

    def on_hello(self, data: bytes) -> Introduced:
        """Check a ``hello`` message whole: ``checks`` in one go."""
        return run(self.checks(data))

    def checks(self, data: bytes) -> Checks[Introduced]:
        """Check a ``hello`` message, cheapest first, so that a stranger costs little before it proved its key.

        The chain of a card is checked last, for a device that proved the current key on this connection.

        Raises ``Refused``: ``malformed``, ``unsupported``, ``bad_signature``, ``mismatch`` (another challenge, another
        ``hello``), ``wrong_origin``, ``hub_key_changed`` (the device means another hub's key),
        ``incompatible_protocol``.
        """
        frame = decode_frame(data)
        if not isinstance(frame, HelloFrame):
            raise Refused(Reason.MALFORMED, "expected hello")
        hello = decode_closed(frame.hello, Hello)
        card = read_card(hello.card)
        yield SignatureStep(signatures=1, charge=1)
        connect = verify(frame.connect, card.current, Connect)
        self._check(connect, card, hello_hash(frame.hello))
        version = self._frame.protocol.highest_common(hello.protocol)
        if version is None:
            raise Refused(Reason.INCOMPATIBLE_PROTOCOL, "hub")
        verified = yield from card_checks(hello.card, card)
        return Introduced(verified, hello, hello_message_hash(data), version)

    def _check(self, connect: Connect, card: Card, hello: Hash) -> None:
        if connect.hub_key != self._key.fingerprint:
            raise Refused(Reason.HUB_KEY_CHANGED, "meant for another hub")
        if (connect.client, connect.challenge, connect.hello) != (card.client, self._challenge, hello):
            raise Refused(Reason.MISMATCH, "signed for another connection")
        if connect.origin not in self._origins:
            raise Refused(Reason.WRONG_ORIGIN, connect.origin)

    def welcome(
        self,
        device: Introduced,
        *,
        connection: int,
        keep_alive_ms: int,
        limits: Limits,
        token: Token | None,
        newest_serial: int,
        changes: int,
        standing: Reason | None,
        now: TimeMs,
    ) -> bytes:
        """Return the signed ``welcome`` message."""
        body = Welcome(
            challenge=self._challenge,
            hello=device.message_hash,
            connection=connection,
            protocol=device.protocol,
            keep_alive_ms=keep_alive_ms,
            limits=limits,
            token=token,
            newest_serial=newest_serial,
            changes=changes,
            standing=standing,
            at=now,
        )
        return encode_frame(WelcomeFrame(welcome=sign(body, self._key)))

    def refused(self, data: bytes, reason: Reason, now: TimeMs, retry_after_ms: int | None = None) -> bytes:
        """Return the signed ``refused`` message for the ``hello`` message that came as ``data``, readable or not."""
        body = RefusedBody(
            challenge=self._challenge,
            hello=hello_message_hash(data),
            code=code_of(reason),
            reason=reason,
            retry_after_ms=retry_after_ms,
            at=now,
            origins=tuple(sorted(self._origins)[:MAX_ORIGINS_SHOWN]) if reason is Reason.WRONG_ORIGIN else (),
        )
        return encode_frame(RefusedFrame(refused=sign(body, self._key)))
