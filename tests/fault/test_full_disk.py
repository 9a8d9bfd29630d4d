"""A device whose disk is full: it says so in words, loses nothing, keeps running, and recovers."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.client.conftest import befriend, running_hub, until

from muster_client import Agent, Device
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


def command_line(device: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "muster_client.cli", "--data-dir", str(device), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


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

            id_text = json.loads(command_line(nas.path, "id", "--json")[1])["id_text"]
            code, _, said = command_line(laptop.path, "trust", "add", "nas", id_text, "--yes")
            assert (code, said.splitlines()[0].startswith("error: The disk")) == (1, True), said
            assert "data_not_written" in said

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
    code, _, said = command_line(small_disk / "laptop", "init")
    assert (code, "data_not_written" in said) == (1, True), said
    filler.unlink()
    assert command_line(small_disk / "laptop", "init")[0] == 0
    assert command_line(small_disk / "laptop", "id")[0] == 0
