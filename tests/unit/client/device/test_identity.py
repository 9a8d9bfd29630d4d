"""The key file: whole or not at all, and never readable by others."""

import os
import stat
from pathlib import Path

import pytest

from muster_client.device.device import Device
from muster_client.device.identity import Identity, read_identity, write_identity
from muster_client.errors import DeviceExists, NoDevice, UnsafeKeyFile, UnusableData
from muster_client.paths import DATABASE_FILE, KEY_FILE
from muster_protocol.cards import verify_card
from muster_protocol.ids import MAX_TIME_MS, Serial

HUB_URL = "ws://127.0.0.1:7627"


def test_a_new_device_is_readable_by_its_user_alone(laptop: Device) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in laptop.path.iterdir()}
    assert modes[KEY_FILE] == modes[DATABASE_FILE] == 0o600
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(laptop.path.stat().st_mode) == 0o700


def test_data_that_were_put_back_for_all_to_read_are_closed_to_others(laptop: Device) -> None:
    laptop.path.chmod(0o755)
    parts = [laptop.path / f"{DATABASE_FILE}{part}" for part in ("", "-wal", "-shm")]
    for part in parts:
        part.chmod(0o644)
    with Device.open(laptop.path):
        assert [stat.S_IMODE(part.stat().st_mode) for part in (laptop.path, *parts)] == [0o700] + [0o600] * 3


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(laptop: Device, mode: int) -> None:
    (laptop.path / KEY_FILE).chmod(mode)
    with pytest.raises(UnsafeKeyFile, match="chmod 600"):
        Device.open(laptop.path)


def test_a_key_file_of_another_user_is_refused(laptop: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.getuid()
    monkeypatch.setattr("os.getuid", lambda: me + 1)
    with pytest.raises(UnsafeKeyFile, match="another user's"):
        Device.open(laptop.path)


def test_the_same_device_comes_back(laptop: Device) -> None:
    with Device.open(laptop.path) as again:
        assert (again.client, again.fingerprint, again.words) == (laptop.client, laptop.fingerprint, laptop.words)


def test_there_is_one_device_in_a_folder(laptop: Device) -> None:
    with pytest.raises(DeviceExists):
        Device.create(laptop.path, hub_url=HUB_URL)


def test_an_empty_folder_is_no_device(tmp_path: Path) -> None:
    with pytest.raises(NoDevice):
        Device.open(tmp_path)
    with pytest.raises(NoDevice):
        Device.open(tmp_path / "nothing")


@pytest.mark.parametrize("cut", [10, 100, 150])
def test_a_damaged_key_file_is_reported_without_showing_it(laptop: Device, cut: int) -> None:
    path = laptop.path / KEY_FILE
    data = path.read_bytes()
    path.write_bytes(data[:cut])
    with pytest.raises(UnsafeKeyFile) as caught:
        Device.open(laptop.path)
    assert data[90:110].decode() not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_rotation_keeps_the_name_and_makes_a_chain(tmp_path: Path) -> None:
    first = Identity.fresh()
    second = first.rotated(Serial(1)).rotated(Serial(2))
    write_identity(tmp_path / KEY_FILE, second)
    read = read_identity(tmp_path / KEY_FILE)
    assert read.client == first.client
    assert read.key.fingerprint == second.key.fingerprint != first.key.fingerprint
    assert read.rotations[0].old_signer == first.key.fingerprint
    assert len(read.rotations) == 2


def test_a_key_that_its_chain_does_not_lead_to_is_refused_when_it_is_read(tmp_path: Path) -> None:
    first = Identity.fresh()
    rotated = first.rotated(Serial(1))
    with pytest.raises(UnsafeKeyFile):
        write_identity(tmp_path / KEY_FILE, Identity(first.key, first.secret, first.genesis, rotated.rotations))


def test_a_key_file_that_does_not_open_never_replaces_the_one_before(tmp_path: Path) -> None:
    first = Identity.fresh()
    write_identity(tmp_path / KEY_FILE, first)
    with pytest.raises(UnsafeKeyFile):
        write_identity(tmp_path / KEY_FILE, first.rotated(Serial(MAX_TIME_MS + 1)))
    assert read_identity(tmp_path / KEY_FILE).key.fingerprint == first.key.fingerprint
    assert [file.name for file in tmp_path.iterdir()] == [KEY_FILE]


def test_a_rotation_signs_live_statements_again(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.grant(nas.client)
    before = laptop.card()
    laptop.rotate()
    assert verify_card(laptop.card()).fingerprint == laptop.fingerprint
    assert laptop.card() != before
    assert {held.signed.signer for held in laptop.unpublished()} == {laptop.fingerprint}
    assert laptop.peers.pins() == {nas.client: nas.fingerprint}


def test_a_crash_after_the_key_was_changed_loses_nothing(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    rotated = Identity.fresh().rotated(Serial(1))
    mine = read_identity(laptop.path / KEY_FILE).rotated(Serial(1))
    write_identity(laptop.path / KEY_FILE, mine)
    with Device.open(laptop.path) as again:
        assert again.fingerprint == mine.key.fingerprint != rotated.key.fingerprint
        assert {held.signed.signer for held in again.unpublished()} == {again.fingerprint}
        assert again.peers.pins() == {nas.client: nas.fingerprint}


def test_what_a_killed_key_change_left_hinders_no_later_one_and_goes(laptop: Device) -> None:
    left = [laptop.path / f"{KEY_FILE}.{end}.new" for end in (os.getpid(), "5f0c")]
    for file in left:
        file.write_bytes(b"a key that was never used")
    fingerprint = laptop.rotate()
    assert read_identity(laptop.path / KEY_FILE).key.fingerprint == fingerprint
    assert not any(file.exists() for file in left)


def test_a_key_file_that_cannot_be_replaced_is_told_and_the_key_stays(laptop: Device) -> None:
    before = laptop.fingerprint
    (laptop.path / KEY_FILE).unlink()
    (laptop.path / KEY_FILE).mkdir()
    with pytest.raises(UnusableData, match=KEY_FILE):
        laptop.rotate()
    assert laptop.fingerprint == before
