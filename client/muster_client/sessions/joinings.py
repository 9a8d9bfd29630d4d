"""The answers of one process, each as the membership that may come of it, in a table of bounded size."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from muster_protocol.exchange import Answer
from muster_protocol.ids import ClientId, InviteId, SessionId, TimeMs
from muster_protocol.joining import Joining
from muster_protocol.signed import Signed, read

MAX_JOININGS = 256
"""Beyond that, refused invites and those that were joined go first, then an answer to the sender that has the most."""


@dataclass(slots=True)
class _Held:
    joining: Joining
    accepted: bool
    unused_until: TimeMs
    unsent: bool = False
    """Whether the hub is not known to have the answer."""

    @property
    def waits(self) -> bool:
        """Whether an admission may still come for it."""
        return self.accepted and not self.joining.joined

    @property
    def sender(self) -> ClientId:
        return self.joining.received.invite.sender


class Joinings:
    """The answered invites, oldest first. A receive key is destroyed with its entry."""

    def __init__(self) -> None:
        self._held: dict[InviteId, _Held] = {}

    def __iter__(self) -> Iterator[InviteId]:
        return iter(self._held)

    def get(self, invite: InviteId) -> Joining | None:
        """Return the membership of an invite, or None for one that is not here."""
        held = self._held.get(invite)
        return None if held is None else held.joining

    def waiting(self, invite: InviteId) -> Joining | None:
        """Return the membership of an invite that was accepted and that no admission opened yet, or None."""
        held = self._held.get(invite)
        return held.joining if held is not None and held.waits else None

    def awaits(self, session: SessionId) -> bool:
        """Return whether an admission to this session may still come."""
        return any(held.waits and held.joining.received.invite.session == session for held in self._held.values())

    def keep(self, invite: InviteId, joining: Joining, *, accepted: bool, unused_until: TimeMs) -> None:
        """Add an answer, in place of an earlier one to the same invite."""
        self._held[invite] = _Held(joining, accepted, unused_until)
        if len(self._held) > MAX_JOININGS:
            del self._held[self._least_needed()]

    def owe(self, invite: InviteId) -> None:
        """Record that the hub is to have an answer, if it is here."""
        held = self._held.get(invite)
        if held is not None:
            held.unsent = True

    def owes(self, answer: Signed) -> bool:
        """Return whether this is still the answer to its invite, and the hub is not known to have it."""
        held = self._held.get(read(answer, Answer).invite)
        return held is not None and held.unsent and held.joining.answer is answer

    def sent(self, answer: Signed) -> None:
        """Record that the hub has an answer, or wants none."""
        if self.owes(answer):
            self._held[read(answer, Answer).invite].unsent = False

    def unsent(self) -> list[Signed]:
        """Return the answers that the hub is not known to have."""
        return [held.joining.answer for held in self._held.values() if held.unsent and held.joining.answer is not None]

    def drop(self, invite: InviteId) -> None:
        """Forget an answer; no admission to it opens anything any more."""
        self._held.pop(invite, None)

    def drop_unused(self, now: TimeMs) -> None:
        """Forget the answers that no admission used in time."""
        late = [invite for invite, held in self._held.items() if held.unused_until <= now and not held.joining.joined]
        for invite in late:
            del self._held[invite]

    def drop_joined(self, besides: Collection[InviteId]) -> None:
        """Forget the memberships whose sessions this device is in no more: all that joined, besides these."""
        for invite in [one for one, held in self._held.items() if held.joining.joined and one not in besides]:
            del self._held[invite]

    def _least_needed(self) -> InviteId:
        done = next((invite for invite, held in self._held.items() if not held.waits), None)
        if done is not None:
            return done
        # One sender alone cannot drive out what others wait for.
        [(most, _)] = Counter(held.sender for held in self._held.values()).most_common(1)
        return next(invite for invite, held in self._held.items() if held.sender == most)
