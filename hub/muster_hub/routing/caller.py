"""The caller of a request: a device that authenticated on one connection."""

from dataclasses import dataclass

from muster_hub.rate_limits.spending import Payer
from muster_protocol.cards import VerifiedCard
from muster_protocol.connect import Role
from muster_protocol.ids import ClientId, Fingerprint, InstanceId


@dataclass(frozen=True, slots=True)
class Caller:
    """A connected device, as its handshake left it (SPEC.md section 4).

    ``fingerprints`` are those of all its keys, genesis first; ``fingerprint`` is the last of them. ``connection`` goes
    into the store with every call on behalf of this connection, and the store refuses the call once a newer connection
    has superseded this one. ``token_counter`` is that of the continuity token that it showed, 0 for none;
    ``near`` is its address as the listener counts it.
    """

    client: ClientId
    fingerprint: Fingerprint
    fingerprints: tuple[Fingerprint, ...]
    connection: int
    role: Role
    instance: InstanceId
    card: VerifiedCard
    token_counter: int = 0
    near: str | None = None

    @property
    def payer(self) -> Payer:
        """Who pays for the requests of this connection."""
        return Payer(self.client, self.near)
