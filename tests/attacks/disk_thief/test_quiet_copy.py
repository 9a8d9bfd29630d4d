"""An older copy of a device's data, whose own agent takes the seat, clears no suspicion without leaving a trace."""

import copy

from tests.integration.hub.device import DeviceLink, SigningDevice

from muster_hub.node.node import Node
from muster_protocol.connect import Role
from muster_protocol.frames import ClearSuspicion, ConfirmToken, Error, Ok
from muster_protocol.reasons import Reason


async def keep(link: DeviceLink) -> None:
    """Write the new token down as an agent does, and confirm it."""
    assert link.welcome.token is not None
    link.device.token = link.welcome.token
    assert isinstance(await link.ask_any(ConfirmToken(id=0, counter=link.welcome.token.counter)), Ok)


async def run_agent(device: SigningDevice, node: Node) -> None:
    async with device.connect(node.url) as link:
        await keep(link)


async def owner_and_thief(node: Node) -> tuple[SigningDevice, SigningDevice]:
    """Return a device and a copy of its data from before its last runs."""
    owner = SigningDevice()
    await run_agent(owner, node)
    thief = copy.copy(owner)
    for _ in range(2):
        await run_agent(owner, node)
    return owner, thief


async def test_an_older_copy_that_takes_the_seat_cannot_clear_the_suspicion_it_raised(node: Node) -> None:
    owner, thief = await owner_and_thief(node)
    async with thief.connect(node.url) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED
        refused = await link.ask_any(ClearSuspicion(id=0))
        assert isinstance(refused, Error)
        assert refused.reason is Reason.CLONE_SUSPECTED
    async with owner.connect(node.url) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED


async def test_an_older_copy_that_clears_the_suspicion_is_found_by_the_owners_next_connection(node: Node) -> None:
    for role in Role:
        owner, thief = await owner_and_thief(node)
        async with thief.connect(node.url) as link:
            await keep(link)
            assert isinstance(await link.ask_any(ClearSuspicion(id=0)), Ok)
        async with owner.connect(node.url, role=role) as link:
            assert link.welcome.standing is Reason.CLONE_SUSPECTED
