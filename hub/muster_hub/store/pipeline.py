"""One pipeline: calls that are sent together, and the answer of each as the replies come in.

A pure machine: ``chunks`` is what to send, ``replies`` how many replies to feed to ``take``, one by one in their order.

No call is ever sent twice, so calls to one bucket keep their order. A call whose script the store has forgotten is
refused as not carried out, like a late one; a later call of the same pipeline may have been carried out all the same.
Each has its own answer, and a caller that needs one call done before the next waits for the answer of the first.
``forgot_scripts`` then tells the shard to end the connection: the next one loads every script.

With ``store_replicas`` a WAIT ends the pipeline, and the replies to calls whose writes must survive a failover are held
until it says that enough replicas have them.
"""

import asyncio
from dataclasses import dataclass

from muster_hub.store.errors import StoreCause, StoreReplyError, StoreUnavailable
from muster_hub.store.scripts import Script
from muster_hub.store.wire import ErrorReply, Reply, cause_of, pack

REPLICA_WAIT_MS = 400  # within a call's second, and short enough for a lease to be renewed after it
_OWN = "MUSTER"  # the first word of the errors that our scripts return
_LATE = "late"  # the word of a script that was met after its ``not_after``


@dataclass(slots=True, eq=False)
class StoreCall:
    """One call that waits or is on its way. ``since_s`` is when it was made (loop time)."""

    script: Script
    packed: bytes
    answer: asyncio.Future[Reply]
    since_s: float

    def refuse(self, cause: StoreCause, *, outcome_unknown: bool = False) -> None:
        """End the call without an answer, unless its caller gave up already."""
        if not self.answer.done():
            self.answer.set_exception(StoreUnavailable(cause, outcome_unknown=outcome_unknown))


class Pipeline:
    """Calls on their way."""

    __slots__ = ("_calls", "_held", "_late", "_next", "_waits_for", "chunks", "forgot_scripts", "memory_full")

    def __init__(self, calls: list[StoreCall], *, store_replicas: int = 0) -> None:
        self._calls = calls
        self._waits_for = store_replicas if any(call.script.durable for call in calls) else 0
        self._held: list[tuple[StoreCall, Reply]] = []
        self._next = 0
        self._late: list[StoreCall] = []
        self.forgot_scripts = False
        self.memory_full = False
        self.chunks = [call.packed for call in calls]
        if self._waits_for:
            self.chunks.append(pack(b"WAIT", self._waits_for, REPLICA_WAIT_MS))

    @property
    def replies(self) -> int:
        """How many replies this pipeline gets in all."""
        return len(self._calls) + bool(self._waits_for)

    def take(self, reply: Reply | ErrorReply) -> None:
        """Take the next reply and answer the call that it belongs to."""
        if self._next == len(self._calls):
            self._release(reply)
            return
        call = self._calls[self._next]
        self._next += 1
        if isinstance(reply, ErrorReply):
            self._take_error(call, reply)
        elif self._waits_for and call.script.durable:
            self._held.append((call, reply))
        elif not call.answer.done():
            call.answer.set_result(reply)

    @property
    def is_late(self) -> bool:
        """Whether a call was met after its ``not_after``: then the clock that it was made by may be wrong."""
        return bool(self._late)

    def refuse_late(self) -> None:
        """End the calls that were met too late, once the clock was read again, so that callers go by the new one."""
        for call in self._late:
            call.refuse(StoreCause.LATE)

    def lose(self, cause: StoreCause) -> None:
        """End every call that has no answer: whether it was carried out is unknown."""
        self.refuse_late()
        for call in self._calls:
            call.refuse(cause, outcome_unknown=True)

    def _take_error(self, call: StoreCall, reply: ErrorReply) -> None:
        cause = cause_of(reply)
        if reply.code == _OWN and reply.text == _LATE:
            self._late.append(call)
        elif cause is not None:
            self.forgot_scripts |= cause is StoreCause.UNKNOWN_SCRIPT
            self.memory_full |= cause is StoreCause.MEMORY_FULL
            call.refuse(cause)
        elif not call.answer.done():
            own = reply.code == _OWN
            detail = "" if own else f"{call.script.name}: {reply.text}"
            call.answer.set_exception(StoreReplyError(reply.text if own else reply.code, detail))

    def _release(self, replicas: Reply | ErrorReply) -> None:
        enough = isinstance(replicas, int) and replicas >= self._waits_for
        for call, reply in self._held:
            if not enough:
                call.refuse(StoreCause.REPLICAS, outcome_unknown=True)
            elif not call.answer.done():
                call.answer.set_result(reply)
