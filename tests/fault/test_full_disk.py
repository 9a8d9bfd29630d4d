"""A device whose disk is full: it says so in words, loses nothing, keeps running, and recovers."""

import asyncio
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.command_lines import call
from tests.integration.client.conftest import befriend, running_hub, until

from muster_client import Agent, Device
from muster_client.cli.arguments.id_text import id_text
from muster_client.doctor import examine
from muster_client.doctor.findings import Health
from muster_client.errors import DataNotWritten
from muster_client.events import Connected, DataUnwritable, Disconnected, Published
from muster_protocol.labels import Kind

SIZE_KIB = 768
CLONE_NEWNS = 0x00020000
"""The namespace of mounts, as the system's ``sched.h`` names it."""
MOUNT, UMOUNT = (shutil.which(name) or f"/usr/bin/{name}" for name in ("mount", "umount"))


@pytest.fixture(scope="module")
def own_mounts() -> None:
    """Keep what this process mounts to itself, so that it goes with the process however that ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
    subprocess.run([MOUNT, "--make-rprivate", "/"], check=True)


@pytest.fixture
def small_disk(own_mounts: None, tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of its own, small enough to be filled."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run([MOUNT, "-t", "tmpfs", "-o", f"size={SIZE_KIB}k", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run([UMOUNT, str(place)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


@pytest.mark.needs("mount")
async def test_a_full_disk_is_reported_in_words_and_survived(small_disk: Path, tmp_path: Path) -> None:
    with (
        running_hub(tmp_path) as hub,
        Device.create(small_disk / "laptop", hub_url=hub.url) as laptop,
        Device.create(tmp_path / "nas", hub_url=hub.url) as nas,
    ):
        async with Agent.open(laptop) as agent:
            await agent.connected()
            # What the write-ahead log has already could still be written over.
            laptop._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            filler = fill(small_disk)
            with pytest.raises(DataNotWritten, match="full"):
                laptop.peers.trust(nas.client, nas.fingerprint, "nas")
            assert laptop.peers.pins() == {}
            events = agent.events()
            await agent._link.refresh()
            assert "full" in (await until(events, DataUnwritable)).sentence
            gone = await until(events, Disconnected, cause="data_unwritable")
            assert "full" in gone.sentence
            findings = {one.check: one async for one in examine(laptop.path)}
            assert findings["data"].state is Health.FAIL
            assert findings["data"].next_step == "Make room on that disk."

            name = id_text(nas.client, nas.fingerprint)
            done = await asyncio.to_thread(call, laptop.path, "trust", "add", "nas", name, "--yes")
            assert (done.code, done.err.splitlines()[0].startswith("error: The disk")) == (1, True), done
            assert "data_not_written" in done.err

            filler.unlink()
            agent.notify()
            await until(events, Connected)
            befriend(laptop, nas)
            agent.notify()
            await until(events, Published, kind=Kind.TRUST)
            await until(events, Published, kind=Kind.GRANT)


@pytest.mark.needs("mount")
def test_a_device_is_made_whole_or_not_at_all(small_disk: Path) -> None:
    filler = fill(small_disk)
    done = call(small_disk / "laptop", "init")
    assert (done.code, "data_not_written" in done.err) == (1, True), done
    filler.unlink()
    assert call(small_disk / "laptop", "init").code == 0
    assert call(small_disk / "laptop", "id").code == 0
