"""A node as a process: started, announced, ended by a signal."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from muster_hub.logs import configure
from muster_hub.node import Node, StoreEndedError, open_node
from muster_hub.settings import SettingError, Settings
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.lease_keeper import NodeReplacedError
from muster_protocol.words import words

ENDED: Final = 0
FAILED: Final = 1
FORCED: Final = 130

_log = structlog.get_logger(__name__)


def run(settings: Settings, *, as_json: bool) -> int:
    """Run a node until a signal ends it, and return the exit code. Raises what ``open_node`` refuses settings with."""
    configure(settings.log_format, settings.log_level)
    announce = _announce_json if as_json else _announce
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(settings, announce))
    except asyncio.CancelledError:
        return FORCED


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's, where it is installed."""
    with suppress(ImportError):
        import uvloop  # noqa: PLC0415 - it is not there on every platform

        return uvloop.new_event_loop
    return None


async def _serve(settings: Settings, announce: Callable[[Settings, Node], None]) -> int:
    stop = _stop_on_signals()
    code = ENDED
    try:
        async with open_node(settings) as node:
            announce(settings, node)
            await stop.wait()
    except* (StoreEndedError, NodeReplacedError) as ended:
        code = _failed("the hub had to end", ended)
    except* StoreUnavailable as away:
        code = _failed("the store does not answer", away)
    except* OSError as error:
        raise SettingError("listen", f"{settings.listen} cannot be used: {_words(error)}") from error
    return code


def _failed(what: str, group: BaseExceptionGroup[BaseException]) -> int:
    _log.error("hub_failed", what=what, why=_words(group))
    return FAILED


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _stop_on_signals() -> asyncio.Event:
    """Return an event that the first signal sets; the second one cancels, and a third has the system's own effect."""
    stop = asyncio.Event()
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    wanted = (signal.SIGINT, signal.SIGTERM)

    def on_signal() -> None:
        if not stop.is_set():
            stop.set()
            return
        for number in wanted:
            loop.remove_signal_handler(number)
        if main is not None:
            main.cancel()

    for number in wanted:
        loop.add_signal_handler(number, on_signal)
    return stop


def _announce(settings: Settings, node: Node) -> None:
    store = "its own" if settings.store is None else node.hub.store.describe()
    lines = {
        "connect a device": f"muster init --hub {node.url}",
        "the hub's words": " ".join(words(node.fingerprint)),
        "data": str(settings.data_dir),
        "store": f"{store}, version {node.kept.version or 'unknown'}. {node.kept.sentence}",
        "end": "Ctrl-C",
    }
    text = "".join(f"  {name:<18}{value}\n" for name, value in lines.items())
    _say(f"Muster hub, listening on {node.url}\n{text}")


def _announce_json(settings: Settings, node: Node) -> None:
    ready = {
        "url": node.url,
        "fingerprint": node.fingerprint.hex(),
        "pid": node.pid,
        "data_dir": str(settings.data_dir),
    }
    _say(msgspec.json.encode(ready).decode() + "\n")


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
