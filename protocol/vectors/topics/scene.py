"""The scenes of connect.json: who dials what, and what the hub shows (SPEC.md section 4)."""

from dataclasses import dataclass, field

from muster_protocol.cards import ProtocolRange
from muster_protocol.connect import DeviceHandshake, Dialled, HubHandshake, Introduced, Limits, Role
from muster_protocol.continuity import Proof, Token, hub_secret, issue, prove
from muster_protocol.frames import Challenge, encode_frame
from muster_protocol.hub_keys import SignedHubRotation, sign_hub_rotation
from muster_protocol.ids import EnrolmentCode, Fingerprint
from muster_protocol.keys import SigningKey
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed
from vectors.topics.cast import (
    HUB,
    HUB_NEXT,
    HUB_SECRET,
    HUB_THIRD,
    LAPTOP,
    NOW,
    VERSIONS,
    instance_id,
    nonce,
    secret,
)
from vectors.topics.forms import Json, signed

ORIGIN = "wss://hub.example"
ORIGINS = (ORIGIN, "ws://127.0.0.1:7627")
LIMITS = Limits(message_bytes=65_536, targets=15, members=16, watched=256, waiting=64)
LINKS = (sign_hub_rotation(1, HUB, HUB_NEXT.public), sign_hub_rotation(2, HUB_NEXT, HUB_THIRD.public))
KEY_SECRETS = {HUB.fingerprint: HUB_SECRET, HUB_NEXT.fingerprint: secret(0xA1), HUB_THIRD.fingerprint: secret(0xA2)}


@dataclass(frozen=True, slots=True)
class DialScene:
    """One connection: who dials what, and what the hub shows."""

    hub: SigningKey = HUB
    links: tuple[SignedHubRotation, ...] = ()
    pinned: Fingerprint | None = HUB.fingerprint
    hub_range: ProtocolRange = VERSIONS
    device_range: ProtocolRange = VERSIONS
    key: SigningKey = LAPTOP.key
    key_secret: bytes = LAPTOP.secret
    card: Signed = field(default_factory=LAPTOP.card)
    role: Role = Role.AGENT
    origin: str = ORIGIN
    token: bool = False
    enrolment: EnrolmentCode | None = None
    refusal: Reason = Reason.STORE_UNAVAILABLE

    def challenge(self) -> Challenge:
        """Return the hub's first message."""
        return Challenge(
            nonce=nonce("challenge"), hub_key=self.hub.public, hub_rotations=self.links, protocol=self.hub_range, at=NOW
        )

    def device(self) -> DeviceHandshake:
        """Return the device's side of the connection."""
        return DeviceHandshake(
            Dialled(
                key=self.key,
                card=self.card,
                client=LAPTOP.client,
                instance=instance_id("laptop"),
                role=self.role,
                protocol=self.device_range,
                origin=self.origin,
                pinned_hub=self.pinned,
                enrolment=self.enrolment,
            )
        )

    def hub_side(self) -> HubHandshake:
        """Return the hub's side of the connection."""
        return HubHandshake(self.hub, self.challenge(), frozenset(ORIGINS))

    @property
    def message(self) -> bytes:
        """The challenge as it travels."""
        return encode_frame(self.challenge())

    def proof(self) -> Proof | None:
        """Return the proof of the device's token, if it has one."""
        if not self.token:
            return None
        return prove(issue(self._mac_key(), LAPTOP.client, 7), nonce("challenge"), nonce("hello"))

    def next_token(self) -> Token | None:
        """Return the token that the hub issues: to an agent only."""
        return issue(self._mac_key(), LAPTOP.client, 8) if self.role is Role.AGENT else None

    def _mac_key(self) -> bytes:
        return hub_secret(KEY_SECRETS[self.hub.fingerprint])

    def hello(self) -> bytes:
        """Return the device's hello to this scene's challenge."""
        device = self.device()
        device.on_challenge(self.message)
        return device.hello(nonce("hello"), self.proof())

    def shown(self) -> Json:
        """Return the device as JSON."""
        return {
            "secret": self.key_secret.hex(),
            "card": signed(self.card),
            "client": LAPTOP.client,
            "instance": instance_id("laptop").hex(),
            "role": self.role.value,
            "protocol": [self.device_range.low, self.device_range.high],
            "origin": self.origin,
            "pinned_hub": None if self.pinned is None else self.pinned.hex(),
            "enrolment": None if self.enrolment is None else self.enrolment.hex(),
        }


def welcome(hub: HubHandshake, met: Introduced, token: Token | None = None, standing: Reason | None = None) -> bytes:
    """Let the hub say yes."""
    return hub.welcome(
        met,
        connection=12,
        keep_alive_ms=20_000,
        limits=LIMITS,
        token=token,
        newest_serial=0,
        changes=0,
        standing=standing,
        now=NOW,
    )
