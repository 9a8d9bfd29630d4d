"""What a thief signs with serials far below the owner's newest is shown to the owner as any other is."""

import shutil
from pathlib import Path

import pytest
from tests.integration.client.conftest import HubProcess
from tests.integration.hub.device import SigningDevice

from muster_client import Agent, Device, Hub
from muster_protocol.connect import Role
from muster_protocol.frames import MAX_PAGE, Ok
from muster_protocol.governance import Trust
from muster_protocol.ids import Serial
from muster_protocol.labels import Kind
from muster_protocol.signed import Signed


@pytest.fixture
def friend() -> SigningDevice:
    return SigningDevice()


async def trust_friend(victim: Device, friend: SigningDevice) -> None:
    victim.peers.trust(friend.client, friend.fingerprint, "friend")
    async with Agent.open(victim) as agent:
        await agent.connected()


def thief_of(victim: Device) -> SigningDevice:
    thief = SigningDevice()
    thief.key, thief.genesis, thief.client = victim.key, victim.key.public, victim.client
    return thief


async def plant(thief: SigningDevice, url: str, *statements: tuple[Kind, Signed]) -> None:
    async with thief.connect(url, role=Role.CLI) as link:
        for statement in statements:
            assert isinstance(await link.put(statement), Ok)


async def shown(victim: Device) -> set[tuple[str, Kind]]:
    async with Hub.connect(victim):
        return {(one.peer, one.kind) for one in victim.peers.unconfirmed()}


async def test_planted_statements_of_low_serials_are_shown_to_the_owner(
    victim: Device, hub: HubProcess, friend: SigningDevice
) -> None:
    spy = SigningDevice()
    await trust_friend(victim, friend)
    async with Hub.connect(victim):
        pass
    thief = thief_of(victim)
    thief.serial = 0
    await plant(thief, hub.url, thief.trust(spy), thief.grant(spy))
    assert await shown(victim) == {(spy.client, Kind.TRUST), (spy.client, Kind.GRANT)}
    assert victim.peers.pins() == {friend.client: friend.fingerprint}


async def test_many_planted_statements_under_one_serial_are_all_shown(
    victim: Device, hub: HubProcess, friend: SigningDevice
) -> None:
    await trust_friend(victim, friend)
    thief = thief_of(victim)
    spies = [SigningDevice() for _ in range(MAX_PAGE + 8)]
    bodies = [Trust(client=victim.client, serial=Serial(7), peer=spy.client, peer_key=spy.fingerprint) for spy in spies]
    await plant(thief, hub.url, *((Kind.TRUST, thief.sign(body)) for body in bodies))
    assert await shown(victim) == {(spy.client, Kind.TRUST) for spy in spies}


async def test_a_device_restored_from_a_backup_is_shown_them_too(
    victim: Device, hub: HubProcess, friend: SigningDevice, tmp_path: Path
) -> None:
    spy = SigningDevice()
    await trust_friend(victim, friend)
    shutil.copytree(victim.path, tmp_path / "backup")
    thief = thief_of(victim)
    thief.serial = 0
    await plant(thief, hub.url, thief.trust(spy))
    assert await shown(victim) == {(spy.client, Kind.TRUST)}
    with Device.open(tmp_path / "backup") as restored:
        assert await shown(restored) == {(spy.client, Kind.TRUST)}


async def test_what_waits_for_the_owner_spends_no_one_time_grant_again(
    victim: Device, hub: HubProcess, friend: SigningDevice
) -> None:
    spy = SigningDevice()
    await trust_friend(victim, friend)
    thief = thief_of(victim)
    await plant(thief, hub.url, thief.trust(spy))
    await shown(victim)
    victim.peers.grant(friend.client, once=True)
    for _ in range(2):
        assert await shown(victim) == {(spy.client, Kind.TRUST)}
    (peer,) = victim.peers.all()
    assert peer.grant is not None
    assert peer.grant.state.value == "live"
