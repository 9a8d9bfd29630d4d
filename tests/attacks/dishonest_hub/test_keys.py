"""Keys and a dishonest hub: its store holds none that opens a session, and its own is refused where it is unsafe."""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.attacks.dishonest_hub.test_invites import HubScript, invite_from
from tests.fault.waiting import until_so
from tests.integration.client.conftest import WAIT_S, all_joined, befriend, devices, free_port, open_agent
from tests.integration.client.scripted_hub import scripted_hub
from tests.integration.hub.conftest import Ask
from tests.unit.client.conftest import ManualClock
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from muster_client import Agent, Device, SessionRequest
from muster_client import agent as agents
from muster_client.device.clock import now_ms
from muster_client.device.invites import KEPT_AFTER_MS
from muster_hub.node.node import Node
from muster_protocol.connect import PROTOCOL
from muster_protocol.frames import Challenge, encode_frame
from muster_protocol.ids import Nonce, TimeMs
from muster_protocol.keys import ED25519, PublicKey
from muster_protocol.signed import sign

__all__ = ["devices", "open_agent"]

_READ_ALL = """
local all = {}
local function add(value)
  if type(value) == 'table' then
    for _, one in ipairs(value) do add(one) end
  else
    all[#all + 1] = value
  end
end
local read = {hash = {'HGETALL'}, string = {'GET'}, zset = {'ZRANGE', '0', '-1'}, stream = {'XRANGE', '-', '+'}}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local command = read[redis.call('TYPE', key).ok]
  add(redis.call(command[1], key, unpack(command, 2)))
end
return all
"""


async def test_the_hubs_store_holds_no_key_of_a_session(node: Node, devices, open_agent, ask_store: Ask) -> None:
    laptop, nas, phone = (devices(name) for name in ("laptop", "nas", "phone"))
    befriend(laptop, nas, phone)
    caller, *_ = [await open_agent(one) for one in (laptop, nas, phone)]
    session = await caller.start_session(SessionRequest((nas.client,)))
    await all_joined(session, laptop.client, nas.client)
    keys = [session._machine.epoch_key]
    await session.invite((phone.client,))
    await all_joined(session, laptop.client, nas.client, phone.client)
    keys.append(session._machine.epoch_key)
    words = await ask_store(node, b"EVAL", _READ_ALL.encode(), b"0")
    assert isinstance(words, list)
    held = b"\0".join(words)
    assert session._machine.epoch.signed.body in held, "the epoch itself is there"
    assert not [key for key in keys if key in held]


async def test_a_receive_key_that_no_admission_used_is_destroyed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the hub sends nothing more: what it recorded opens nothing then, also for one who has this process."""
    monkeypatch.setattr(agents, "DUE_EVERY_S", 0.01)
    port, clock = free_port(), ManualClock(now_ms())
    with ExitStack() as stack:
        device, peer = (
            stack.enter_context(Device.create(tmp_path / name, hub_url=f"ws://127.0.0.1:{port}", clock=clock))
            for name in ("device", "peer")
        )
        befriend(device, peer)
        invite = invite_from(peer, device)
        script = HubScript(peer, [sign(invite, peer.key)])
        async with Agent.open(device, control=False) as agent:
            async with scripted_hub(port, script.play):
                await script.answer()
            held = agent._answering._joinings
            clock.go_on(invite.lifetime_ms + KEPT_AFTER_MS - 1)
            await asyncio.sleep(0.1)
            assert list(held) == [invite.invite], "not before its time"
            clock.go_on(1)
            await until_so(lambda: not list(held))


async def test_a_device_says_nothing_to_a_hub_with_an_unsafe_key(tmp_path: Path) -> None:
    port, said = free_port(), asyncio.Queue[object]()
    small_order = PublicKey(ED25519, b"\x01" + bytes(31))
    challenge = Challenge(
        nonce=Nonce(os.urandom(32)), hub_key=small_order, hub_rotations=(), protocol=PROTOCOL, at=TimeMs(0)
    )

    async def greet(connection: ServerConnection) -> None:
        await connection.send(encode_frame(challenge))
        try:
            said.put_nowait(await connection.recv())
        except ConnectionClosed:
            said.put_nowait(None)

    with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as device:
        async with (
            serve(greet, "127.0.0.1", port, subprotocols=[Subprotocol("muster.v1")], compression=None),
            Agent.open(device, control=False),
        ):
            async with asyncio.timeout(WAIT_S):
                assert await said.get() is None
        assert device.pinned_hub is None
