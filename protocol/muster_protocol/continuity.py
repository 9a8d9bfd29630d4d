"""Finding clones: a counter that only one copy of a device's data can keep up with (SPEC.md section 4.4)."""

import hmac
from enum import Enum
from typing import Annotated

from msgspec import Meta, Struct

from muster_protocol.ids import MAX_TIME_MS, ClientId, Nonce
from muster_protocol.labels import CONTINUITY_KEY, CONTINUITY_PROOF, CONTINUITY_TOKEN

Counter = Annotated[int, Meta(ge=1, le=MAX_TIME_MS)]
Mac = Annotated[bytes, Meta(min_length=32, max_length=32)]


MAX_LOST_TOKENS = 2**24
"""How far above the last issued counter a restore of the hub explains one: a connect a second, for half a year."""


class Token(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the hub gives an agent to show next time: a counter and the hub's MAC. The device keeps it 0600."""

    counter: Counter
    mac: Mac


class Proof(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Shows that the sender holds the token with this counter, without showing the token."""

    counter: Counter
    mac: Mac


class Continuity(Enum):
    """What a proof says about the device's data, or about the hub's."""

    KEPT = "kept"
    CLONE_SUSPECTED = "clone_suspected"
    HUB_RESTORED = "hub_restored"
    READ_AGAIN = "read_again"
    """The next token was confirmed while a command line connected: it reads the token again, over a new connection."""


def hub_secret(hub_key_secret: bytes) -> bytes:
    """Derive the hub's MAC key from its identity secret, so that a hub keeps one secret only."""
    return hmac.digest(hub_key_secret, CONTINUITY_KEY, "sha256")


def issue(secret: bytes, client: ClientId, counter: int) -> Token:
    """Make the token with this counter."""
    return Token(
        counter, hmac.digest(secret, CONTINUITY_TOKEN + client.encode() + counter.to_bytes(8, "big"), "sha256")
    )


def prove(token: Token, challenge: Nonce, hello: Nonce) -> Proof:
    """Prove possession of a token on one connection: bound to the nonces of both sides."""
    return Proof(token.counter, hmac.digest(token.mac, CONTINUITY_PROOF + challenge + hello, "sha256"))


def genuine(secret: bytes, client: ClientId, proof: Proof, challenge: Nonce, hello: Nonce) -> bool:
    """Return whether the hub itself once issued the token behind ``proof``, to this device."""
    return hmac.compare_digest(proof.mac, prove(issue(secret, client, proof.counter), challenge, hello).mac)


def judge(presented: int, confirmed: int, issued: int) -> Continuity:
    """Judge an agent's genuine counter (0: none was shown) against the last that was confirmed and the last issued.

    A token newer than the confirmed one was written by the device, and only its confirmation was lost. One that no
    restore of the hub explains counts as none: who has the hub's key made it, and the next one would be too large.
    """
    if presented > issued + MAX_LOST_TOKENS:
        presented = 0
    if presented < confirmed:
        return Continuity.CLONE_SUSPECTED
    if presented > issued:
        return Continuity.HUB_RESTORED
    return Continuity.KEPT


def judge_command_line(presented: int, confirmed: int, *, confirmed_ms: int, challenged_ms: int) -> Continuity:
    """Judge the counter that a command line showed; it gets no new token.

    ``confirmed_ms`` is when the last confirmed counter was confirmed, ``challenged_ms`` when the challenge was sent,
    both by one clock. A command line reads the token after the challenge came. So it may show an older one only where
    the agent confirmed the next one since then; and a copy that holds its ``hello`` back may wait for that.
    """
    if presented >= confirmed:
        return Continuity.KEPT
    return Continuity.READ_AGAIN if confirmed_ms >= challenged_ms else Continuity.CLONE_SUSPECTED
