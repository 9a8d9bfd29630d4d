"""Data that somebody edited, cut off or put something else in place of: told in words when they are opened."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from muster_client.control.lock import agent_lock, read_holder
from muster_client.control.server import MAX_SOCKET_PATH_BYTES, socket_path
from muster_client.device.database import open_database
from muster_client.device.device import Device
from muster_client.device.private_files import create_private
from muster_client.errors import DeviceExists, UnsafeKeyFile, UnusableData
from muster_client.paths import DATABASE_FILE, KEY_FILE, LOCK_FILE

HUB = "wss://hub.example.org"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a device that trusts another one."""
    with Device.create(tmp_path / "laptop", hub_url=HUB) as laptop:
        with Device.create(tmp_path / "nas", hub_url=HUB) as nas:
            laptop.peers.trust(nas.client, nas.fingerprint, "nas")
            laptop.peers.grant(nas.client)
        return laptop.path


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM meta",
        "UPDATE meta SET value = x'00' WHERE name = 'settings'",
        "UPDATE meta SET value = 'text' WHERE name = 'settings'",
        "INSERT INTO meta VALUES ('pinned_hub', x'aa')",
        "INSERT INTO meta VALUES ('continuity_token:00', x'aa')",
        "INSERT INTO meta VALUES ('tls_authority', x'ff')",
        "UPDATE statements SET body = x'00'",
        "UPDATE statements SET body = 'text' WHERE topic = 'grant'",
        "UPDATE statements SET body = substr(body, 1, 20) WHERE topic = 'trust'",
        "UPDATE statements SET kind = 'nonsense'",
        "UPDATE serials SET last = 'x'",
        "DELETE FROM serials",
        "INSERT INTO cards VALUES ('nas', 1, x'00', x'00', x'00')",
        "INSERT INTO invites VALUES (1, x'00', x'00', x'00', x'00', 0, 9999999999999, NULL, '', 0)",
    ],
)
def test_an_edited_database_is_told_when_it_is_opened(folder: Path, edit: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as database:
        assert database.execute(edit).rowcount
        database.commit()
    with pytest.raises(UnusableData, match="damaged"):
        Device.open(folder)


@pytest.mark.parametrize("size", [0, 1, 5_000])
def test_a_database_that_was_cut_off_is_told(folder: Path, size: int) -> None:
    os.truncate(folder / DATABASE_FILE, size)
    with pytest.raises(UnusableData, match="damaged"):
        Device.open(folder)


def test_something_else_in_place_of_a_file_is_told_by_its_name(folder: Path) -> None:
    for name in (DATABASE_FILE, KEY_FILE):
        (folder / name).unlink()
        (folder / name).mkdir(mode=0o700)
        with pytest.raises(UnusableData, match=f"{name} cannot be used: is a directory"):
            Device.open(folder)


def test_a_page_that_does_not_fit_is_told_whichever_row_it_holds(folder: Path) -> None:
    path = folder / DATABASE_FILE
    with closing(sqlite3.connect(path)) as database:
        rows = [(f"{number:032}", f"peer {number}", number) for number in range(1_000)]
        database.executemany("INSERT INTO peers VALUES (?, ?, ?)", rows)
        database.commit()
        (page,) = database.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        # The last pages hold the newest of those rows; the first have been read by then.
        file.seek(-8 * page, os.SEEK_END)
        file.write(os.urandom(8 * page))
    with closing(open_database(path)) as database, pytest.raises(UnusableData, match="pages do not fit"):
        list(database.execute("SELECT * FROM peers"))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    create_private(tmp_path / "file")
    for path in (tmp_path / "file", tmp_path / "file" / "device", tmp_path / (300 * "x")):
        with pytest.raises(UnusableData, match="cannot be used"):
            Device.create(path, hub_url=HUB)


def test_a_new_key_is_not_put_to_the_data_of_one_that_is_gone(folder: Path) -> None:
    key = (folder / KEY_FILE).rename(folder / "elsewhere")
    with pytest.raises(UnusableData, match="whose key file is missing"):
        Device.create(folder, hub_url=HUB)
    key.rename(folder / KEY_FILE)
    with Device.open(folder) as device:
        assert [peer.nickname for peer in device.peers.all()] == ["nas"]


def test_what_a_broken_off_create_left_is_used(tmp_path: Path) -> None:
    with Device.create(tmp_path, hub_url=HUB):
        pass
    (tmp_path / KEY_FILE).unlink()
    with Device.create(tmp_path, hub_url="wss://other.example.org") as device:
        assert device.hub_url == "wss://other.example.org"
    with pytest.raises(DeviceExists):
        Device.create(tmp_path, hub_url=HUB)


def test_a_key_file_that_was_cut_off_is_told(folder: Path) -> None:
    os.truncate(folder / KEY_FILE, 120)
    with pytest.raises(UnsafeKeyFile, match="damaged"):
        Device.open(folder)


def test_something_else_in_place_of_the_lock_is_told(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).mkdir()
    with pytest.raises(UnusableData, match=LOCK_FILE), agent_lock(tmp_path / LOCK_FILE, None):
        pass
    with pytest.raises(UnusableData, match=LOCK_FILE):
        read_holder(tmp_path / LOCK_FILE)


def test_the_folder_for_long_socket_paths_is_this_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    device = tmp_path / (MAX_SOCKET_PATH_BYTES * "x")
    assert socket_path(device).parent.parent == tmp_path
    shutil.rmtree(socket_path(device).parent)
    create_private(tmp_path / f"muster-{os.getuid()}")
    with pytest.raises(UnusableData, match="cannot be used"):
        socket_path(device)


def test_the_folder_for_long_socket_paths_is_never_reached_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    device = tmp_path / ("long" * MAX_SOCKET_PATH_BYTES)
    target = tmp_path / "shared by its owner"
    target.mkdir(mode=0o755)
    target.chmod(0o755)
    (tmp_path / f"muster-{os.getuid()}").symlink_to(target)
    with pytest.raises(UnusableData):
        socket_path(device)
    assert target.stat().st_mode & 0o777 == 0o755
