"""Several workers on one port, and their supervisor: it holds the embedded store and the port, and serves no device.

A worker is a node in a process of its own. One that dies is started again under its old name, after pauses that grow.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from muster_hub.concurrency import alongside
from muster_hub.config.addresses import binding
from muster_hub.config.hub_key import load_or_create
from muster_hub.config.settings import SettingError, Settings
from muster_hub.node.data_folder import LOCK, data_folder, note
from muster_hub.node.store_url import store_url
from muster_hub.process.ready_message import Ready
from muster_hub.process.shared_port import shared_port
from muster_hub.process.worker_plan import plan
from muster_hub.restarts import Restarts
from muster_hub.store.locks import FileLock

START_LIMIT_S = 60.0
"""Limit of the time from a worker's start until it serves."""
STOP_LIMIT_S = 300.0
"""Limit of a worker's planned stop, with as many devices as it may hold; then it is killed."""
RESTART_PAUSE_S = 0.1
ORPHANS_LIMIT_S = 30.0
"""How long a supervisor waits for the workers of a killed supervisor, which stop by themselves as planned."""
ORPHANS_POLL_S = 0.1

_log = structlog.get_logger(__name__)


class WorkerFailedError(Exception):
    """Raised when a worker did not start, or died too often; ``code`` is its exit code."""

    def __init__(self, worker: int, code: int, sentence: str) -> None:
        super().__init__(f"worker {worker} {sentence}")
        self.code = code


class Worker:
    """One worker: its process, and those that replace it."""

    def __init__(self, number: int, settings: Settings, workers: int) -> None:
        self.number = number
        self._plan = plan(settings, workers)
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._first: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int | None:
        """The process id; None while there is no process."""
        return self._process.pid if self._process else None

    async def ready(self) -> Ready:
        """Wait until it serves for the first time."""
        return await asyncio.shield(self._first)

    async def run(self) -> None:
        """Keep a process running until ``stop``. Raises ``WorkerFailedError``; cancelled, it kills the process."""
        loop = asyncio.get_running_loop()
        restarts = Restarts(RESTART_PAUSE_S)
        try:
            while not self._stopping.is_set():
                since_s = loop.time()
                code = await self._one_life()
                if self._stopping.is_set():
                    return
                restarts.ended(loop.time() - since_s)
                pause_s = restarts.next_pause_s()
                _log.error("worker_died", worker=self.number, code=code, restarts=restarts.in_a_row)
                if not self._first.done():
                    raise WorkerFailedError(self.number, code, "did not start")
                if pause_s is None:
                    raise WorkerFailedError(self.number, code, f"ended {restarts.in_a_row} times in a row")
                await self._pause(pause_s)
        finally:
            self._ended.set()

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, if there is one."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def stop(self) -> None:
        """Stop it as planned and wait; kill it only if that takes too long."""
        self._stopping.set()
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._ended.wait()
        except TimeoutError:
            _log.error("worker_did_not_end", worker=self.number)
            self.signal(signal.SIGKILL)
            await self._ended.wait()

    async def _pause(self, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()

    async def _one_life(self) -> int:
        process = self._process = await _start()
        try:
            if self._stopping.is_set():
                process.kill()  # stopped while it was starting
            await self._begin(process)
            return await process.wait()
        finally:
            self._process = None
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _begin(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a worker is started with pipes")
        process.stdin.write(self._plan)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                line = await process.stdout.readline()
        except TimeoutError:
            process.kill()
            return
        if line:
            told = msgspec.json.decode(line, type=Ready)
            _log.info("worker_ready", worker=self.number, pid=told.pid)
            if not self._first.done():
                self._first.set_result(told)


class Supervisor:
    """The workers, once all of them serve."""

    def __init__(self, workers: Sequence[Worker], ready: Ready) -> None:
        self._workers = workers
        self.ready = ready

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the running workers."""
        return tuple(worker.pid for worker in self._workers if worker.pid is not None)

    def hang_up(self) -> None:
        """Make each worker load its certificate again."""
        for worker in self._workers:
            worker.signal(signal.SIGHUP)


@asynccontextmanager
async def open_supervisor(settings: Settings) -> AsyncIterator[Supervisor]:
    """Serve devices with ``settings.workers`` processes while the body runs; then stop all of them as planned.

    Raises what ``open_node`` does, and in an ``ExceptionGroup`` ``WorkerFailedError``.
    """
    found = binding(settings)
    async with AsyncExitStack() as stack:
        stack.enter_context(data_folder(settings.data_dir))
        load_or_create(settings.hub_key_file)
        await _until_alone(settings)
        port = stack.enter_context(shared_port(found.host, found.port))
        url = await stack.enter_async_context(store_url(settings))
        listen = f"{settings.listen.rpartition(':')[0]}:{port}"
        common = msgspec.structs.replace(settings, store=url, key_file=settings.hub_key_file, listen=listen, workers=1)
        workers = [_worker(number, common, settings) for number in range(1, settings.workers + 1)]
        supervisor = await stack.enter_async_context(_manned(workers))
        told = supervisor.ready
        stack.enter_context(note(settings.data_dir, url=told.url, fingerprint=told.fingerprint, pid=told.pid))
        yield supervisor


@asynccontextmanager
async def _manned(workers: Sequence[Worker]) -> AsyncIterator[Supervisor]:
    async with alongside(*(worker.run() for worker in workers)):
        try:
            told = [await worker.ready() for worker in workers]
            yield Supervisor(workers, msgspec.structs.replace(told[0], pid=os.getpid()))
        finally:
            await asyncio.gather(*(worker.stop() for worker in workers))


async def _until_alone(settings: Settings) -> None:
    """Wait for the workers of a killed supervisor: they still hold the port and their folders."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + ORPHANS_LIMIT_S
    for path in sorted(_workers_folder(settings).glob(f"*/{LOCK}")):
        lock = FileLock(path)
        while not lock.try_take():
            if loop.time() >= until_s:
                raise SettingError(
                    "data_dir", f"{path.parent} is in use by process {lock.holder()}, left by a hub that was killed"
                )
            await asyncio.sleep(ORPHANS_POLL_S)
        lock.drop()


def _workers_folder(settings: Settings) -> Path:
    return settings.data_dir / "workers"


def _worker(number: int, common: Settings, settings: Settings) -> Worker:
    folder = _workers_folder(settings) / str(number)
    return Worker(number, msgspec.structs.replace(common, data_dir=folder), settings.workers)


async def _start() -> asyncio.subprocess.Process:
    # In a session of its own, so that Ctrl-C on the terminal reaches the supervisor alone, which passes it on once. -P
    # and -I prevent imports from the working folder.
    isolated = ("-I",) if sys.flags.isolated else ("-P",)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *isolated,
        "-m",
        "muster_hub.process.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
