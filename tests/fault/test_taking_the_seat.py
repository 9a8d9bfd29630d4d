"""One seat, and two who want it: a laptop that lost its power and is back, and two copies of one process."""

import asyncio
import os
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fault.nodes import Cluster, NodeProcess
from tests.fault.relay import relay
from tests.integration.client.conftest import until
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor, befriend, call_in

import muster_client
from muster_client import Agent
from muster_client.connection.backoff import CAP_S
from muster_client.events import Connected, Disconnected, Event, Stream
from muster_hub.store import keys
from muster_protocol.ids import InstanceId
from muster_protocol.reasons import Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def first(lasting_nodes: Cluster) -> NodeProcess:
    return await lasting_nodes.node("first")


@pytest.mark.parametrize("elsewhere", [False, True], ids=["by the same node", "by another node"])
async def test_a_power_cut_laptop_is_callable_at_once(
    lasting_nodes: Cluster, first: NodeProcess, lasting_stack: AsyncExitStack, elsewhere: bool
) -> None:
    second = await lasting_nodes.node("second") if elsewhere else first
    caller = SigningDevice()
    ann = Actor(caller, await lasting_stack.enter_async_context(caller.connect(first.url)))
    laptop = SigningDevice()
    way = await lasting_stack.enter_async_context(relay(first))
    before = Actor(laptop, await lasting_stack.enter_async_context(laptop.connect(way.url, origin=first.url)))
    await befriend(ann, before)
    session = await ann.create()
    await call_in(ann, before)
    way.cut = True  # the hub's end stays open, and no byte comes over it any more

    after = Actor(laptop, await lasting_stack.enter_async_context(laptop.connect(second.url)))
    after.peers |= before.peers
    await call_in(ann, after)
    assert after.joining[session].epoch_key == ann.inviting.epoch_key
    assert await lasting_nodes.store.say(b"HLEN", keys.instances(laptop.client)) == 1, "its ghost has no entry"
    left = [line for line in first.said("device_left") if line["client"] == laptop.client[:8]]
    assert [line["cause"] for line in left] in ([], ["superseded"]), "the hub waited for no timeout"
    way.end()


async def superseded(events: Stream[Event]) -> Disconnected:
    return await until(events, Disconnected, reason=Reason.SUPERSEDED)


async def test_superseded_does_not_ping_pong(
    first: NodeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One instance id twice, as after a fork of a whole machine: two connects a minute at most."""
    twin, later = InstanceId(os.urandom(16)), iter(lambda: InstanceId(os.urandom(16)), None)
    ids = iter([twin, twin])
    monkeypatch.setattr("muster_client.connection.link.new_instance", lambda: next(ids, None) or next(later))
    minute_over = asyncio.Event()

    async def sleep_out(_delay_s: float) -> None:
        await minute_over.wait()
        minute_over.clear()

    monkeypatch.setattr("muster_client.connection.retries.sleep_out", sleep_out)
    with muster_client.Device.create(tmp_path / "one", hub_url=first.url) as device:
        client = device.client
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    async with Agent.open(tmp_path / "one") as one:
        of_one = one.events()
        await one.connected()
        async with Agent.open(tmp_path / "two") as two:
            of_two = two.events()
            assert (await superseded(of_one)).retry_in_s >= CAP_S
            await until(of_two, Connected)
            # No wake-up brings it back. After the minute it takes the seat back, and the other one waits in its turn.
            one._link.wake()
            two._link.wake()
            await two.connected()
            assert one._link.connection is None
            minute_over.set()
            assert (await superseded(of_two)).retry_in_s >= CAP_S
            await until(of_one, Connected)
            await one.connected()
            assert two._link.connection is None
    entered = [line for line in first.said("device_entered") if line["client"] == client[:8]]
    assert len(entered) == 3, "one, the other, and one again: neither came back before its turn"
