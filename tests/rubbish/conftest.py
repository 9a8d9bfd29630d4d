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
PROXY = "127.0.9.1"
"""An address from which the hub takes PROXY headers."""
GROWTH_LIMIT_BYTES = 2 * 1024 * 1024
"""How much larger the hub may be after an attack than after the same one before: room for the allocator's whims."""
MORE_TIMES = 4
LOOKS = 10
"""How often it must grow by that, and how often it is looked at each time, until memory counts as lost."""
ENOUGH_ANSWERS = 10
"""Fewer say nothing about how long an answer takes."""
NAME_WIDTH = 66

FIGURE = "figure"
Attack = Callable[[], Awaitable[object]]
Figure = Callable[[str], None]


@dataclass
class WatchedHub:
    """The hub's process, where it listens, and the device that watches."""

    process: asyncio.subprocess.Process
    witness: asyncio.subprocess.Process
    url: str
    door: Door
    reports: list[dict[str, float]] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)

    def memory(self) -> int:
        """Return the resident bytes of the hub itself, without its store."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def open_files(self) -> int:
        """Return how many files and sockets the hub itself has open."""
        return int(psutil.Process(self.process.pid).num_fds())

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
        """Attack once, which may warm up caches and pools, and then again: the hub must not grow by that.

        How many peers it serves in one moment is chance, and the allocator keeps the most that it ever needed; so an
        attack that made it grow is done again. What leaks grows each time.
        """
        await attack()
        await self.unharmed()
        for _ in range(MORE_TIMES):
            before = self.memory()
            for _ in range(rounds):
                await attack()
            grown = await self._grown(before, limit)
            self.figures.append(f"{before / 2**20:.1f} MiB, {grown / 2**20:+.1f} MiB after {rounds} more rounds")
            if grown < limit:
                return
        pytest.fail(f"the hub grew each time: {self.figures}")

    async def _grown(self, before: int, limit: int) -> int:
        """Return by how much the hub has grown; some of what it let go of is given back a little later."""
        for _ in range(LOOKS):
            await self.unharmed()
            if self.memory() - before < limit:
                break
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
async def hub_process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WatchedHub]:
    folder: Path = tmp_path_factory.mktemp("hub")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, hard))
    try:
        arguments = ("--listen", "127.0.0.1:0", "--trusted-proxy", PROXY, "--enrolment", "open")
        process = await _start(*HUB, "--json", *arguments, "--data-dir", str(folder))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    url = str((await ready(process))["url"])
    watching = await _start(sys.executable, "-m", "tests.rubbish.witness", url)
    assert watching.stdout is not None
    assert await watching.stdout.readline() == b"ready\n"
    hub = WatchedHub(process, watching, url, Door("127.0.0.1", int(url.rpartition(":")[2])))
    await hub.unharmed()
    yield hub
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
async def hub(hub_process: WatchedHub, figure: Figure) -> AsyncIterator[WatchedHub]:
    """The hub, with proof that it serves its device during and after the test; before it, the last test proved that."""
    hub_process.reports.clear()
    hub_process.figures.clear()
    yield hub_process
    await hub_process.unharmed()
    for line in hub_process.figures:
        figure(line)
    asked = int(sum(report["asked"] for report in hub_process.reports))
    if asked >= ENOUGH_ANSWERS:
        names = ("median_ms", "p99_ms", "max_ms")
        worst = [f"{name} {max(report[name] for report in hub_process.reports)}" for name in names]
        figure(f"asked {asked}, worst {', '.join(worst)}")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Show a figure at the end of the run: it goes there with the test's report, from the process that ran it."""
    return lambda line: request.node.user_properties.append((FIGURE, line))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures: they are looked at, and fail nothing."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    shown = [
        f"  {report.nodeid.rpartition('::')[2][:NAME_WIDTH]:<{NAME_WIDTH}} {line}"
        for report in reports
        if getattr(report, "when", None) == "teardown"  # only then all that the fixtures say is there
        for name, line in report.user_properties
        if name == FIGURE
    ]
    if shown:
        terminalreporter.section("a device's `who`, and the hub's memory, while the hub is thrown rubbish at")
        for line in shown:
            terminalreporter.write_line(line)
