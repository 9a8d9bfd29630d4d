"""Calls that a session's creator makes again on the hub's word that a member lost its key (SPEC.md section 8.5).

That word is not signed. So each call by the creator's person allows a few of them, further and further apart.
"""

from dataclasses import dataclass, field

from muster_protocol.ids import ClientId, TimeMs

MAX_RECALLS = 8
"""Calls of one device again on the hub's word, after each call by the creator's person."""
FIRST_RECALL_MS = 2_000
"""Time from the first such call to the second; each is twice the one before."""


@dataclass(slots=True)
class Recalls:
    """The members of one session that the hub wants called again, and how often each was."""

    _wanted: set[ClientId] = field(default_factory=set)
    _made: dict[ClientId, int] = field(default_factory=dict)
    _not_before: dict[ClientId, TimeMs] = field(default_factory=dict)

    def want(self, client: ClientId) -> bool:
        """Note that a device is to be called again; return False where it was often enough."""
        if self._made.get(client, 0) >= MAX_RECALLS:
            return False
        self._wanted.add(client)
        return True

    def take_due(self, now: TimeMs) -> tuple[ClientId, ...]:
        """Return those whose time has come; each counts as called again."""
        due = tuple(client for client in self._wanted if self._not_before.get(client, 0) <= now)
        for client in due:
            made = self._made.get(client, 0)
            self._made[client] = made + 1
            self._not_before[client] = TimeMs(now + (FIRST_RECALL_MS << made))
        self._wanted.difference_update(due)
        return due

    def renew(self, client: ClientId) -> None:
        """Count from the start: the creator's person calls the device."""
        self._wanted.discard(client)
        self._made.pop(client, None)
        self._not_before.pop(client, None)

    def next_deadline(self) -> TimeMs | None:
        """Return the time at which ``take_due`` has something, or None."""
        return min((self._not_before.get(client, TimeMs(0)) for client in self._wanted), default=None)
