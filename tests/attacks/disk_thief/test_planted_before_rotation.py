"""A thief who signed statements with a copied key: none of them outlives the owner's rotation at the hub."""

import pytest
from tests.integration.client.conftest import HubProcess
from tests.integration.hub.desk import Desk, Line
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor

from muster_client import Agent, Device, Hub
from muster_hub.store import keys
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.frames import CardReply, Error, GetCard, Ok, PutStatement, Reply
from muster_protocol.governance import Revocation, Untrust
from muster_protocol.ids import GrantId, Serial
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

LARGEST_SERIAL = Serial(2**53 - 1)


def thief_of(victim: Device) -> SigningDevice:
    thief = SigningDevice()
    thief.key, thief.genesis, thief.client = victim.key, victim.key.public, victim.client
    return thief


def last_revocation(thief: SigningDevice, peer: SigningDevice, grant: GrantId) -> tuple[Kind, Signed]:
    body = Revocation(client=thief.client, serial=LARGEST_SERIAL, peer=peer.client, grant=grant)
    return Kind.REVOCATION, thief.sign(body)


def last_untrust(thief: SigningDevice, peer: SigningDevice) -> tuple[Kind, Signed]:
    return Kind.UNTRUST, thief.sign(Untrust(client=thief.client, serial=LARGEST_SERIAL, peer=peer.client))


async def put_all(thief: SigningDevice, url: str, *statements: tuple[Kind, Signed]) -> None:
    async with thief.connect(url, role=Role.CLI) as link:
        for statement in statements:
            assert isinstance(await link.put(statement), Ok)


async def card_seen_by(peer: SigningDevice, victim: Device, url: str) -> Reply:
    """Return what a device that trusts the victim gets for its card."""
    owner = SigningDevice()
    owner.client, owner.key = victim.client, victim.key
    async with peer.connect(url) as link:
        assert isinstance(await link.put(peer.trust(owner)), Ok)
        return await link.ask_any(GetCard(id=0, client=victim.client))


@pytest.mark.parametrize("noticed", [False, True])
async def test_planted_trust_and_grants_end_by_a_rotation(victim: Device, hub: HubProcess, noticed: bool) -> None:
    friend, spy = SigningDevice(), SigningDevice()
    victim.peers.trust(friend.client, friend.fingerprint, "friend")
    async with Agent.open(victim) as agent:
        await agent.connected()
    thief = thief_of(victim)
    await put_all(thief, hub.url, thief.trust(spy), thief.grant(spy))
    assert isinstance(await card_seen_by(spy, victim, hub.url), CardReply), "without a rotation the spy sees the device"
    if noticed:
        async with Hub.connect(victim):
            assert len(victim.peers.unconfirmed()) == 2
    victim.rotate()
    async with Agent.open(victim) as agent:
        await agent.connected()
        refused = await card_seen_by(spy, victim, hub.url)
        assert isinstance(refused, Error)
        assert isinstance(await card_seen_by(friend, victim, hub.url), CardReply), "the device put its own trust again"


@pytest.mark.parametrize("noticed", [False, True])
async def test_an_untrust_of_the_largest_serial_ends_by_a_rotation(
    victim: Device, hub: HubProcess, noticed: bool
) -> None:
    friend, later, spy = SigningDevice(), SigningDevice(), SigningDevice()
    victim.peers.trust(friend.client, friend.fingerprint, "friend")
    async with Agent.open(victim) as agent:
        await agent.connected()
    thief = thief_of(victim)
    await put_all(thief, hub.url, last_untrust(thief, friend), last_untrust(thief, later), thief.trust(spy))
    if noticed:
        async with Hub.connect(victim):
            assert victim.peers.pins() == {}
    victim.rotate()
    for peer, name in ((friend, "friend"), (later, "later")):
        victim.peers.trust(peer.client, peer.fingerprint, name)
    async with Agent.open(victim) as agent:
        await agent.connected()
        for peer in (friend, later):
            assert isinstance(await card_seen_by(peer, victim, hub.url), CardReply)
    assert victim.peers.pins() == {peer.client: peer.fingerprint for peer in (friend, later)}
    assert victim.unpublished() == []


@pytest.mark.parametrize("noticed", [False, True])
async def test_a_revocation_of_the_largest_serial_ends_by_a_rotation(
    victim: Device, hub: HubProcess, noticed: bool
) -> None:
    friend = SigningDevice()
    victim.peers.trust(friend.client, friend.fingerprint, "friend")
    victim.peers.grant(friend.client)
    async with Agent.open(victim) as agent:
        await agent.connected()
    thief = thief_of(victim)
    await put_all(thief, hub.url, last_revocation(thief, friend, victim.peers.newest_grant(friend.client).grant))
    if noticed:
        async with Hub.connect(victim):
            pass
    victim.peers.grant(friend.client)
    async with Hub.connect(victim):
        with pytest.raises(Refused, match="grant_revoked"):
            victim.peers.newest_grant(friend.client)
    victim.rotate()
    victim.peers.grant(friend.client)
    async with Agent.open(victim) as agent:
        await agent.connected()
    assert victim.unpublished() == []
    assert victim.peers.newest_grant(friend.client).serial < LARGEST_SERIAL


async def test_a_device_puts_all_that_it_stated_again_also_what_it_took_back(victim: Device, hub: HubProcess) -> None:
    friend, former = SigningDevice(), SigningDevice()
    for peer, name in ((friend, "friend"), (former, "former")):
        victim.peers.trust(peer.client, peer.fingerprint, name)
        victim.peers.grant(peer.client)
    victim.peers.revoke(friend.client)
    victim.peers.untrust(former.client)
    async with Hub.connect(victim):
        assert victim.unpublished() == []
    victim.rotate()
    async with Hub.connect(victim) as connected:
        put = {(result.kind, result.peer, result.reason) for result in connected.published if result.peer}
    assert put == {
        (Kind.TRUST, friend.client, None),
        (Kind.REVOCATION, friend.client, None),
        (Kind.UNTRUST, former.client, None),
    }


async def put(line: Line, statement: tuple[Kind, Signed]) -> Reply:
    kind, signed = statement
    return await line.ask_any(PutStatement(id=1, kind=kind, statement=signed))


async def test_planted_statements_take_no_place_after_a_rotation(
    pair: tuple[Actor, Actor], desks: dict[str, Desk]
) -> None:
    """The thief takes all the places that a device's statements have, and nothing but a rotation frees one."""
    owner, _ = pair
    line, planted = owner.line, 0
    while isinstance(reply := await put(line, last_untrust(owner.device, SigningDevice())), Ok):
        planted += 1
    assert planted in range(keys.MAX_PEERS - 2, keys.MAX_PEERS)
    assert isinstance(reply, Error)
    assert reply.reason is Reason.TOO_LARGE
    owner.device.rotate()
    line = await desks["one"].seat(owner.device)
    assert isinstance(await put(line, owner.device.trust(SigningDevice())), Ok)
