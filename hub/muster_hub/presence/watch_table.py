"""The watches of one node: which connection watches which devices, and what each was last sent about them.

Nothing here reads a clock or the store: times are arguments.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from muster_hub.presence.lookup import Asker, Observation, unknown
from muster_hub.rate_limits.spending import Payer
from muster_protocol.frames import Presence, PresenceState
from muster_protocol.ids import ClientId

SETTLE_S = 2.0
"""How long a device has to be offline before its watchers are told."""

WatchKey: TypeAlias = tuple[ClientId, int]
"""The watching device and the number of its connection."""


class News(NamedTuple):
    """What to send a watcher about a device, None for nothing, and whether to observe the device again."""

    push: Presence | None
    again: bool


@dataclass(slots=True)
class WatchedDevice:
    """What a watcher was last sent about a device, and since when the device has been offline without being announced.

    ``offline_since_s`` is None while there is nothing to announce.
    """

    observed: Observation
    offline_since_s: float | None = None

    def update(self, observed: Observation, now_s: float) -> News:
        """Take a new observation. ``now_s`` is a monotonic clock.

        A disconnect is announced after SETTLE_S, and not while the device is expected back. A device that cannot be
        known keeps its last ``since``.
        """
        before, now = self.observed.presence, observed.presence
        again = is_unknown(now)
        if again:
            observed = Observation(unknown(now.client, before.since), self.observed.holders)
        elif _went_offline(before, now) and not self._settled(now_s, expected=observed.expected):
            return News(None, again=True)
        self.offline_since_s = None
        self.observed = observed
        changed = (before.state, before.cause) != (observed.presence.state, observed.presence.cause)
        return News(observed.presence if changed else None, again)

    def _settled(self, now_s: float, *, expected: bool) -> bool:
        if self.offline_since_s is None:
            self.offline_since_s = now_s
        return now_s - self.offline_since_s >= SETTLE_S and not expected


@dataclass(slots=True)
class DeviceWatch:
    """The devices that one connection watches, from the address ``near``."""

    asker: Asker
    number: int
    devices: dict[ClientId, WatchedDevice] = field(default_factory=dict)
    near: str | None = None

    @property
    def key(self) -> WatchKey:
        """The watching device and the number of its connection."""
        return self.asker.client, self.number

    @property
    def payer(self) -> Payer:
        """Who pays for looking at the devices."""
        return Payer(self.asker.client, self.near)


class WatchTable:
    """The watches of all connections of one node, by connection and by watched device."""

    __slots__ = ("_by_target", "_watches")

    def __init__(self) -> None:
        self._watches: dict[WatchKey, DeviceWatch] = {}
        self._by_target: dict[ClientId, set[WatchKey]] = {}

    def __iter__(self) -> Iterator[DeviceWatch]:
        """Iterate over all watches."""
        return iter(self._watches.values())

    def add(self, watch: DeviceWatch) -> None:
        """Add the watch of a connection that has none."""
        self._watches[watch.key] = watch
        for target in watch.devices:
            self._by_target.setdefault(target, set()).add(watch.key)

    def remove(self, key: WatchKey) -> None:
        """Remove the watch of a connection, if it has one."""
        watch = self._watches.pop(key, None)
        for target in watch.devices if watch else ():
            watchers = self._by_target[target]
            watchers.discard(key)
            if not watchers:
                del self._by_target[target]

    def get(self, key: WatchKey) -> DeviceWatch | None:
        """Return the watch of a connection, or None."""
        return self._watches.get(key)

    def watchers(self, target: ClientId) -> AbstractSet[WatchKey]:
        """Return which connections watch this device."""
        return self._by_target.get(target, frozenset())

    def held_by(self, node: str, incarnation: str) -> set[ClientId]:
        """Return the watched devices that were last seen online on this node."""
        return {
            target
            for watch in self
            for target, device in watch.devices.items()
            if (node, incarnation) in device.observed.holders
        }


def is_unknown(presence: Presence) -> bool:
    """Return whether the presence of a device could not be known."""
    return presence.state is PresenceState.UNKNOWN


def _went_offline(before: Presence, now: Presence) -> bool:
    return before.state is PresenceState.ONLINE and now.state is PresenceState.OFFLINE
