"""What a session's creator keeps of the devices that it calls: plain facts, which ``target_calls`` moves along.

called ---> accepted ---> admitted ---> joined
|            |             |
+------------+-------------+-------> refused
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.epochs import KnownEpoch
from muster_protocol.exchange import Invite
from muster_protocol.frames import SessionKind
from muster_protocol.ids import ClientId, Hash, Seed, Serial, SessionId, TimeMs, session_id
from muster_protocol.keys import PublicKey
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.sealing import EpochKey, PublicReceiveKey
from muster_protocol.signed import Signed

FIRST_RETRY_MS = 2_000
LONGEST_RETRY_MS = 60_000
"""Times to the next try of an epoch that the hub refused because of a member, or of which no reply came; each is twice
the one before."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session is: fixed when it is made."""

    creator: ClientId
    seed: Seed
    mode: Mode
    profile: str | None
    kind: SessionKind
    protocol: ProtocolRange

    @property
    def session(self) -> SessionId:
        """The session's name, made from creator and seed."""
        return session_id(self.creator, self.seed)


class TargetState(Enum):
    """How far one called device is."""

    CALLED = "called"
    ACCEPTED = "accepted"
    ADMITTED = "admitted"
    JOINED = "joined"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CallTarget:
    """One called device: its state and, once refused, the reason and whose word it is."""

    client: ClientId
    state: TargetState
    deadline: TimeMs | None = None
    reason: Reason | None = None
    sayer: Sayer | None = None


@dataclass(frozen=True, slots=True)
class Admissions:
    """What ``admit`` gives the hub to commit: the epoch, its key for members, and an admission for each newcomer."""

    epoch: Signed
    sealed: tuple[tuple[ClientId, bytes], ...]
    admissions: tuple[tuple[ClientId, Signed], ...]


@dataclass(frozen=True, slots=True)
class Live:
    """A live invite and what came of it."""

    peer: PublicKey
    invite: Invite
    invite_hash: Hash
    answer_hash: Hash | None = None
    version: int | None = None
    answered_at: TimeMs | None = None
    """By the called device's clock."""
    receive_key: PublicReceiveKey | None = None
    admitted: tuple[Hash, Hash] | None = None
    """Its committed admission, and the epoch of that."""
    trust: Serial | None = None
    """Of the statement by which the creator trusted the device when it called it."""


@dataclass(frozen=True, slots=True)
class CallMember:
    """A member other than the creator: its key, where to seal the next epoch's key, and the epoch it said that in.

    ``since``: the time in the answer for which it was admitted, by its own clock. ``has_joined``: its ``joined`` for
    that admission came. ``trust``: as in the call by which it was admitted.
    """

    key: PublicKey
    receive_key: PublicReceiveKey
    since: TimeMs
    joined: int
    trust: Serial | None
    has_joined: bool = False


@dataclass(frozen=True, slots=True)
class PendingAdmission:
    """An admission on its way to the hub, and the answer for which it admits its device."""

    hash: Hash
    answer_hash: Hash | None


@dataclass(frozen=True, slots=True)
class Pending:
    """An epoch that the hub has not committed yet, as far as it has replied.

    ``kept``: its members beside the creator and the newcomers. ``newcomers``: the calls whose answers it admits.
    ``sent``: what the hub was asked to commit; None for epoch 1.
    ``again_at``: when the hub is asked once more, since its reply did not come.
    """

    epoch: KnownEpoch
    key: EpochKey
    admissions: Mapping[ClientId, PendingAdmission]
    kept: frozenset[ClientId]
    newcomers: Mapping[ClientId, Live]
    sent: Admissions | None = None
    again_at: TimeMs | None = None
