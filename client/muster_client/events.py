"""The events of an agent, in the order in which they happened.

``Agent.events()`` and ``Session.updates()`` are streams of these, and the control socket carries the same.
"""

import asyncio
from collections import deque
from enum import StrEnum
from typing import Generic, Self, TypeVar
from weakref import WeakSet

from msgspec import Struct

from muster_protocol.cards import Mode
from muster_protocol.frames import MemberState, Presence, Purpose
from muster_protocol.ids import ClientId, Fingerprint, SessionId, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer

__all__ = [
    "MAX_UNREAD_EVENTS",
    "ClockBehind",
    "CloneSuspected",
    "Connected",
    "DataUnwritable",
    "Disconnected",
    "Event",
    "HubPinned",
    "InboxEntry",
    "InviteAnswered",
    "InviteEnded",
    "Invited",
    "KeepAliveShortened",
    "MemberView",
    "MembersChanged",
    "Missed",
    "NotPublished",
    "PeerChanged",
    "PresenceChanged",
    "Progress",
    "Published",
    "SessionEnded",
    "SessionJoined",
    "SessionUpdate",
    "Stopped",
    "Stream",
    "Target",
    "TargetChanged",
    "TrustEnded",
    "TrustUnconfirmed",
]

MAX_UNREAD_EVENTS = 1024
"""Events that wait for one slow reader. Beyond that the oldest are dropped and counted."""

T = TypeVar("T")


class Progress(StrEnum):
    """The state of a called device. The last two are final."""

    CALLED = "called"
    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    JOINED = "joined"
    REFUSED = "refused"

    @property
    def final(self) -> bool:
        """Whether no other state follows, unless the device is called again."""
        return self in {Progress.JOINED, Progress.REFUSED}


class Target(Struct, frozen=True, kw_only=True):
    """A called device: its state, and for a refusal the reason and who gave it.

    ``after_ms`` is the time from the call to this state, by this device's monotonic clock.
    """

    client: ClientId
    state: Progress
    reason: Reason | None = None
    sayer: Sayer | None = None
    after_ms: int = 0


class MemberView(Struct, frozen=True, kw_only=True):
    """A member of a session. ``joined`` and ``out`` only after this device verified the member's own statement.

    ``denied``: the hub says that it is a member no more, and there is no such statement of it here; ``reason`` is then
    the hub's. ``blocks``: at the creator only. The hub refuses each epoch that has this member: no device is admitted
    until the member says that it went, this device trusts it no longer, or the hub takes it back.
    """

    client: ClientId
    state: MemberState
    reason: Reason | None = None
    denied: bool = False
    blocks: bool = False


class InboxEntry(Struct, frozen=True, kw_only=True):
    """An invite that waits for this device's person.

    ``id`` is 32 hex characters that its creator chose; ``number`` is this device's own, and never given again.
    """

    id: str
    number: int
    creator: ClientId
    session: SessionId
    mode: Mode
    profile: str | None
    received_at: TimeMs
    expires_at: TimeMs


class Event(Struct, frozen=True, kw_only=True, tag_field="event", tag=True):
    """Anything that an agent reports."""


class Connected(Event, frozen=True, kw_only=True, tag="connected"):
    """The hub at ``url`` said welcome. ``standing`` is a reason if the hub restricts this device."""

    url: str
    hub: Fingerprint
    connection: int
    standing: Reason | None


class HubPinned(Event, frozen=True, kw_only=True, tag="hub_pinned"):
    """The hub's key was pinned: at the first connect, or because the pinned one certified it (``followed``)."""

    hub: Fingerprint
    followed: bool


class Disconnected(Event, frozen=True, kw_only=True, tag="disconnected"):
    """There is no connection; the next try is in ``retry_in_s``.

    ``cause`` is a short word for logs. ``sentence`` is for people, and may be empty.
    """

    cause: str
    retry_in_s: float
    reason: Reason | None = None
    sentence: str = ""


class KeepAliveShortened(Event, frozen=True, kw_only=True, tag="keep_alive_shortened"):
    """A proxy or router cuts idle connections, so the agent pings the hub more often from now on."""

    interval_s: float


class DataUnwritable(Event, frozen=True, kw_only=True, tag="data_unwritable"):
    """The device's data could not be written. The agent tries again; anything that depends on the write waits."""

    sentence: str


class Stopped(Event, frozen=True, kw_only=True, tag="stopped"):
    """The hub proved that it revoked this device. The agent ends."""

    reason: Reason


class CloneSuspected(Event, frozen=True, kw_only=True, tag="clone_suspected"):
    """The hub suspects two copies of this device's data; automatic joins wait for ``muster id confirm``."""


class ClockBehind(Event, frozen=True, kw_only=True, tag="clock_behind"):
    """This device's clock went back by more than a day; until it is set right, none of its grants counts."""


class TrustUnconfirmed(Event, frozen=True, kw_only=True, tag="trust_unconfirmed"):
    """The hub has unconfirmed trust or grants, which these data did not make: see ``muster trust review``."""

    peers: tuple[ClientId, ...]


class TrustEnded(Event, frozen=True, kw_only=True, tag="trust_ended"):
    """The hub had ends of trust or of grants, which these data did not make: see ``muster trust review``.

    They hold. ``devices`` is how many the person was not shown yet.
    """

    devices: int


class Published(Event, frozen=True, kw_only=True, tag="published"):
    """The hub acknowledged a statement of this device."""

    kind: Kind
    serial: int


class NotPublished(Event, frozen=True, kw_only=True, tag="not_published"):
    """The hub refused a statement of this device."""

    kind: Kind
    serial: int
    reason: Reason


class PeerChanged(Event, frozen=True, kw_only=True, tag="peer_changed"):
    """A peer published a card, its trust in this device or its grant, under the key that this device pinned.

    Each is reported once, and none after a newer one; but the hub decides what a new process sees first.
    """

    peer: ClientId
    kind: Kind


class PresenceChanged(Event, frozen=True, kw_only=True, tag="presence_changed"):
    """The hub reported a change of watched peers."""

    devices: tuple[Presence, ...]


class Invited(Event, frozen=True, kw_only=True, tag="invited"):
    """A trusted peer asks this device's person to join a session."""

    invite: InboxEntry


class InviteAnswered(Event, frozen=True, kw_only=True, tag="invite_answered"):
    """This device answered an invite of a trusted peer. ``reason`` None: accepted."""

    creator: ClientId
    session: SessionId
    mode: Mode
    purpose: Purpose
    reason: Reason | None


class InviteEnded(Event, frozen=True, kw_only=True, tag="invite_ended"):
    """An invite that waited for the person is over: the hub ended it, or it expired."""

    id: str
    number: int
    creator: ClientId
    reason: Reason


class SessionJoined(Event, frozen=True, kw_only=True, tag="session_joined"):
    """This device holds the key of a session, as its creator or as an admitted member."""

    session: SessionId
    creator: ClientId
    mode: Mode
    profile: str | None


class TargetChanged(Event, frozen=True, kw_only=True, tag="target_changed"):
    """The state of a called device changed."""

    session: SessionId
    target: Target


class MembersChanged(Event, frozen=True, kw_only=True, tag="members_changed"):
    """A session has a new epoch, or a member joined or left."""

    session: SessionId
    epoch: int
    members: tuple[MemberView, ...]


class SessionEnded(Event, frozen=True, kw_only=True, tag="session_ended"):
    """This device is no longer in the session. ``reason`` None: it left or closed it itself."""

    session: SessionId
    reason: Reason | None
    sayer: Sayer


class Missed(Event, frozen=True, kw_only=True, tag="missed"):
    """This reader was too slow, and ``count`` events were dropped here."""

    count: int


SessionUpdate = SessionJoined | TargetChanged | MembersChanged | SessionEnded | Missed
"""The events in the stream of ``Session.updates()``."""


class Stream(Generic[T]):
    """The events for one reader, from its creation on. An async iterator that ends with its source."""

    def __init__(self) -> None:
        self._waiting: deque[T] = deque()
        self._changed = asyncio.Event()
        self._missed = 0
        self._ended = False

    def put(self, event: T) -> None:
        """Add an event for the reader."""
        if len(self._waiting) >= MAX_UNREAD_EVENTS:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(event)
        self._changed.set()

    def end(self) -> None:
        """End the stream once the reader has read what waits."""
        self._ended = True
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T | Missed:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        if self._missed:
            count, self._missed = self._missed, 0
            return Missed(count=count)
        return self._waiting.popleft()


class Broadcast(Generic[T]):
    """Sends every event to all readers of that moment. A reader without a reference is forgotten."""

    def __init__(self) -> None:
        self._readers: WeakSet[Stream[T]] = WeakSet()
        self._ended = False

    def tell(self, event: T) -> None:
        """Send an event to every reader."""
        for reader in self._readers:
            reader.put(event)

    def listen(self) -> Stream[T]:
        """Return a new reader; after the end its stream ends at once."""
        reader: Stream[T] = Stream()
        if self._ended:
            reader.end()
        else:
            self._readers.add(reader)
        return reader

    def end(self) -> None:
        """End the stream of every reader."""
        self._ended = True
        for reader in self._readers:
            reader.end()
