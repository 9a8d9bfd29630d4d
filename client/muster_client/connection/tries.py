"""How often one request is sent, and what its last refusal means (SPEC.md section 3.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from muster_client.errors import HubBusy, HubRefused
from muster_protocol.reasons import Reason

MAX_TRIES = 5
"""How often a request is sent while the hub names no time to come back, or has no store."""
MAX_WAIT_S = 30.0
"""How long one request waits in all. A device that owes twice the burst of a hub has paid by then."""
MIN_PAUSE_S = 0.2

TURNED_AWAY = frozenset({Reason.RATE_LIMITED, Reason.OVERLOADED})
"""Reasons by which a hub turns a request away before it looks at it, where it also says when to come back."""
PASSING = TURNED_AWAY | {Reason.STORE_UNAVAILABLE}
"""Reasons that pass by themselves within seconds. A peer may be offline, or a store full, for days."""
SAYS_NOTHING = PASSING | {Reason.STORE_FULL}
"""Reasons for which an earlier try of the same request may have had its effect all the same."""
OUTCOME_OPEN = SAYS_NOTHING | {Reason.INTERNAL}
"""Errors after which a request that was sent before may have had its effect."""

Check: TypeAlias = Callable[[], None]
"""Decides over the device's own store, before each sending of a request; what it raises ends the request, unsent."""


def unchecked() -> None:
    """Decide nothing, for a request that rests on no decision of this device about another one."""


@dataclass(slots=True)
class Tries:
    """The tries of one request, as far as they were refused."""

    max_tries: int = MAX_TRIES
    _count: int = 0
    _waited_s: float = 0.0
    _may_be_done: bool = False
    in_vain: bool = False
    """Whether the hub turned the request away again after the time that it named."""

    def pause_s(self, refused: HubRefused) -> float:
        """Return how long to wait before the next try.

        Where there is none, raises ``HubRefused`` for what the hub decided, and ``HubBusy`` if it turned the request
        away for now or may have carried it out.
        """
        self._count += 1
        self._may_be_done |= refused.reason is Reason.STORE_UNAVAILABLE
        timed = refused.reason in TURNED_AWAY and refused.retry_after_ms is not None
        self.in_vain = timed and self._waited_s > 0
        pause_s = max(MIN_PAUSE_S, (refused.retry_after_ms or 0) / 1000)
        again = refused.reason in PASSING and (timed or self._count < self.max_tries)
        if again and self._waited_s + pause_s <= MAX_WAIT_S:
            self._waited_s += pause_s
            return pause_s
        if timed or (self._may_be_done and refused.reason in SAYS_NOTHING):
            raise HubBusy(refused)
        raise refused
