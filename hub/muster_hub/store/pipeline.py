"""One pipeline: calls that go out together, and what becomes of each as the replies come in.

A pure machine: `chunks` is what to send, `replies` how many replies to feed to `take`, one by one in their order.
A call whose script the store does not know was not carried out and goes out again. So that the calls to one bucket
keep their order, everything after it for the same bucket has to be unknown to the store too; when a later call was
carried out all the same (somebody else loaded its script meanwhile), the earlier one is refused instead.

With `store_replicas` a WAIT ends the pipeline, and the replies to calls whose writes must survive a failover are held
until it says that enough replicas have them.
"""

import asyncio
from dataclasses import dataclass

from muster_hub.store.errors import StoreCause, StoreReplyError, StoreUnavailable
from muster_hub.store.scripts import Script
from muster_hub.store.wire import ErrorReply, Reply, cause_of, pack

MAX_RELOADS = 3  # how often one call may meet a store that does not know its script
REPLICA_WAIT_MS = 400  # within a call's second, and short enough for a lease to be renewed after it
_OWN = "MUSTER"  # the first word of the errors that scripts of ours answer
_LATE = "late"  # the word of a script that was met after its `not_after`
_UNKNOWN_SCRIPT = "NOSCRIPT"


@dataclass(slots=True, eq=False)
class StoreCall:
    """One call that waits or is on its way. `tag` names its bucket, `since_s` is when it was made (loop time)."""

    script: Script
    tag: bytes
    packed: bytes
    answer: asyncio.Future[Reply]
    since_s: float
    reloads: int = 0

    def refuse(self, cause: StoreCause, *, outcome_unknown: bool = False) -> None:
        """End the call without an answer, unless its caller gave up already."""
        if not self.answer.done():
            self.answer.set_exception(StoreUnavailable(cause, outcome_unknown=outcome_unknown))


class Pipeline:
    """Calls on their way. `known` are the scripts that the connection's server has; the pipeline keeps it true."""

    __slots__ = ("_again", "_held", "_known", "_late", "_next", "_steps", "_unloadable", "_waits_for", "chunks")

    def __init__(self, calls: list[StoreCall], known: set[bytes], *, store_replicas: int = 0) -> None:
        self._known = known
        self._waits_for = store_replicas if any(call.script.durable for call in calls) else 0
        self._held: list[tuple[StoreCall, Reply]] = []
        self._steps: list[tuple[StoreCall, bool]] = []  # the call, and whether the reply is that of SCRIPT LOAD
        self._next = 0
        self._again: dict[bytes, list[StoreCall]] = {}
        self._unloadable: dict[bytes, ErrorReply] = {}
        self._late: list[StoreCall] = []
        self.chunks: list[bytes] = []
        for call in calls:
            self._add(call)
        if self._waits_for:
            self.chunks.append(pack(b"WAIT", self._waits_for, REPLICA_WAIT_MS))

    @property
    def replies(self) -> int:
        """How many replies this pipeline gets in all."""
        return len(self._steps) + bool(self._waits_for)

    def take(self, reply: Reply | ErrorReply) -> None:
        """Take the next reply and answer the call that it belongs to."""
        if self._next == len(self._steps):
            self._release(reply)
            return
        call, is_load = self._steps[self._next]
        self._next += 1
        if is_load:
            self._take_load(call, reply)
        elif isinstance(reply, ErrorReply):
            self._take_error(call, reply)
        else:
            self._take_value(call, reply)

    @property
    def is_late(self) -> bool:
        """Whether a call was met after its `not_after`: then the clock that it was made by may be wrong."""
        return bool(self._late)

    def refuse_late(self) -> None:
        """End the calls that were met too late; once the clock was read again, so that callers go by the new one."""
        for call in self._late:
            call.refuse(StoreCause.LATE)

    def again(self) -> list[StoreCall]:
        """Return the calls to send again before any other, in their order, once all replies were taken."""
        order = {id(call): position for position, (call, _) in enumerate(self._steps)}
        return sorted((call for calls in self._again.values() for call in calls), key=lambda call: order[id(call)])

    def lose(self, cause: StoreCause) -> None:
        """End every call that has no answer: whether it was carried out is unknown."""
        self.refuse_late()
        for call, _ in self._steps:
            call.refuse(cause, outcome_unknown=True)

    def _take_load(self, call: StoreCall, reply: Reply | ErrorReply) -> None:
        if isinstance(reply, ErrorReply):
            self._unloadable[call.script.sha1] = reply

    def _take_value(self, call: StoreCall, reply: Reply) -> None:
        if self._again:
            self._overtaken(call.tag)
        if self._waits_for and call.script.durable:
            self._held.append((call, reply))
        elif not call.answer.done():
            call.answer.set_result(reply)

    def _take_error(self, call: StoreCall, reply: ErrorReply) -> None:
        if reply.code == _UNKNOWN_SCRIPT:
            self._unknown(call)
            return
        self._overtaken(call.tag)
        if reply.code == _OWN and reply.text == _LATE:
            self._late.append(call)
        else:
            _answer_error(call, reply)

    def _release(self, replicas: Reply | ErrorReply) -> None:
        enough = isinstance(replicas, int) and replicas >= self._waits_for
        for call, reply in self._held:
            if not enough:
                call.refuse(StoreCause.REPLICAS, outcome_unknown=True)
            elif not call.answer.done():
                call.answer.set_result(reply)

    def _add(self, call: StoreCall) -> None:
        if call.script.sha1 not in self._known:
            self._known.add(call.script.sha1)
            self.chunks.append(pack(b"SCRIPT", b"LOAD", call.script.source))
            self._steps.append((call, True))
        self.chunks.append(call.packed)
        self._steps.append((call, False))

    def _unknown(self, call: StoreCall) -> None:
        self._known.discard(call.script.sha1)
        fault = self._unloadable.get(call.script.sha1)
        if fault is not None:
            _answer_error(call, fault)
        elif call.reloads >= MAX_RELOADS:
            call.refuse(StoreCause.UNKNOWN_SCRIPT)
        else:
            call.reloads += 1
            self._again.setdefault(call.tag, []).append(call)

    def _overtaken(self, tag: bytes) -> None:
        for call in self._again.pop(tag, ()):
            call.refuse(StoreCause.UNKNOWN_SCRIPT)


def _answer_error(call: StoreCall, reply: ErrorReply) -> None:
    if call.answer.done():
        return
    cause = cause_of(reply)
    if cause is not None:
        call.refuse(cause)
    elif reply.code == _OWN:
        call.answer.set_exception(StoreReplyError(reply.text))
    else:
        call.answer.set_exception(StoreReplyError(reply.code, f"{call.script.name}: {reply.text}"))
