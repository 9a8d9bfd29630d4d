"""What an agent tells: typed facts, in the order in which they happened.

``Agent.events()`` and ``Session.updates()`` give these, and the control socket carries the same.
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
]

MAX_UNREAD_EVENTS = 1024
"""Events that wait for one slow reader; then the oldest are dropped and counted."""

T = TypeVar("T")


class Progress(StrEnum):
    """How far a called device has come. The last two are final."""

    CALLED = "called"
    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    JOINED = "joined"
    REFUSED = "refused"

    @property
    def final(self) -> bool:
        """Nothing follows, unless the device is called again."""
        return self in {Progress.JOINED, Progress.REFUSED}


class Target(Struct, frozen=True, kw_only=True):
    """A called device: its state, and for a refusal the reason and whose word it is.

    ``after_ms`` is the time from the call to this state, by this device's monotonic clock.
    """

    client: ClientId
    state: Progress
    reason: Reason | None = None
    sayer: Sayer | None = None
    after_ms: int = 0


class MemberView(Struct, frozen=True, kw_only=True):
    """A member of a session, as far as this device has checked: ``joined`` only by the member's own signed word."""

    client: ClientId
    state: MemberState
    reason: Reason | None = None


class InboxEntry(Struct, frozen=True, kw_only=True):
    """An invite that waits for this device's person. ``id`` is 32 hex characters."""

    id: str
    creator: ClientId
    session: SessionId
    mode: Mode
    profile: str | None
    received_at: TimeMs
    expires_at: TimeMs


class Event(Struct, frozen=True, kw_only=True, tag_field="event", tag=True):
    """Anything that an agent tells."""


class Connected(Event, frozen=True, kw_only=True, tag="connected"):
    """The hub said welcome. ``standing`` is a reason where the hub holds something against this device."""

    hub: Fingerprint
    connection: int
    standing: Reason | None


class HubPinned(Event, frozen=True, kw_only=True, tag="hub_pinned"):
    """The hub's key was pinned: at the first connect, or because the pinned one certified it (``followed``)."""

    hub: Fingerprint
    followed: bool


class Disconnected(Event, frozen=True, kw_only=True, tag="disconnected"):
    """No connection now; the next try is in ``retry_in_s``.

    ``cause`` is a short word for logs, ``sentence`` says the same for people where there is more to say.
    """

    cause: str
    retry_in_s: float
    reason: Reason | None = None
    sentence: str = ""


class KeepAliveShortened(Event, frozen=True, kw_only=True, tag="keep_alive_shortened"):
    """Something on the way cuts idle connections, so the hub is pinged more often from now on."""

    interval_s: float


class DataUnwritable(Event, frozen=True, kw_only=True, tag="data_unwritable"):
    """The device's data could not be written; the agent tries again, and what needs them waits."""

    sentence: str


class Stopped(Event, frozen=True, kw_only=True, tag="stopped"):
    """The hub said, with proof, that coming back will not help. The agent ends."""

    reason: Reason


class CloneSuspected(Event, frozen=True, kw_only=True, tag="clone_suspected"):
    """The hub suspects two copies of this device's data; automatic joins wait for ``muster id confirm``."""


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
    """A peer published a card, its trust in this device or its grant; the signature holds by this device's pin."""

    peer: ClientId
    kind: Kind


class PresenceChanged(Event, frozen=True, kw_only=True, tag="presence_changed"):
    """Watched peers changed, by the hub's word."""

    devices: tuple[Presence, ...]


class Invited(Event, frozen=True, kw_only=True, tag="invited"):
    """A trusted peer asks this device's person."""

    invite: InboxEntry


class InviteAnswered(Event, frozen=True, kw_only=True, tag="invite_answered"):
    """This device answered a trusted peer: ``reason`` None is yes."""

    creator: ClientId
    session: SessionId
    mode: Mode
    purpose: Purpose
    reason: Reason | None


class InviteEnded(Event, frozen=True, kw_only=True, tag="invite_ended"):
    """An invite that waited for the person is over, by the hub's word or by its time."""

    id: str
    creator: ClientId
    reason: Reason


class SessionJoined(Event, frozen=True, kw_only=True, tag="session_joined"):
    """This device holds the key of a session: as its creator, or admitted to it."""

    session: SessionId
    creator: ClientId
    mode: Mode
    profile: str | None


class TargetChanged(Event, frozen=True, kw_only=True, tag="target_changed"):
    """A device that this one called came further."""

    session: SessionId
    target: Target


class MembersChanged(Event, frozen=True, kw_only=True, tag="members_changed"):
    """A session has a new epoch, or a member said that it joined or left."""

    session: SessionId
    epoch: int
    members: tuple[MemberView, ...]


class SessionEnded(Event, frozen=True, kw_only=True, tag="session_ended"):
    """This device is in the session no more. ``reason`` None: it left or closed it itself."""

    session: SessionId
    reason: Reason | None
    sayer: Sayer


class Missed(Event, frozen=True, kw_only=True, tag="missed"):
    """This reader was too slow: ``count`` events were dropped here."""

    count: int


SessionUpdate = SessionJoined | TargetChanged | MembersChanged | SessionEnded | Missed
"""What ``Session.updates()`` gives."""


class Stream(Generic[T]):
    """One reader's events, from the moment it was made. An async iterator that ends with its source."""

    def __init__(self) -> None:
        self._waiting: deque[T] = deque()
        self._changed = asyncio.Event()
        self._missed = 0
        self._ended = False

    def put(self, event: T) -> None:
        """Hand an event to the reader."""
        if len(self._waiting) >= MAX_UNREAD_EVENTS:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(event)
        self._changed.set()

    def end(self) -> None:
        """Let the reader finish what waits, and then stop."""
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
    """Gives every event to all who read at that moment. A reader that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        self._readers: WeakSet[Stream[T]] = WeakSet()
        self._ended = False

    def tell(self, event: T) -> None:
        """Give an event to every reader."""
        for reader in self._readers:
            reader.put(event)

    def listen(self) -> Stream[T]:
        """Add a reader; after the end it is at its end at once."""
        reader: Stream[T] = Stream()
        if self._ended:
            reader.end()
        else:
            self._readers.add(reader)
        return reader

    def end(self) -> None:
        """Tell all readers that nothing more comes."""
        self._ended = True
        for reader in self._readers:
            reader.end()
