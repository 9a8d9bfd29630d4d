"""What is measured, as processes of their own: a hub with its embedded store, and the bare relay."""

import asyncio
import contextlib
import json
import resource
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.accounting import Moment, resident_bytes
from tests.bench.certificate import Certificate

START_S = 20.0
QUIET_PER_S = 0.05
"""A process that uses less CPU than this counts as having finished what it was doing."""
QUIET_LOOK_S = 0.25
OPEN_FILES = 16_384


@dataclass(frozen=True, slots=True)
class BenchServer:
    """A running process: where it listens, and the process of its store if it has one."""

    url: str
    pid: int
    store: int | None = None
    store_socket: Path | None = None

    def moment(self) -> Moment:
        """Begin to measure."""
        return Moment.now(self.pid, self.store)

    def resident_bytes(self) -> int:
        """Return the memory of the process, without its store's."""
        return resident_bytes(self.pid)

    async def quiet(self) -> None:
        """Wait until it has finished what it was doing."""
        while True:
            before = self.moment()
            await asyncio.sleep(QUIET_LOOK_S)
            if before.until_now().hub_s < QUIET_PER_S * QUIET_LOOK_S:
                return


def raise_open_files() -> None:
    """Let this process and those that it starts have many sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))


@asynccontextmanager
async def hub(certificate: Certificate | None = None, *settings: str) -> AsyncIterator[BenchServer]:
    """Run a hub on its own store, as ``muster hub`` does, but that all load comes from one address."""
    folder = Path(tempfile.mkdtemp(prefix="mbench-"))
    arguments = ["-m", "muster_hub", "--listen", "127.0.0.1:0", "--data-dir", str(folder), "--json", *settings]
    arguments += ["--max-per-address", "0"]
    if certificate is not None:
        arguments += ["--tls-cert", str(certificate.certificate), "--tls-key", str(certificate.key)]
    try:
        async with _process(*arguments) as (url, pid):
            yield BenchServer(url, pid, int((folder / "store" / "child.pid").read_text()), folder / "store" / "s.sock")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def relay(certificate: Certificate | None = None) -> AsyncIterator[BenchServer]:
    """Run the bare relay."""
    files = [] if certificate is None else [str(certificate.certificate), str(certificate.key)]
    async with _process("-m", "tests.bench.relay", *files) as (url, pid):
        yield BenchServer(url, pid)


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[tuple[str, int]]:
    # What it logs costs it what it costs in service, and goes nowhere.
    started = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert started.stdout is not None
        async with asyncio.timeout(START_S):
            line = await started.stdout.readline()
        yield json.loads(line)["url"], started.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.terminate()
        await started.wait()
