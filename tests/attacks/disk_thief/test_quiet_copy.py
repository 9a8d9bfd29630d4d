"""A copy of a device's data, whose own processes connect, clears no suspicion without leaving a trace."""

import copy
from contextlib import AsyncExitStack

from tests.integration.hub.device import DeviceLink, SigningDevice

from muster_hub.node.node import Node
from muster_hub.store.keys import MAX_CLI_INSTANCES
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


async def test_a_copy_clears_no_suspicion_while_the_owner_writes_its_token_down(node: Node) -> None:
    """The thief ran an agent of its own, so that its token is the newest until the owner confirms the next one."""
    owner = SigningDevice()
    await run_agent(owner, node)
    thief = copy.copy(owner)
    await run_agent(thief, node)
    async with owner.connect(node.url) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED
        async with thief.connect(node.url, role=Role.CLI) as polling:
            refused = await polling.ask_any(ClearSuspicion(id=0))
            assert isinstance(refused, Error)
            assert refused.reason is Reason.CLONE_SUSPECTED
            await keep(link)
            assert isinstance(await polling.ask_any(ClearSuspicion(id=0)), Error)
        assert isinstance(await link.ask_any(ClearSuspicion(id=0)), Ok)


async def test_the_command_lines_of_a_copy_keep_none_of_the_owners_out(node: Node) -> None:
    owner = SigningDevice()
    thief = copy.copy(owner)
    async with AsyncExitStack() as lines:
        for _ in range(MAX_CLI_INSTANCES):
            await lines.enter_async_context(thief.connect(node.url, role=Role.CLI))
        async with owner.connect(node.url, role=Role.CLI) as link:
            assert isinstance(await link.put(owner.trust(SigningDevice())), Ok)
