"""What ends a wait early: Ctrl-C, SIGTERM, and the timeout."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from muster_client.cli.durations import MS_PER_S

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


class CutShort(Exception):
    """Raised when a wait ends early; ``signal`` is SIGALRM if it timed out."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)


@contextmanager
def cut_short_after(timeout_ms: int) -> Iterator[None]:
    """Raise ``CutShort`` inside the block, in the main thread, on a signal or after the timeout.

    After the block the former signal handlers are restored: a second Ctrl-C ends the program.
    """
    before = {number: signal.signal(number, _cut) for number in _SIGNALS}
    signal.setitimer(signal.ITIMER_REAL, timeout_ms / MS_PER_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _cut(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise CutShort(number)
