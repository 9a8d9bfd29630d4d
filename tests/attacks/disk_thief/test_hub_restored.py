"""A copy that dated a statement ahead before the hub's store was put back: the owner's later end is put again."""

import shutil
from pathlib import Path

from tests.attacks.disk_thief.test_planted_before_rotation import card_seen_by, put_all, thief_of
from tests.integration.client.conftest import HubProcess
from tests.integration.hub.device import SigningDevice

from muster_client import Device, Hub
from muster_client.device.clock import now_ms
from muster_protocol.frames import Error
from muster_protocol.governance import Trust
from muster_protocol.ids import Serial
from muster_protocol.labels import Kind
from muster_protocol.serials import MAX_AHEAD_MS


async def test_what_a_copy_dated_ahead_keeps_no_untrust_from_a_restored_hub(
    tmp_path: Path, victim: Device, hub: HubProcess
) -> None:
    former, planted = SigningDevice(), SigningDevice()
    victim.peers.trust(former.client, former.fingerprint, "former")
    async with Hub.connect(victim):
        assert victim.unpublished() == []
    thief, backup = thief_of(victim), tmp_path / "backup"
    ahead = Serial(now_ms() + MAX_AHEAD_MS - 3_600_000)
    body = Trust(client=victim.client, serial=ahead, peer=planted.client, peer_key=planted.fingerprint)
    await put_all(thief, hub.url, (Kind.TRUST, thief.sign(body)))
    hub.stop()
    shutil.copytree(hub.data, backup)
    hub.start()
    victim.peers.untrust(former.client)
    async with Hub.connect(victim):
        assert victim.unpublished() == []
    hub.stop()
    shutil.rmtree(hub.data)
    shutil.copytree(backup, hub.data)
    hub.start()
    async with Hub.connect(victim) as link:
        assert [(one.kind, one.reason) for one in link.published if one.peer] == [(Kind.UNTRUST, None)]
    assert isinstance(await card_seen_by(former, victim, hub.url), Error)


async def test_what_a_newer_store_trusts_again_waits_for_the_person_of_an_older_one(
    tmp_path: Path, victim: Device, hub: HubProcess
) -> None:
    """What the device puts again after a restore ends nothing that its person has yet to decide on."""
    friend = SigningDevice()
    victim.peers.trust(friend.client, friend.fingerprint, "friend")
    victim.peers.untrust(friend.client)
    async with Hub.connect(victim):
        shutil.copytree(victim.path, tmp_path / "older")
    victim.peers.trust(friend.client, friend.fingerprint, "friend")
    async with Hub.connect(victim):
        pass
    with Device.open(tmp_path / "older") as older:
        async with Hub.connect(older) as link:
            assert link.published == ()
        assert [one.peer for one in older.peers.unconfirmed()] == [friend.client]
