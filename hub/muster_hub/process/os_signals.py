"""The effect of signals: the first one stops the hub as planned, the second one at once."""

import asyncio
import signal
from collections.abc import Callable
from typing import Final

_END: Final = (signal.SIGINT, signal.SIGTERM)


def stop_on_signals() -> asyncio.Event:
    """Return an event that the first signal sets; the second one cancels, and a third has the system's own effect.

    SIGHUP sets it too, as when the terminal goes away, until it is given another meaning by ``on_hangup``.
    """
    stop = asyncio.Event()
    loop, main = asyncio.get_running_loop(), asyncio.current_task()

    def on_signal() -> None:
        if not stop.is_set():
            stop.set()
            return
        for number in _END:
            loop.remove_signal_handler(number)
        if main is not None:
            main.cancel()

    for number in _END:
        loop.add_signal_handler(number, on_signal)
    loop.add_signal_handler(signal.SIGHUP, stop.set)
    return stop


def on_hangup(do: Callable[[], None]) -> None:
    """Call ``do`` on SIGHUP instead of ending the process."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, do)
