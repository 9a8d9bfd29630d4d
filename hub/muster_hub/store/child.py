"""The embedded store's server as a child process: started, found ready, stopped."""

import asyncio
import os
import signal
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from muster_hub.store.engine import SETTING, Binary
from muster_hub.store.engine_log import in_words
from muster_hub.store.errors import StoreRefused
from muster_hub.store.locks import FileLock
from muster_hub.store.urls import parse
from muster_hub.store.wire import ErrorReply, Wire, WireLostError, pack

READY_LIMIT_S = 60.0  # reading the data of a large hub back from disk
READY_POLL_S = 0.02
ATTEMPT_LIMIT_S = 1.0
STOP_LIMIT_S = 5.0  # after SIGTERM; then the server is killed
ORPHAN_LIMIT_S = 5.0  # the same for the server of a hub that was killed
REPEAT_S = 0.25  # between two signals: a server refuses to end while it writes its first file
LOCK_POLL_S = 0.05
SOCKET_PATH_BYTES = 103  # sun_path on macOS, without the final zero byte; Linux has four more
_SOCKET = "s.sock"


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one embedded store. The folder is private (0700), and so is everything in it."""

    path: Path

    @property
    def hub_lock(self) -> Path:
        """The lock of the hub that uses this store."""
        return self.path / "hub.lock"

    @property
    def child_lock(self) -> Path:
        """The lock of the server; the processes that it forks hold it too, while one of them lives."""
        return self.path / "child.lock"

    @property
    def pid(self) -> Path:
        """The file in which the server itself writes its process id when it starts."""
        return self.path / "child.pid"

    @property
    def log(self) -> Path:
        """The server's log; each start begins a new one and keeps the one before."""
        return self.path / "server.log"

    @property
    def engine(self) -> Path:
        """The file that names the engine that wrote the data."""
        return self.path / "engine.json"

    def clear(self, socket: Path) -> None:
        """Remove what an earlier server left, except its data and its last log."""
        socket.unlink(missing_ok=True)
        self.pid.unlink(missing_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))

    def socket(self) -> Path:
        """Return the path of the server's socket: here, or in a private folder with a shorter path."""
        here = self.path / _SOCKET
        if len(os.fsencode(here)) <= SOCKET_PATH_BYTES:
            return here
        name = f"muster-{os.geteuid()}-{sha256(os.fsencode(self.path)).hexdigest()[:12]}"
        for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - checked to be ours
            if parent and len(os.fsencode(Path(parent) / name / _SOCKET)) <= SOCKET_PATH_BYTES:
                return private(Path(parent) / name) / _SOCKET
        raise StoreRefused(SETTING, f"no folder has a path short enough for a socket; shorten {self.path}")


def private(folder: Path) -> Path:
    """Make a folder that only this user may enter; raises ``StoreRefused`` when it belongs to another user."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise StoreRefused(SETTING, f"{folder} belongs to another user")
    folder.chmod(0o700)
    return folder


class Child:
    """A running server."""

    __slots__ = ("_folder", "_process")

    def __init__(self, folder: Folder, process: asyncio.subprocess.Process) -> None:
        self._folder = folder
        self._process = process

    @classmethod
    async def start(cls, folder: Folder, binary: Binary, socket: Path, memory_mib: int) -> "Child":
        """Start a server and wait until it has read its data. Raises ``StoreRefused``, with why, when it ends before.

        The server leads a session of its own, so that Ctrl-C reaches the hub alone and the hub can drain first. It
        outlives a hub that is killed: PR_SET_PDEATHSIG is tied to a thread and exists on Linux alone, and a guard
        process would kill by a process id that may be another process by then. A server that is left holds no port
        and loses nothing; the next hub learns of it from the lock and ends it.
        """
        lock = FileLock(folder.child_lock)
        await _take(lock, folder)
        try:
            folder.clear(socket)
            child = cls(folder, await _spawn(folder, binary, socket, memory_mib, lock.descriptor))
        finally:
            lock.drop()
        try:
            await child._ready(socket)
        except BaseException:
            await child.stop()
            raise
        return child

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    async def ended(self) -> str:
        """Wait until the server ends, and return why in words."""
        return in_words(self._folder.log, await self._process.wait())

    async def stop(self) -> None:
        """Send SIGTERM to the server, wait, and kill it after STOP_LIMIT_S."""
        deadline_s = asyncio.get_running_loop().time() + STOP_LIMIT_S
        while asyncio.get_running_loop().time() < deadline_s:
            if await self._ended_after(signal.SIGTERM, REPEAT_S):
                return
        await self._ended_after(signal.SIGKILL, None)

    async def _ended_after(self, number: signal.Signals, limit_s: float | None) -> bool:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
        try:
            async with asyncio.timeout(limit_s):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    async def _ready(self, socket: Path) -> None:
        end = asyncio.create_task(self.ended())
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                while not await _answers(socket):
                    done, _ = await asyncio.wait({end}, timeout=READY_POLL_S)
                    if done:
                        raise StoreRefused(SETTING, f"the store's server did not start: {end.result()}")
        except TimeoutError:
            raise StoreRefused(SETTING, f"the store's server was not ready within {READY_LIMIT_S:.0f} s") from None
        finally:
            end.cancel()
            await asyncio.wait({end})


async def _spawn(
    folder: Folder, binary: Binary, socket: Path, memory_mib: int, lock: int
) -> asyncio.subprocess.Process:
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder.path),
        "pidfile": str(folder.pid),
        "logfile": str(folder.log),
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory": f"{memory_mib}mb",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
        "always-show-logo": "no",
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return await asyncio.create_subprocess_exec(
        binary.path,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder.path,
        pass_fds=(lock,),
        start_new_session=True,
    )


async def _answers(socket: Path) -> bool:
    """Return whether the server carries out commands: it listens, and has read its data."""
    wire = Wire(parse(f"unix://{socket}"))
    try:
        async with asyncio.timeout(ATTEMPT_LIMIT_S):
            await wire.connect()
            await wire.send([pack(b"PING")])
            return not isinstance(await wire.receive(), ErrorReply)
    except (WireLostError, TimeoutError):
        return False
    finally:
        await wire.close()


async def _take(lock: FileLock, folder: Folder) -> None:
    """Take the server's lock; end a server of an earlier hub by SIGTERM, then by SIGKILL."""
    if lock.try_take():
        return
    for number, limit_s in ((signal.SIGTERM, ORPHAN_LIMIT_S), (signal.SIGKILL, ORPHAN_LIMIT_S)):
        if await _taken_after(lock, folder, number, limit_s):
            return
    raise StoreRefused(SETTING, f"{folder.child_lock} is held by a process that does not end")


async def _taken_after(lock: FileLock, folder: Folder, number: signal.Signals, limit_s: float) -> bool:
    now_s = asyncio.get_running_loop().time
    deadline_s, next_s = now_s() + limit_s, now_s()
    while now_s() < deadline_s:
        if lock.try_take():
            return True
        if now_s() >= next_s:
            _signal(folder, number)
            next_s = now_s() + REPEAT_S
        await asyncio.sleep(LOCK_POLL_S)
    return False


def _signal(folder: Folder, number: signal.Signals) -> None:
    # The lock is held, so a process of the group that the file names is alive, and the number is not another's. The
    # server writes the file a moment after it has the lock; until then there is no process to signal.
    with suppress(FileNotFoundError, ValueError, ProcessLookupError):
        os.killpg(int(folder.pid.read_text(encoding="ascii")), number)
