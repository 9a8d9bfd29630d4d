"""A hub with a store of its own: killed and started twice at once, and ended by Ctrl-C in the middle of its work."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest_asyncio
from tests.fault.nodes import NodeProcess
from tests.fault.waiting import until_so
from tests.integration.hub.device import DeviceLink, SigningDevice

from muster_protocol.closes import CloseCode
from muster_protocol.frames import (
    DropCause,
    Goaway,
    ListStatements,
    Ok,
    PresenceReply,
    PresenceState,
    Statements,
    Who,
)
from muster_protocol.governance import Trust
from muster_protocol.labels import Kind
from muster_protocol.signed import read

REFUSED = 2
ROUNDS = 20


@pytest_asyncio.fixture
async def hubs(tmp_path: Path) -> AsyncIterator[list[NodeProcess]]:
    """Hubs that the test starts on one folder; what lives at its end is ended."""
    started: list[NodeProcess] = []
    yield started
    for hub in started:
        await hub.end()


async def start(hubs: list[NodeProcess], folder: Path) -> NodeProcess:
    hub = NodeProcess(folder)
    hubs.append(hub)
    await hub.start()
    return hub


def stores_of(folder: Path) -> list[psutil.Process]:
    """Find the servers that run on a folder."""
    found = []
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.info["name"].endswith("-server") and process.cwd() == str(folder / "store"):
                found.append(process)
    return found


async def trusted(link: DeviceLink) -> int:
    """Count the statements of trust that the hub holds of the device."""
    count, after = 0, 0
    while True:
        said = await link.ask(ListStatements(id=0, after=after), Statements)
        trust = [read(one.statement, Trust) for one in said.statements if one.kind is Kind.TRUST]
        count += len(trust)
        if not said.more:
            return count
        after += len(said.statements)


async def test_hub_killed_store_child_survives(hubs: list[NodeProcess], tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    device = SigningDevice()
    first = await start(hubs, folder)
    async with device.connect(first.url) as link:
        for _ in range(ROUNDS):
            assert isinstance(await link.put(device.trust(SigningDevice())), Ok)
        first.send_signal(signal.SIGKILL)
        await first.ended()
    left_behind = stores_of(folder)
    assert len(left_behind) == 1, "the store outlives the hub"

    both = [NodeProcess(folder), NodeProcess(folder)]
    hubs += both
    outcomes = await asyncio.gather(*(hub.start() for hub in both), return_exceptions=True)
    assert [outcome is None for outcome in outcomes].count(True) == 1, "one hub"
    winner, loser = both if outcomes[0] is None else reversed(both)
    assert await loser.ended() == REFUSED
    assert "already in use by process" in (folder / "log").read_text()
    (store,) = stores_of(folder)
    assert store.pid != left_behind[0].pid, "one store, and not the one left behind"
    async with device.connect(winner.url) as link:
        assert await trusted(link) == ROUNDS, "nothing lost"


async def test_ctrl_c_drains_before_the_store_ends(hubs: list[NodeProcess], tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    device, watcher = SigningDevice(), SigningDevice()
    hub = await start(hubs, folder)
    taken = 0
    async with watcher.connect(hub.url) as watching, device.connect(hub.url) as link:
        assert isinstance(await link.put(device.trust(watcher)), Ok)

        async def work() -> None:
            nonlocal taken
            while isinstance(await link.put(device.trust(SigningDevice())), Ok):
                taken += 1

        busy = asyncio.create_task(work())
        await until_so(lambda: taken >= ROUNDS)  # it is in the middle of its work
        hub.send_signal(signal.SIGINT)
        assert await link.closed() == await watching.closed() == CloseCode.GOING_AWAY
        assert isinstance(link.goaway, Goaway)
        await asyncio.wait([busy])
        assert isinstance(busy.exception(), ConnectionError | None)
    assert await hub.ended() == 0
    assert stores_of(folder) == []
    assert [line["event"] for line in hub.said("departures_not_settled") + hub.said("lease_not_given_up")] == []

    again = await start(hubs, folder)
    async with watcher.connect(again.url) as watching:
        reply = await watching.ask(Who(id=0, clients=(device.client,)), PresenceReply)
        assert reply.devices[0].state is not PresenceState.HIDDEN
        assert reply.devices[0].cause is not DropCause.NODE_LOST, "its leave was written down before the store ended"
    async with device.connect(again.url) as link:
        # The last one may have been taken and not acknowledged any more.
        assert await trusted(link) - 1 in {taken, taken + 1}
