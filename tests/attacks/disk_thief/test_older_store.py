"""A thief who puts an older database of a device beside its newer key: what the owner took back stays taken back."""

import shutil
from pathlib import Path

import pytest
from tests.attacks.disk_thief.test_planted_before_rotation import card_seen_by
from tests.integration.client.conftest import HubProcess
from tests.integration.hub.device import SigningDevice

from muster_client import Device, Hub
from muster_client.paths import DATABASE_FILE
from muster_protocol.cards import Mode
from muster_protocol.errors import Refused
from muster_protocol.frames import Error


def put_back(older: Path, folder: Path) -> None:
    """Put the database of an older copy of the folder back, and leave the key file as it is."""
    for end in ("", "-wal", "-shm"):
        (folder / f"{DATABASE_FILE}{end}").unlink(missing_ok=True)
    shutil.copy(older / DATABASE_FILE, folder / DATABASE_FILE)


async def test_an_older_store_beside_the_newer_key_ends_no_untrust(tmp_path: Path, hub: HubProcess) -> None:
    former, folder, older = SigningDevice(), tmp_path / "owner", tmp_path / "older"
    with Device.create(folder, hub_url=hub.url) as owner:
        owner.peers.trust(former.client, former.fingerprint, "former")
        owner.peers.grant(former.client)
        async with Hub.connect(owner):
            assert owner.unpublished() == []
    shutil.copytree(folder, older)
    with Device.open(folder) as owner:
        owner.rotate()
        async with Hub.connect(owner):
            pass
        owner.peers.untrust(former.client)
        async with Hub.connect(owner) as link:
            assert {one.reason for one in link.published} == {None}
    put_back(older, folder)
    with Device.open(folder) as owner:
        async with Hub.connect(owner):
            assert owner.peers.pins() == {}
            assert owner.unpublished() == []
        assert isinstance(await card_seen_by(former, owner, hub.url), Error)


async def test_to_reject_a_newer_grant_brings_no_revoked_one_back(tmp_path: Path, hub: HubProcess) -> None:
    friend, folder, older = SigningDevice(), tmp_path / "owner", tmp_path / "older"
    with Device.create(folder, hub_url=hub.url) as owner:
        owner.peers.trust(friend.client, friend.fingerprint, "friend")
        owner.peers.grant(friend.client, mode=Mode.SYNCHRONIZE)
        async with Hub.connect(owner):
            shutil.copytree(folder, older)
        owner.peers.revoke(friend.client)
        async with Hub.connect(owner):
            assert owner.unpublished() == []
        owner.peers.grant(friend.client, mode=Mode.JOIN)
        async with Hub.connect(owner):
            pass
    with Device.open(older) as restored:
        async with Hub.connect(restored) as link:
            restored.peers.reject(*restored.peers.unconfirmed())
            assert {one.reason for one in await link.publish()} == {None}
        with pytest.raises(Refused, match="grant_revoked"):
            restored.peers.newest_grant(friend.client)
        assert restored.unpublished() == []
