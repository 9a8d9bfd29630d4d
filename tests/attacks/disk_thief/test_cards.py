"""A copy that only shows a card of its own when it connects: the owner's card is back at its next connection."""

import shutil
from pathlib import Path

from msgspec import structs
from tests.integration.client.conftest import HubProcess

from muster_client import Device, Hub
from muster_client.connection.connection import Dial, open_connection
from muster_client.connection.dialling import dialled, new_instance
from muster_protocol.cards import Card
from muster_protocol.connect import Role
from muster_protocol.frames import CardReply, GetCard
from muster_protocol.signed import read


async def shown_to(friend: Device, device: Device) -> Card:
    async with Hub.connect(friend) as hub:
        reply = await hub._connection.ask(GetCard(id=0, client=device.client), CardReply)
        return read(reply.card, Card)


async def say_hello(device: Device) -> None:
    """Connect and say nothing else."""
    address = device.addresses[0]
    dial = Dial(address.url, dialled(device, address, Role.CLI, new_instance()), device.token)
    async with open_connection(dial):
        pass


async def test_no_card_that_a_copy_shows_stays_at_the_hub(victim: Device, hub: HubProcess, tmp_path: Path) -> None:
    with Device.create(tmp_path / "friend", hub_url=hub.url) as friend:
        for one, other in ((friend, victim), (victim, friend)):
            one.peers.trust(other.client, other.fingerprint, "other")
            async with Hub.connect(one):
                pass
        victim.peers.grant(friend.client)
        for _ in range(2):
            async with Hub.connect(victim):
                pass
        shutil.copytree(victim.path, tmp_path / "copy")
        with Device.open(tmp_path / "copy") as copy:
            copy.configure(structs.replace(copy.settings, app="another"))
            await say_hello(copy)
        assert (await shown_to(friend, victim)).app == "another", "the copy shows no card"
        async with Hub.connect(victim):
            pass
        assert (await shown_to(friend, victim)).app == "muster"
