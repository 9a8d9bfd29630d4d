"""The calls that wait for the next pipeline, bounded in number, in bytes and in time."""

from collections import deque

from muster_hub.store.errors import StoreCause
from muster_hub.store.pipeline import StoreCall

MAX_WAITING_CALLS = 16_384  # about what the store answers in WAIT_LIMIT_S
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_PIPELINE_CALLS = 512  # some 10 ms of the store's time
MAX_PIPELINE_BYTES = 4 * 1024 * 1024  # a single larger call still goes, alone
WAIT_LIMIT_S = 0.5  # a call that waited longer for its turn is not sent: the rest of its second might not do


class Waiting:
    """Calls in the order in which they were made. ``size`` is their size in bytes."""

    __slots__ = ("_calls", "size")

    def __init__(self) -> None:
        self._calls: deque[StoreCall] = deque()
        self.size = 0

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def full(self) -> bool:
        """Whether no more calls may be added."""
        return len(self._calls) >= MAX_WAITING_CALLS or self.size >= MAX_WAITING_BYTES

    @property
    def oldest_s(self) -> float | None:
        """When the oldest waiting call was made (loop time), None when none waits."""
        return self._calls[0].since_s if self._calls else None

    def add(self, call: StoreCall) -> None:
        """Add a call at the end."""
        self._calls.append(call)
        self.size += len(call.packed)

    def take(self, now_s: float) -> list[StoreCall]:
        """Take the next pipeline's calls, without those whose caller gave up or that waited too long."""
        self.shed(now_s)
        calls: list[StoreCall] = []
        size = 0
        while self._calls and len(calls) < MAX_PIPELINE_CALLS and size < MAX_PIPELINE_BYTES:
            call = self._pop()
            if not call.answer.done():
                calls.append(call)
                size += len(call.packed)
        return calls

    def shed(self, now_s: float) -> None:
        """Refuse the calls that waited longer than WAIT_LIMIT_S."""
        while self._calls and self._calls[0].since_s < now_s - WAIT_LIMIT_S:
            self._pop().refuse(StoreCause.SLOW)

    def refuse_all(self, cause: StoreCause) -> None:
        """Refuse every call."""
        while self._calls:
            self._pop().refuse(cause)

    def _pop(self) -> StoreCall:
        call = self._calls.popleft()
        self.size -= len(call.packed)
        return call
