"""An end of a grant by an untrust that a later trust followed: neither a restored device nor a copy passes over it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.client.conftest import HubProcess, until

from muster_client import Agent, Device, Hub
from muster_client.events import TrustEnded
from muster_protocol.cards import Mode
from muster_protocol.frames import Purpose
from muster_protocol.reasons import Reason


@pytest.fixture
def friend(tmp_path: Path, hub: HubProcess) -> Iterator[Device]:
    with Device.create(tmp_path / "friend", hub_url=hub.url) as friend:
        yield friend


async def in_step(device: Device) -> None:
    async with Hub.connect(device):
        pass


async def allowed(device: Device, friend: Device) -> Reason | None:
    """Return what the hub says of an automatic join of the device that the friend would start."""
    async with Hub.connect(device) as hub:
        return (await hub.why(friend.client, device.client, mode=Mode.JOIN, profile=None, purpose=Purpose.AUTO)).reason


async def befriend(victim: Device, friend: Device) -> None:
    for one, other in ((friend, victim), (victim, friend)):
        one.peers.trust(other.client, other.fingerprint, "other")
        one.peers.grant(other.client)
        await in_step(one)


async def trust_anew(device: Device, friend: Device) -> None:
    """Take trust and grant back, and trust again without a grant."""
    device.peers.untrust(friend.client)
    await in_step(device)
    device.peers.trust(friend.client, friend.fingerprint, "other")
    await in_step(device)


@pytest.mark.parametrize("rotates", [False, True])
async def test_no_backup_brings_a_grant_back_that_an_untrust_ended(
    victim: Device, friend: Device, tmp_path: Path, rotates: bool
) -> None:
    await befriend(victim, friend)
    shutil.copytree(victim.path, tmp_path / "backup")
    await trust_anew(victim, friend)
    victim.close()
    with Device.open(tmp_path / "backup") as restored:
        await in_step(restored)
        unconfirmed = restored.peers.unconfirmed()
        restored.peers.mark_listed(unconfirmed)
        restored.peers.accept(*unconfirmed)
        if rotates:
            restored.rotate()
            friend.peers.trust(restored.client, restored.fingerprint, "other")
            await in_step(friend)
        await in_step(restored)
        assert await allowed(restored, friend) in {Reason.GRANT_REVOKED, Reason.GRANT_MISSING}
        (peer,) = restored.peers.all()
        assert peer.grant is None or peer.grant.state.value != "live"


async def test_what_a_copy_ends_and_trusts_again_is_told(victim: Device, friend: Device, tmp_path: Path) -> None:
    await befriend(victim, friend)
    shutil.copytree(victim.path, tmp_path / "copy")
    with Device.open(tmp_path / "copy") as copy:
        await trust_anew(copy, friend)
    await in_step(victim)
    assert [ended.peer for ended in victim.peers.ended_elsewhere()] == [friend.client]


async def test_an_old_untrust_of_a_copy_that_ends_a_grant_alone_is_told(
    victim: Device, friend: Device, tmp_path: Path
) -> None:
    await befriend(victim, friend)
    shutil.copytree(victim.path, tmp_path / "copy")
    with Device.open(tmp_path / "copy") as copy:
        copy.peers.untrust(friend.client)  # dated before the trust that the owner states now
        victim.peers.trust(friend.client, friend.fingerprint, "other")
        async with Agent.open(victim) as agent:
            await agent.connected()
            events = agent.events()
            await in_step(copy)
            assert (await until(events, TrustEnded)).devices == 1
    assert [ended.peer for ended in victim.peers.ended_elsewhere()] == [friend.client]
