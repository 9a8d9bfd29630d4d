"""The embedded store: a real server as a child of the hub, on a private Unix socket.

Two servers on one folder lose acknowledged writes, and the server does not lock its folder. So there are two locks: the
hub holds one, and the server inherits the other and holds it while it lives. A second hub is refused. A hub that finds
only the server's lock held ends that server, which a killed hub left, and starts its own.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from muster_hub.concurrency import alongside
from muster_hub.config.settings import STORE_MEMORY_MIB
from muster_hub.restarts import Restarts
from muster_hub.store.child import Child, Folder, private
from muster_hub.store.engine import SETTING, Binary, check_data, find_binary, record_data
from muster_hub.store.errors import StoreRefused
from muster_hub.store.locks import FileLock

RESTART_PAUSE_S = 0.05

_log = structlog.get_logger(__name__)


class EmbeddedStore:
    """The hub's own store: ``async with EmbeddedStore(data_dir) as store``, then ``store.url``.

    It uses at most ``memory_mib`` MiB for its data, and then takes only what restricts.
    Raises ``StoreRefused`` when another hub uses the folder, no server is found, or the server cannot open the data.
    """

    def __init__(self, data_dir: Path, memory_mib: int = STORE_MEMORY_MIB) -> None:
        self._memory_mib = memory_mib
        self._folder = Folder(data_dir.absolute() / "store")
        self._hub_lock = FileLock(self._folder.hub_lock)
        self._socket = self._folder.path
        self._child: Child | None = None
        self._stack = AsyncExitStack()
        self._died: asyncio.Future[str]

    async def __aenter__(self) -> Self:
        private(self._folder.path)
        self._died = asyncio.get_running_loop().create_future()
        async with AsyncExitStack() as stack:
            self._take_hub_lock()
            stack.callback(self._hub_lock.drop)
            binary = await find_binary()
            check_data(self._folder.engine, binary.engine)
            self._socket = self._folder.socket()
            child = await self._start(binary)
            stack.push_async_callback(self._stop)
            record_data(self._folder.engine, binary.engine)
            await stack.enter_async_context(alongside(self._watch(binary, child)))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    @property
    def url(self) -> str:
        """The store's URL; it stays the same when the server is started again."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """The server's process id, None while there is none."""
        return self._child.pid if self._child else None

    async def died(self) -> str:
        """Wait until the server has ended for good, and return why in words."""
        return await asyncio.shield(self._died)

    def _take_hub_lock(self) -> None:
        if not self._hub_lock.try_take():
            raise StoreRefused(
                SETTING, f"{self._folder.path} is already in use by process {self._hub_lock.holder()}; end it first"
            )

    async def _start(self, binary: Binary) -> Child:
        self._child = child = await Child.start(self._folder, binary, self._socket, self._memory_mib)
        _log.info("store_child_started", engine=binary.engine.engine, version=binary.engine.version, pid=child.pid)
        return child

    async def _stop(self) -> None:
        if self._child is not None:
            await self._child.stop()
            self._child = None

    async def _watch(self, binary: Binary, child: Child) -> None:
        """Start the server again whenever it ends, until it ended too often in a row."""
        loop = asyncio.get_running_loop()
        restarts = Restarts(RESTART_PAUSE_S)
        while True:
            since_s = loop.time()
            why = await child.ended()
            self._child = None
            restarts.ended(loop.time() - since_s)
            _log.error("store_child_died", why=why, restarts=restarts.in_a_row)
            revived = await self._revive(binary, restarts)
            if isinstance(revived, str):
                self._died.set_result(f"{why}, and could not be started again: {revived}")
                return
            child = revived

    async def _revive(self, binary: Binary, restarts: Restarts) -> Child | str:
        """Start the server again, and return it; or, after too many restarts in a row, why the last one failed."""
        fault = f"it ended {restarts.in_a_row} times in a row"
        while (pause_s := restarts.next_pause_s()) is not None:
            await asyncio.sleep(pause_s)
            try:
                return await self._start(binary)
            except StoreRefused as error:
                fault = str(error)
                _log.error("store_child_not_restarted", why=fault, restarts=restarts.in_a_row)
        return fault
