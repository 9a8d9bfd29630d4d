"""A thief who copied a device's disk and uses it only through command lines does not stay unnoticed."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from tests.integration.client.conftest import WAIT_S, HubProcess, until
from tests.integration.hub.device import dial, receive

from muster_client import Agent, Device, Hub
from muster_client.connection.dialling import dialled, new_instance
from muster_client.errors import HubRefused
from muster_client.events import CloneSuspected
from muster_protocol.connect import DeviceHandshake, RefusedBody, Role
from muster_protocol.continuity import prove
from muster_protocol.ids import Nonce
from muster_protocol.reasons import Reason


async def run_agent(device: Device) -> None:
    async with Agent.open(device) as agent:
        await agent.connected()


async def command(device: Device) -> Reason | None:
    """Run a command line, and return what the hub holds against the device."""
    async with Hub.connect(device) as hub:
        return hub.welcome.standing


def copied(victim: Device, to: Path) -> Device:
    shutil.copytree(victim.path, to, ignore=shutil.ignore_patterns("*.sock"))
    return Device.open(to)


async def test_the_command_line_of_a_copy_is_found_after_the_owners_agent_came_back(
    victim: Device, tmp_path: Path
) -> None:
    await run_agent(victim)
    with copied(victim, tmp_path / "copy") as copy:
        assert [await command(victim), await command(copy)] == [None, None], "one disk is as good as the other"
        await run_agent(victim)
        assert await command(copy) is Reason.CLONE_SUSPECTED
    async with Agent.open(victim) as agent:
        await until(agent.events(), CloneSuspected)


async def test_the_owners_command_line_finds_a_copy_that_ran_an_agent(victim: Device, tmp_path: Path) -> None:
    await run_agent(victim)
    with copied(victim, tmp_path / "copy") as copy:
        await run_agent(copy)
        assert await command(victim) is Reason.CLONE_SUSPECTED


async def test_an_older_copy_cannot_clear_the_suspicion_by_a_command_line(victim: Device, tmp_path: Path) -> None:
    await run_agent(victim)
    with copied(victim, tmp_path / "copy") as copy:
        await run_agent(victim)
        async with Hub.connect(copy) as hub:
            assert hub.welcome.standing is Reason.CLONE_SUSPECTED
            with pytest.raises(HubRefused) as caught:
                await hub.clear_suspicion()
    assert caught.value.reason is Reason.CLONE_SUSPECTED
    async with Hub.connect(victim) as hub:
        await hub.clear_suspicion()
    assert await command(victim) is None


async def test_an_older_copy_does_not_come_in_unnoticed_by_waiting_for_the_owners_agent(
    victim: Device, hub: HubProcess, tmp_path: Path
) -> None:
    """The copy's command line holds its hello back until the owner's agent confirmed another token."""
    await run_agent(victim)
    with copied(victim, tmp_path / "copy") as copy:
        await run_agent(victim)
        line = DeviceHandshake(dialled(copy, copy.addresses[0], Role.CLI, new_instance()))
        async with dial(hub.url) as socket:
            challenge = line.on_challenge(await receive(socket))
            await run_agent(victim)
            nonce, token = Nonce(os.urandom(32)), copy.token(challenge.hub_key.check().fingerprint)
            assert token is not None
            await socket.send(line.hello(nonce, prove(token, challenge.nonce, nonce)))
            refused = line.on_reply(await receive(socket))
        assert isinstance(refused, RefusedBody)
        assert refused.reason is Reason.EXPIRED
        assert [await command(victim), await command(copy)] == [None, Reason.CLONE_SUSPECTED]


async def test_the_owners_own_command_lines_raise_no_suspicion_beside_a_reconnecting_agent(victim: Device) -> None:
    """Processes of one device, which share its disk: an agent that comes back all the time, and four command lines."""
    await run_agent(victim)
    done = asyncio.Event()

    async def lines() -> list[Reason | None]:
        with Device.open(victim.path) as beside:
            return [await command(beside) for _ in range(8)]

    async def agent() -> None:
        while not done.is_set():
            await run_agent(victim)

    async with asyncio.timeout(WAIT_S * (os.cpu_count() or 1)), asyncio.TaskGroup() as group:
        running = group.create_task(agent())
        found = await asyncio.gather(*(lines() for _ in range(4)))
        done.set()
        await running
    assert {standing for each in found for standing in each} == {None}
