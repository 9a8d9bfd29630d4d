"""One hub, as a process with its own store, that is thrown rubbish at; and a device beside it that must not notice."""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from tests.integration.hub.hub_process import HUB, ready
from tests.rubbish.peers import FEW_FILES, PATIENCE_S, Door

MANY_FILES = 12_000
GROWTH_LIMIT_BYTES = 2 * 1024 * 1024
"""How much larger the hub may be after an attack than after the same one before: room for the allocator's whims."""
MORE_ROUNDS = 6
LOOKS = 10
"""After how many more attacks, and looks after each, memory counts as lost."""
ENOUGH_ANSWERS = 10
"""Fewer say nothing about how long an answer takes."""
NAME_WIDTH = 66

Attack = Callable[[], Awaitable[object]]
FIGURES: list[str] = []


@dataclass
class Hub:
    """The hub's process, where it listens, and the device that watches."""

    process: asyncio.subprocess.Process
    witness: asyncio.subprocess.Process
    url: str
    door: Door
    reports: list[dict[str, float]] = field(default_factory=list)

    def memory(self) -> int:
        """Return the resident bytes of the hub itself, without its store."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    async def unharmed(self) -> None:
        """Ask the watching device how it was served since it was last asked; it must have been, all the time."""
        assert self.witness.stdin is not None
        assert self.witness.stdout is not None
        self.witness.stdin.write(b"report\n")
        async with asyncio.timeout(PATIENCE_S):
            line = await self.witness.stdout.readline()
        assert line, "the watching device lost its connection"
        report: dict[str, float] = json.loads(line)
        assert report["asked"] > 0
        assert report["wrong"] == 0
        self.reports.append(report)

    async def stays_flat(self, attack: Attack, rounds: int = 3, limit: int = GROWTH_LIMIT_BYTES) -> None:
        """Attack once, which may warm up caches and pools, and then again: the hub must not grow by that."""
        await attack()
        await self.unharmed()
        before = self.memory()
        for _ in range(rounds):
            await attack()
        grown = await self._grown(before, limit, attack)
        figure = f"{before / 2**20:.1f} MiB, {grown / 2**20:+.1f} MiB after {rounds} more rounds"
        FIGURES.append(f"  {'memory':<{NAME_WIDTH}} {figure}")
        assert grown < limit

    async def _grown(self, before: int, limit: int, attack: Attack) -> int:
        """Return by how much the hub has grown.

        The allocator may hold on to what the last peers left in its hands, and gives it back some time later; so look
        again, and after more of the same. What has leaked is never given back.
        """
        for _ in range(MORE_ROUNDS):
            for _ in range(LOOKS):
                await self.unharmed()
                if self.memory() - before < limit:
                    return self.memory() - before
            await attack()
        return self.memory() - before


async def _start(*command: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    async with asyncio.timeout(PATIENCE_S):
        await process.wait()
    process._transport.close()  # type: ignore[attr-defined] # or its pipes warn when they are collected


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hub_process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hub]:
    folder: Path = tmp_path_factory.mktemp("hub")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, hard))
    try:
        process = await _start(*HUB, "--json", "--listen", "127.0.0.1:0", "--data-dir", str(folder))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    url = str((await ready(process))["url"])
    watching = await _start(sys.executable, "-m", "tests.rubbish.witness", url)
    assert watching.stdout is not None
    assert await watching.stdout.readline() == b"ready\n"
    yield Hub(process, watching, url, Door("127.0.0.1", int(url.rpartition(":")[2])))
    await _end(watching)
    assert process.returncode is None, "the hub ended"
    await _end(process)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let the test open many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY_FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest_asyncio.fixture(loop_scope="session")
async def hub(hub_process: Hub, request: pytest.FixtureRequest) -> AsyncIterator[Hub]:
    """The hub, with proof that it serves its device before, during and after the test."""
    await hub_process.unharmed()
    hub_process.reports.clear()
    yield hub_process
    await hub_process.unharmed()
    asked = int(sum(report["asked"] for report in hub_process.reports))
    if asked < ENOUGH_ANSWERS:
        return
    worst = {name: max(report[name] for report in hub_process.reports) for name in ("median_ms", "p99_ms", "max_ms")}
    shown = ", ".join(f"{name} {value}" for name, value in worst.items())
    FIGURES.append(f"  {request.node.name[:NAME_WIDTH]:<{NAME_WIDTH}} asked {asked}, worst {shown}")


@pytest.fixture
def figure() -> Callable[[str, str], None]:
    """Show a figure at the end of the run."""
    return lambda name, value: FIGURES.append(f"  {name:<{NAME_WIDTH}} {value}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures: they are looked at, and fail nothing."""
    if FIGURES:
        terminalreporter.section("a device's `who` while the hub is thrown rubbish at")
        for line in FIGURES:
            terminalreporter.write_line(line)
