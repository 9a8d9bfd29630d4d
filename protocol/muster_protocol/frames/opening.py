"""The messages that open and end a connection (SPEC.md section 4)."""

from typing import Annotated

from msgspec import Meta

from muster_protocol.cards import ProtocolRange
from muster_protocol.frames.envelope import Count, Frame
from muster_protocol.hub_keys import MAX_HUB_ROTATIONS, SignedHubRotation
from muster_protocol.ids import Nonce, TimeMs
from muster_protocol.keys import PublicKey
from muster_protocol.signed import Signed


class Challenge(Frame, frozen=True, kw_only=True, tag="challenge"):
    """The hub's first message."""

    nonce: Nonce
    hub_key: PublicKey
    hub_rotations: Annotated[tuple[SignedHubRotation, ...], Meta(max_length=MAX_HUB_ROTATIONS)]
    protocol: ProtocolRange
    at: TimeMs


class HelloFrame(Frame, frozen=True, kw_only=True, tag="hello"):
    """The device's first message: the bytes of ``Hello`` and the signature over their hash."""

    hello: bytes
    connect: Signed


class WelcomeFrame(Frame, frozen=True, kw_only=True, tag="welcome"):
    """The hub's signed yes."""

    welcome: Signed


class RefusedFrame(Frame, frozen=True, kw_only=True, tag="refused"):
    """The hub's signed no; a close follows."""

    refused: Signed


class Goaway(Frame, frozen=True, kw_only=True, tag="goaway"):
    """The hub will close this connection; come back after ``retry_after_ms``."""

    retry_after_ms: Count
