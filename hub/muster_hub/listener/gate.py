"""Limits on connections: in all, unauthenticated ones, and those of one address."""

import ipaddress
from enum import Enum, auto
from typing import Protocol

from muster_hub.listener.ip_address import parsed
from muster_hub.listener.settings import MAX_ADDRESSES, ListenerSettings
from muster_hub.rate_limits.token_bucket import Allowances

IPV6_PREFIX_BITS = 64
"""One subscriber usually holds a /64, so its 2^64 addresses count as one."""


class Unauthenticated(Protocol):
    """A socket that the gate counts as unauthenticated."""

    @property
    def waits_for_peer(self) -> bool:
        """Whether the hub waits for its peer, and not the peer for the hub."""

    def abort(self) -> None:
        """Reset the socket."""


class AddressCount(Enum):
    """The outcome for a new socket."""

    ADMITTED = auto()
    REFUSED = auto()
    """Over a limit: its request is answered with 503."""
    DROPPED = auto()
    """Far over it, or of an address that caused too much: reset at once."""


def neighbourhood(host: str) -> str | None:
    """Return the unit in which an address is counted: itself (IPv4), its /64 (IPv6), or None if it is neither."""
    address = parsed(host)
    if address is None or isinstance(address, ipaddress.IPv4Address):
        return None if address is None else str(address)
    return str(ipaddress.ip_network((address, IPV6_PREFIX_BITS), strict=False))


class Gate:
    """The counts of open sockets. Each ``enter`` that was not DROPPED is followed by one ``leave``.

    When all places are taken, the address that holds most unauthenticated sockets makes room for one that holds fewer:
    of those that keep the hub waiting its oldest one is reset. So a few addresses cannot lock out all others.
    """

    __slots__ = ("_limits", "_nearby", "_placed", "_refused", "_refused_since", "_unauthenticated", "_work", "inside")

    def __init__(self, limits: ListenerSettings) -> None:
        self._limits = limits
        # One entry per unauthenticated socket with an address, so bounded by their limit; the oldest one comes first.
        self._nearby: dict[str, dict[Unauthenticated, None]] = {}
        self._placed: dict[str, int] = {}  # one entry per address of a peer with a place, so bounded by the total
        self._work = Allowances[str](limits.stranger_work, MAX_ADDRESSES)
        self._unauthenticated = 0
        self._refused = 0
        self._refused_since = 0
        self.inside = 0

    def enter(self, near: str | None, socket: Unauthenticated, *, limited: bool = True) -> AddressCount:
        """Count a new socket from ``near`` (see ``neighbourhood``) and return its outcome.

        Without ``limited`` ``near`` may hold as many as there are places, and still makes room for others.
        """
        if self._has_room(near, limited=limited):
            self.inside += 1
            self._unauthenticated += 1
            if near is not None:
                self._nearby.setdefault(near, {})[socket] = None
            return AddressCount.ADMITTED
        self._refused_since += 1
        if self._refused < self._limits.max_refusals_at_once:
            self._refused += 1
            return AddressCount.REFUSED
        return AddressCount.DROPPED

    def enter_paid(self, near: str | None, socket: Unauthenticated, units: float, now_s: float) -> AddressCount:
        """Count a new socket whose address pays first for what it may cause, and return its outcome."""
        if self.charge(near, units, now_s):
            self._refused_since += 1
            return AddressCount.DROPPED
        return self.enter(near, socket)

    def hand_on(self, near: str | None, socket: Unauthenticated, successor: Unauthenticated) -> None:
        """Count ``successor`` in the place of an admitted socket; it begins to wait now."""
        if near is not None and socket in self._nearby.get(near, ()):
            del self._nearby[near][socket]
            self._nearby[near][successor] = None

    def authenticated(self, near: str | None, socket: Unauthenticated) -> None:
        """Stop counting an admitted socket as unauthenticated."""
        self._unauthenticated -= 1
        if near is None:
            return
        del self._nearby[near][socket]
        if not self._nearby[near]:
            del self._nearby[near]

    def take_place(self, near: str | None) -> bool:
        """Count a peer among those of its address that authenticate; return False where there are too many."""
        limit = self._limits.max_per_address
        if near is None or limit is None:
            return True
        if self._placed.get(near, 0) >= limit:
            return False
        self._placed[near] = self._placed.get(near, 0) + 1
        return True

    def give_back_place(self, near: str | None) -> None:
        """Stop counting a peer for which ``take_place`` returned True."""
        if near is None or near not in self._placed:
            return
        self._placed[near] -= 1
        if not self._placed[near]:
            del self._placed[near]

    def charge(self, near: str | None, units: float, now_s: float) -> int:
        """Take units of the work that strangers of an address may cause; return 0, or in how many ms to ask again."""
        return self._work.wait_ms(near, units, now_s)

    def leave(self) -> None:
        """Stop counting an authenticated socket."""
        self.inside -= 1

    def leave_unauthenticated(self, near: str | None, socket: Unauthenticated) -> None:
        """Stop counting an admitted socket that never authenticated; nothing to do for one that had to make room."""
        if near is None or socket in self._nearby.get(near, ()):
            self.authenticated(near, socket)
            self.leave()

    def leave_refused(self) -> None:
        """Stop counting a socket that was over a limit."""
        self._refused -= 1

    def take_refused(self) -> int:
        """Return how many were refused or dropped since the last call."""
        count, self._refused_since = self._refused_since, 0
        return count

    def _has_room(self, near: str | None, *, limited: bool) -> bool:
        limits, per_address = self._limits, self._limits.max_unauthenticated_per_address
        has_place = self.inside < limits.max_connections and self._unauthenticated < limits.max_unauthenticated
        if near is None or per_address is None:
            return has_place
        held = len(self._nearby.get(near, ()))
        return (held < per_address or not limited) and (has_place or self._make_room(held))

    def _make_room(self, held: int) -> bool:
        """Reset one socket of the address that holds most, for one that holds ``held`` and then holds no more of them.

        Return whether there was one.
        """
        near, most = max(self._nearby.items(), key=lambda item: len(item[1]), default=("", {}))
        if len(most) <= held + 1:
            return False
        oldest = next((socket for socket in most if socket.waits_for_peer), None)
        if oldest is None:
            return False
        self._refused_since += 1
        self.leave_unauthenticated(near, oldest)
        oldest.abort()
        return True
