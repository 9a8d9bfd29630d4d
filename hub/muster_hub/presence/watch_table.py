"""The watches of one node: which connection watches which devices, and what each was last sent about them.

Nothing here reads a clock or the store: times are arguments. A device that is hidden from its watcher takes the least
memory, since anyone may make up as many as a watch can name.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from muster_hub.presence.lookup import Asker, Observation, hidden, unknown
from muster_hub.rate_limits.spending import Payer
from muster_protocol.frames import Presence, PresenceState
from muster_protocol.ids import ClientId

SETTLE_S = 2.0
"""How long a device has to be offline before its watchers are told."""
MAX_WATCHED_PER_ADDRESS = 50_000
"""Devices that the connections of one address watch on this node: 200 of them 250 each."""

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


class DeviceWatch:
    """The devices that one connection watches, from the address ``near``: None is one that is hidden from it.

    ``key`` is the watching device and the number of its connection.
    """

    __slots__ = ("asker", "devices", "key", "near")

    def __init__(self, asker: Asker, number: int, seen: Iterable[Observation], near: str | None = None) -> None:
        self.asker = asker
        self.key: WatchKey = asker.client, number
        self.near = near
        self.devices = {one.presence.client: None if is_hidden(one.presence) else WatchedDevice(one) for one in seen}

    @property
    def payer(self) -> Payer:
        """Who pays for looking at the devices."""
        return Payer(self.asker.client, self.near)

    def update(self, target: ClientId, observed: Observation, now_s: float) -> News:
        """Take a new observation of a watched device; see ``WatchedDevice.update``."""
        device = self.devices[target] or WatchedDevice(Observation(hidden(target)))
        news = device.update(observed, now_s)
        self.devices[target] = None if is_hidden(device.observed.presence) else device
        return news


class WatchTable:
    """The watches of all connections of one node, by connection and by watched device."""

    __slots__ = ("_by_target", "_watched_near", "_watches")

    def __init__(self) -> None:
        self._watches: dict[WatchKey, DeviceWatch] = {}
        # Most devices have one watcher, and all that this one alone watches share one set.
        self._by_target: dict[ClientId, frozenset[WatchKey] | set[WatchKey]] = {}
        self._watched_near = Counter[str | None]()

    def __iter__(self) -> Iterator[DeviceWatch]:
        """Iterate over all watches."""
        return iter(self._watches.values())

    def has_room(self, watch: DeviceWatch) -> bool:
        """Return whether the address of a new watch may watch so many devices more."""
        watched = self._watched_near[watch.near] + len(watch.devices)
        return watch.near is None or watched <= MAX_WATCHED_PER_ADDRESS

    def add(self, watch: DeviceWatch) -> None:
        """Add the watch of a connection that has none."""
        self._watches[watch.key] = watch
        self._watched_near[watch.near] += len(watch.devices)
        alone = frozenset((watch.key,))
        for target in watch.devices:
            others = self._by_target.setdefault(target, alone)
            if isinstance(others, set):
                others.add(watch.key)
            elif others is not alone:
                self._by_target[target] = {*others, watch.key}

    def remove(self, key: WatchKey) -> None:
        """Remove the watch of a connection, if it has one."""
        watch = self._watches.pop(key, None)
        if watch is None:
            return
        self._watched_near[watch.near] -= len(watch.devices)
        if not self._watched_near[watch.near]:
            del self._watched_near[watch.near]
        for target in watch.devices:
            watchers = self._by_target[target]
            if isinstance(watchers, set) and len(watchers) > 1:
                watchers.discard(key)
            else:
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
            if device and (node, incarnation) in device.observed.holders
        }


def is_hidden(presence: Presence) -> bool:
    """Return whether the watcher may not know of the device."""
    return presence.state is PresenceState.HIDDEN


def is_unknown(presence: Presence) -> bool:
    """Return whether the presence of a device could not be known."""
    return presence.state is PresenceState.UNKNOWN


def _went_offline(before: Presence, now: Presence) -> bool:
    return before.state is PresenceState.ONLINE and now.state is PresenceState.OFFLINE
