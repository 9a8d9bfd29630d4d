"""The hub as a process: start, ready message, end by a signal."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Final, TypeAlias

import structlog

from muster_hub.config.certificate import now_utc
from muster_hub.config.settings import SettingError, Settings
from muster_hub.listener import ListenerSettings
from muster_hub.node.node import Tuning, open_node
from muster_hub.node.store_url import StoreEndedError
from muster_hub.process.open_files import allow_open_files
from muster_hub.process.os_signals import on_hangup, stop_on_signals
from muster_hub.process.ready_message import Ready, announce, announce_json, ready
from muster_hub.process.supervisor import WorkerFailedError, open_supervisor
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.lease_keeper import NodeReplacedError
from muster_hub.telemetry.logs import configure

ENDED: Final = 0
FAILED: Final = 1
REFUSED: Final = 2
"""A setting is not usable; nothing was started."""
FORCED: Final = 130
NEW_OBJECTS: Final = 20_000
"""New containers before the garbage collector runs: some MiB."""

Announce: TypeAlias = Callable[[Settings, Ready], Awaitable[None]]

_log = structlog.get_logger(__name__)


def run(settings: Settings, *, as_json: bool) -> int:
    """Run a hub until a signal ends it, and return the exit code. Raises what ``open_node`` refuses settings with."""
    if settings.workers > 1:
        return run_loop(settings, _serve_workers(settings, as_json=as_json))
    return run_node(settings, announce_json if as_json else announce)


def run_node(
    settings: Settings,
    say_ready: Announce,
    limits: ListenerSettings | None = None,
    ends_with: Callable[[asyncio.Event], None] | None = None,
) -> int:
    """Run one node until a signal ends it, or the event that ``ends_with`` was given; return the exit code."""
    tuning = Tuning(limits=limits or ListenerSettings())
    return run_loop(settings, _serve_node(settings, tuning, say_ready, ends_with))


def run_loop(settings: Settings, serve: Coroutine[None, None, int]) -> int:
    """Run ``serve`` to its end and return its exit code."""
    configure(settings.log_format, settings.log_level)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(serve)
    except asyncio.CancelledError:
        return FORCED


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's factory if it is installed."""
    with suppress(ImportError):
        import uvloop  # noqa: PLC0415 - it is not there on every platform

        return uvloop.new_event_loop
    return None


async def _serve_node(
    settings: Settings, tuning: Tuning, say_ready: Announce, ends_with: Callable[[asyncio.Event], None] | None
) -> int:
    allow_open_files(tuning.limits.max_connections)
    stop = stop_on_signals()
    if ends_with is not None:
        ends_with(stop)

    async def serve() -> None:
        async with open_node(settings, tuning) as node:
            if node.certificate is not None:
                on_hangup(node.renew_certificate)
            _spare_the_collector()
            await say_ready(settings, ready(node, now_utc()))
            await stop.wait()

    return await _exit_code(settings, serve())


def _spare_the_collector() -> None:
    """Freeze start-up objects and raise the garbage collector's threshold.

    Requests leave next to no cycles: reference counting frees what they made at once.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


async def _serve_workers(settings: Settings, *, as_json: bool) -> int:
    stop = stop_on_signals()

    async def serve() -> None:
        async with open_supervisor(settings) as supervisor:
            if supervisor.ready.certificate is not None:
                on_hangup(supervisor.hang_up)
            say = announce_json if as_json else announce
            await say(settings, supervisor.ready, workers=supervisor.pids)
            await stop.wait()

    return await _exit_code(settings, serve())


async def _exit_code(settings: Settings, serve: Coroutine[None, None, None]) -> int:
    """Serve to the end and return the exit code; raise ``SettingError`` where the address cannot be used."""
    code = ENDED
    try:
        await serve
    except* (StoreEndedError, NodeReplacedError) as ended:
        code = _failed("the hub had to end", ended)
    except* StoreUnavailable as away:
        code = _failed("the store does not answer", away)
    except* WorkerFailedError as failed:
        code = _failed("a worker could not be kept", failed)
        first = _first(failed)
        if isinstance(first, WorkerFailedError) and first.code == REFUSED:
            code = REFUSED
    except* OSError as error:
        raise SettingError("listen", f"{settings.listen} cannot be used: {_words(error)}") from error
    return code


def _failed(what: str, group: BaseExceptionGroup[BaseException]) -> int:
    _log.error("hub_failed", what=what, why=_words(group))
    return FAILED


def _words(error: BaseException) -> str:
    first = _first(error)
    return first.strerror or str(first) if isinstance(first, OSError) else str(first)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
