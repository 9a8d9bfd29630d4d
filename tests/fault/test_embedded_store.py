"""The embedded store and the processes around it: killed, frozen, started twice, out of disk."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import psutil
import pytest
import structlog.testing

from muster_hub.store.adapter import Store
from muster_hub.store.child import Folder
from muster_hub.store.embedded import EmbeddedStore
from muster_hub.store.engine import Engine
from muster_hub.store.errors import StoreRefused, StoreUnavailable
from muster_hub.store.scripts import Script

ADD = Script.of("add", "#!lua\nreturn redis.call('INCR', KEYS[1])")
READ = Script.of("read", "#!lua\nreturn redis.call('GET', KEYS[1])")
KEY = [b"{b:01}:n"]
PATIENCE_S = 60.0
HUB = """
import asyncio, sys
from pathlib import Path
from muster_hub.store.adapter import Store
from muster_hub.store.embedded import EmbeddedStore
from muster_hub.store.scripts import Script

ADD = Script.of("add", "#!lua\\nreturn redis.call('INCR', KEYS[1])")

async def hub() -> None:
    async with EmbeddedStore(Path(sys.argv[1])) as embedded, Store.open(embedded.url, scripts=[ADD]) as store:
        print("ready", embedded.pid, await store.run(ADD, [b"{b:01}:n"]), flush=True)
        await asyncio.Event().wait()

asyncio.run(hub())
"""


@pytest.fixture
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="muster-") as folder:
        yield Path(folder)


@asynccontextmanager
async def hub(data: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A hub's process that has used its store once, and the process id of that store."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HUB, data, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (line := await process.stdout.readline()).startswith(b"ready"):
                assert line, "the hub ended"
        child = int(line.split()[1])
        try:
            yield process, child
        finally:
            # What a killed hub leaves behind is meant to live on; not after the test, though.
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def add(embedded: EmbeddedStore) -> object:
    async with Store.open(embedded.url, scripts=[ADD]) as store:
        return await store.run(ADD, KEY)


async def gone(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    async with asyncio.timeout(PATIENCE_S):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_was_acknowledged_is_there_after_a_restart(data: Path) -> None:
    for expected in (1, 2, 3):
        async with EmbeddedStore(data) as embedded:
            assert await add(embedded) == expected


async def test_hub_killed_store_child_survives_and_the_next_hub_takes_over(data: Path) -> None:
    async with hub(data) as (process, child):
        process.kill()
        await process.wait()
        assert psutil.Process(child).is_running()
        async with EmbeddedStore(data) as embedded:
            assert embedded.pid != child
            await gone(child)
            assert await add(embedded) == 2


async def test_a_frozen_store_that_was_left_behind_is_taken_over(data: Path) -> None:
    async with hub(data) as (process, child):
        process.kill()
        await process.wait()
        os.kill(child, signal.SIGSTOP)
        async with EmbeddedStore(data) as embedded:
            await gone(child)
            assert await add(embedded) == 2


async def test_of_two_hubs_that_take_over_at_once_one_is_refused(data: Path) -> None:
    async with hub(data) as (process, child):
        process.kill()
        await process.wait()

        async def start() -> object:
            async with EmbeddedStore(data) as embedded:
                return await add(embedded)

        outcomes = await asyncio.gather(start(), start(), return_exceptions=True)
        await gone(child)
        assert [outcome for outcome in outcomes if not isinstance(outcome, StoreRefused)] == [2]


async def test_a_second_hub_is_refused_by_name(data: Path) -> None:
    async with hub(data) as (process, child):
        with pytest.raises(StoreRefused, match=f"already in use by process {process.pid}"):
            async with EmbeddedStore(data):
                pass
        assert psutil.Process(child).is_running()


async def test_ctrl_c_does_not_reach_the_store(data: Path) -> None:
    async with EmbeddedStore(data) as embedded:
        assert embedded.pid
        assert os.getsid(embedded.pid) == embedded.pid != os.getsid(0)


async def test_a_store_that_does_not_end_is_killed(data: Path) -> None:
    async with EmbeddedStore(data) as embedded:
        pid = embedded.pid
        assert pid
        os.kill(pid, signal.SIGSTOP)
    assert not psutil.pid_exists(pid)


async def test_the_folder_and_the_socket_are_private(data: Path) -> None:
    async with EmbeddedStore(data) as embedded:
        socket = Path(embedded.url.removeprefix("unix://"))
        assert [mode(data / "store"), mode(socket)] == [0o700, 0o700]
        assert embedded.pid
        connections = psutil.Process(embedded.pid).net_connections("inet")
        assert connections == [], "no port is open"


async def test_a_long_path_gets_a_short_socket_in_a_private_folder(data: Path) -> None:
    deep = data / ("x" * 120)
    async with EmbeddedStore(deep) as embedded:
        socket = Path(embedded.url.removeprefix("unix://"))
        assert deep not in socket.parents
        assert len(os.fsencode(socket)) <= 103
        assert mode(socket.parent) == 0o700
        assert await add(embedded) == 1


@pytest.mark.parametrize(
    ("wrote", "words"),
    [
        (Engine("elsewhere", "8.0"), r"were written by elsewhere 8\.0.*install elsewhere"),
        (Engine("", "99.0.1"), r"were written by \w+ 99\.0\.1.*is older.*install 99\.0\.1 or newer"),
    ],
)
async def test_data_of_another_engine_or_a_newer_one_are_not_opened(data: Path, wrote: Engine, words: str) -> None:
    async with EmbeddedStore(data) as embedded:
        await add(embedded)
    record = data / "store" / "engine.json"
    found = msgspec.json.decode(record.read_bytes(), type=Engine)
    record.write_bytes(msgspec.json.encode(Engine(wrote.engine or found.engine, wrote.version)))
    with pytest.raises(StoreRefused, match=words):
        async with EmbeddedStore(data):
            pass


async def test_a_missing_server_program_is_reported(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(data))
    monkeypatch.setattr("muster_hub.store.engine._WHEEL", "no_such_wheel")
    with pytest.raises(StoreRefused, match="no valkey-server or redis-server was found"):
        async with EmbeddedStore(data):
            pass


async def test_a_server_that_dies_is_started_again(data: Path) -> None:
    async with EmbeddedStore(data) as embedded, Store.open(embedded.url, scripts=[ADD, READ]) as store:
        for expected in (1, 2, 3):
            assert await store.run(ADD, KEY) == expected
            assert embedded.pid
            os.kill(embedded.pid, signal.SIGKILL)
            await answering(embedded, store)


async def answering(embedded: EmbeddedStore, store: Store) -> None:
    """Wait until a server that was killed is back."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await store.run(READ, KEY)
            except StoreUnavailable:
                await asyncio.sleep(0.01)
                continue
            if embedded.pid:
                return
            await asyncio.sleep(0.01)


async def test_a_server_that_cannot_be_started_again_is_given_up_in_words(data: Path) -> None:
    async with EmbeddedStore(data) as embedded:
        assert embedded.pid
        manifest = next((data / "store" / "appendonlydir").glob("*.manifest"))
        manifest.write_text("damaged\n")
        os.kill(embedded.pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            why = await embedded.died()
        assert why.startswith("it was killed by signal 9, and could not be started again: ")
        assert "damaged" in why
        assert embedded.pid is None


async def test_a_server_that_does_not_start_is_refused_in_words(data: Path) -> None:
    async with EmbeddedStore(data):
        manifest = next((data / "store" / "appendonlydir").glob("*.manifest"))
    manifest.write_text("damaged\n")
    with pytest.raises(StoreRefused, match="the store's server did not start: its files are damaged"):
        async with EmbeddedStore(data):
            pass


@pytest.mark.needs("/dev/full")
async def test_a_full_disk_is_reported_in_words(data: Path) -> None:
    async with EmbeddedStore(data):
        log = next((data / "store" / "appendonlydir").glob("*.incr.aof"))
    log.unlink()
    log.symlink_to("/dev/full")  # every write to it fails as on a full disk
    with structlog.testing.capture_logs() as said:
        async with EmbeddedStore(data) as embedded, Store.open(embedded.url, scripts=[ADD, READ]) as store:
            with pytest.raises(StoreUnavailable):
                await store.run(ADD, KEY)
            async with asyncio.timeout(PATIENCE_S):
                while not (died := [line for line in said if line["event"] == "store_child_died"]):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    assert "is full; free some space" in died[0]["why"]


def test_the_data_folder_of_somebody_else_is_not_used(data: Path) -> None:
    (data / "store").symlink_to(tempfile.gettempdir())
    with pytest.raises(StoreRefused, match="belongs to another user"):
        asyncio.run(EmbeddedStore(data).__aenter__())
    assert Folder(data / "store").hub_lock.exists() is False
