"""What the doctor finds in a device's own files and of its agent. Its hub cannot be reached."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.client.answering_agent import answering, status_of

from muster_client.control.lock import agent_lock
from muster_client.device.device import Device
from muster_client.doctor import Finding, Health, examine
from muster_client.paths import DATABASE_FILE, KEY_FILE, LOCK_FILE
from muster_client.views import Drop
from muster_protocol.ids import ClientId, Fingerprint, TimeMs
from muster_protocol.reasons import Reason

NO_HUB = "ws://127.0.0.1:1"


class DiskUsage(NamedTuple):
    """The room on a disk, in bytes."""

    total: int
    used: int
    free: int


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Device.create(tmp_path / "d", hub_url=NO_HUB) as device:
        return device.path


@pytest.fixture
def client(folder: Path) -> ClientId:
    with Device.open(folder) as device:
        return device.client


async def findings(path: Path) -> dict[str, Finding]:
    """Return what the doctor finds, by the name of the check."""
    return {finding.check: finding async for finding in examine(path)}


async def only(path: Path) -> Finding:
    """Return the one finding of an examination that could not go on."""
    (finding,) = (await findings(path)).values()
    return finding


async def test_a_sound_device_fails_only_on_the_way_to_its_hub(folder: Path) -> None:
    found = await findings(folder)
    failed = [check for check, finding in found.items() if finding.state is Health.FAIL]
    assert failed == ["tcp"]
    assert {found[check].state for check in ("device", "key", "data", "proxy", "dns", "trust")} == {Health.OK}
    assert (found["agent"].state, found["agent"].next_step) == (Health.WARN, "Run `muster agent install`.")


async def test_a_folder_without_a_device(tmp_path: Path) -> None:
    finding = await only(tmp_path)
    assert (finding.check, finding.next_step) == ("device", "Run `muster init`.")


async def test_a_key_that_others_can_read(folder: Path) -> None:
    (folder / KEY_FILE).chmod(0o644)
    finding = await only(folder)
    assert (finding.check, finding.state) == ("key", Health.FAIL)
    assert finding.next_step is not None
    assert finding.next_step.startswith("Run: chmod 600 ")


async def test_data_of_a_newer_version(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as database:
        database.execute("PRAGMA user_version = 9999")
    finding = await only(folder)
    assert (finding.check, finding.next_step) == ("device", "Update Muster on this machine.")


async def test_damaged_data(folder: Path) -> None:
    (folder / DATABASE_FILE).write_bytes(b"nonsense" * 1_000)
    finding = await only(folder)
    assert (finding.check, finding.state) == ("device", Health.FAIL)
    assert finding.next_step


@pytest.mark.parametrize("file", ["", DATABASE_FILE])
async def test_data_that_others_can_read(folder: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / file).chmod(0o755)
    # Files of its own user are closed to others when they are opened; these are another user's.
    monkeypatch.setattr("muster_client.device.database.close_to_others", lambda _: None)
    finding = (await findings(folder))["data"]
    assert (finding.state, finding.next_step) == (Health.WARN, f"Run: chmod go= {folder / file}")


@pytest.mark.parametrize(
    ("free", "state"),
    [(0, Health.FAIL), (1, Health.WARN), (16 * 1024 * 1024 - 1, Health.WARN), (16 * 1024 * 1024, Health.OK)],
)
async def test_room_on_the_disk(folder: Path, free: int, state: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: DiskUsage(2 * free, free, free))
    assert (await findings(folder))["data"].state is state


LOST = Drop(at=TimeMs(1), cause="closed", reason=Reason.OVERLOADED, sentence="the hub is full")


@pytest.mark.parametrize(
    ("fields", "state", "sentence"),
    [
        ({}, Health.OK, "runs and is connected, and pings every 20 s"),
        (
            {"keep_alive_ms": 7_000, "keep_alive_learnt": True},
            Health.WARN,
            "Something on the way cuts idle connections; the agent pings every 7 s.",
        ),
        ({"connected": False}, Health.WARN, "The agent runs, and has no connection to the hub."),
        (
            {"connected": False, "last_drop": LOST},
            Health.WARN,
            "The agent runs, and has no connection to the hub: the hub is full.",
        ),
        (
            {"connected": False, "last_drop": Drop(at=TimeMs(1), cause="timeout", reason=None, sentence="")},
            Health.WARN,
            "The agent runs, and has no connection to the hub: timeout.",
        ),
    ],
    ids=["connected", "learnt", "never connected", "dropped", "dropped without a sentence"],
)
async def test_a_running_agent(
    folder: Path, client: ClientId, fields: dict[str, object], state: Health, sentence: str
) -> None:
    with answering(folder, status_of(client, **fields)):
        finding = (await findings(folder))["agent"]
    assert (finding.state, finding.sentence) == (state, sentence)


async def test_an_agent_that_answers_with_something_else(folder: Path) -> None:
    with answering(folder, "nonsense"):  # type: ignore[arg-type]
        finding = (await findings(folder))["agent"]
    assert (finding.state, finding.next_step) == (Health.FAIL, "End it and start it again.")


async def test_a_lock_file_that_cannot_be_read(folder: Path) -> None:
    (folder / LOCK_FILE).mkdir()
    finding = (await findings(folder))["agent"]
    assert finding.state is Health.FAIL
    assert LOCK_FILE in finding.sentence


async def test_an_agent_without_a_socket_does_not_run_for_command_lines(folder: Path) -> None:
    with agent_lock(folder / LOCK_FILE, None):
        assert (await findings(folder))["agent"].state is Health.WARN


async def test_statements_wait_until_the_hub_has_them(folder: Path) -> None:
    with Device.open(folder) as device:
        device.peers.trust(ClientId("a" * 32), Fingerprint(bytes(32)), "nas")
    finding = (await findings(folder))["statements"]
    assert (finding.state, finding.sentence) == (
        Health.WARN,
        "The hub has not acknowledged 1 of this device's statements.",
    )
