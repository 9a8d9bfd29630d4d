"""A store's server that the test owns: it may be killed, frozen, filled, and started again on its data."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.fault.waiting import until

from muster_hub.store.engine import find_binary
from muster_hub.store.urls import parse
from muster_hub.store.wire import ErrorReply, Reply, Wire, WireLostError, pack

SETTINGS = {"port": "0", "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}


class StoreServer:
    """One server, as the embedded store would run it, under a clock that the test may set (``faketime``)."""

    def __init__(self, folder: Path, environ: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._environ = os.environ | (environ or {})
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder / 's'}"

    @property
    def log(self) -> Path:
        """The one file that every write is appended to."""
        return next((self.folder / "appendonlydir").glob("*.incr.aof"))

    async def start(self, *, loaded: bool = True, **options: str) -> None:
        """Start it, and wait until it answers; or, where it need not have read its data, says that it reads them."""
        binary = await find_binary()
        settings = SETTINGS | {"dir": str(self.folder), "unixsocket": str(self.folder / "s")} | options
        words = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)]
        self._process = await asyncio.create_subprocess_exec(
            binary.path,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environ,
            start_new_session=True,
        )

        async def answers() -> bool:
            reply = await self.say(b"PING")
            return reply is not None and not (loaded and isinstance(reply, ErrorReply))

        await until(answers)

    async def kill(self) -> None:
        """End it without a word."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it stand still for the body's time."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    async def say(self, *words: bytes) -> Reply | ErrorReply:
        """Send one command, unknown to the hub; return None while no server listens."""
        wire = Wire(parse(self.url))
        try:
            await wire.connect()
            await wire.send([pack(*words)])
            return await wire.receive()
        except WireLostError:
            return None
        finally:
            await wire.close()

    async def writes(self) -> int:
        """Count the writes since it was started."""
        reply = await self.say(b"INFO", b"persistence")
        assert isinstance(reply, bytes)
        lines = dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
        return int(lines["rdb_changes_since_last_save"])


@asynccontextmanager
async def server(environ: dict[str, str] | None = None) -> AsyncIterator[StoreServer]:
    """A running server with no data; a short path, since it is a socket's."""
    folder = Path(tempfile.mkdtemp(prefix="muster-"))
    one = StoreServer(folder, environ)
    try:
        await one.start()
        yield one
    finally:
        await one.kill()
        shutil.rmtree(folder)
