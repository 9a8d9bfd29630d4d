"""What outlives a process of a device, and what ends with it: it is killed in the middle (SPEC.md section 7.7)."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.attacks.dishonest_hub.test_invites import HubScript, invite_from
from tests.integration.client.conftest import WAIT_S, all_joined, befriend, free_port, settled
from tests.integration.client.scripted_hub import scripted_hub

from muster_client import Agent, Device, SessionRequest
from muster_client.device.clock import now_ms
from muster_client.device.invites import KEPT_AFTER_MS
from muster_client.events import Progress
from muster_client.views import GrantState
from muster_protocol.exchange import Answer, hash_of
from muster_protocol.ids import TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, sign, verify

KILLED_IN = """
import asyncio, os, signal, sys
from pathlib import Path
from muster_client import Agent
from muster_client.sessions.answering import Answering

async def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with Agent.open(Path(sys.argv[1])) as agent:
        await agent.connected()
        setattr(Answering, sys.argv[2], die)
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def killed_in(device: Device, method: str) -> AsyncIterator[None]:
    """Run the device's agent in a process that kills itself where it gets to this method."""
    arguments = ("-c", KILLED_IN, str(device.path), method)
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(WAIT_S):
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
            yield
            assert await process.wait() == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("once", [False, True])
async def test_a_process_killed_before_its_answer_leaves_costs_nothing(make_device, open_agent, once: bool) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    nas.peers.grant(laptop.client, once=once)
    caller = await open_agent(laptop)
    async with killed_in(nas, "_send"):
        session = await caller.start_session(SessionRequest((nas.client,)))
    assert session.targets[nas.client].state is Progress.DELIVERED
    await open_agent(nas)
    assert (await settled(session))[nas.client].state is Progress.JOINED
    await all_joined(session, laptop.client, nas.client)
    (peer,) = nas.peers.all()
    assert peer.grant is not None
    assert peer.grant.state is (GrantState.USED if once else GrantState.LIVE)


@pytest.mark.parametrize("once", [False, True])
async def test_a_process_killed_before_its_admission_opens_is_called_once_more(
    make_device, open_agent, once: bool
) -> None:
    """A grant for one use was spent on the invite before, and covers no other."""
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    nas.peers.grant(laptop.client, once=once)
    caller = await open_agent(laptop)
    async with killed_in(nas, "on_admission"):
        session = await caller.start_session(SessionRequest((nas.client,)))
    await open_agent(nas)
    target = (await settled(session))[nas.client]
    assert (target.state, target.reason) == ((Progress.REFUSED, Reason.GRANT_USED) if once else (Progress.JOINED, None))


async def test_an_answer_is_the_same_bytes_in_one_process_and_has_a_fresh_key_in_the_next(tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as stack:
        device, peer = (
            stack.enter_context(Device.create(tmp_path / name, hub_url=f"ws://127.0.0.1:{port}"))
            for name in ("device", "peer")
        )
        befriend(device, peer)
        accepted = sign(invite_from(peer, device), peer.key)
        refused = sign(invite_from(peer, device, profile="other"), peer.key)
        device.peers.grant(peer.client, profiles=None)
        script = HubScript(peer, [accepted, accepted])

        async def answer_of_one_process() -> Answer:
            async with Agent.open(device, control=False):
                first, second = await script.answer(), await script.answer()
            assert first == second
            return verify(first, device.key.public, Answer)

        async with scripted_hub(port, script.play):
            one, other = await answer_of_one_process(), await answer_of_one_process()
            assert one.invite_hash == other.invite_hash == hash_of(Kind.INVITE, accepted)
            assert (one.reason, other.reason) == (None, None)
            assert one.receive_key != other.receive_key
            device.peers.grant(peer.client, profiles=("photos",))
            script.invites = [refused, refused]
            for answer in (await answer_of_one_process(), await answer_of_one_process()):
                assert answer.reason is Reason.PROFILE_NOT_GRANTED


async def test_a_receive_key_that_no_admission_used_is_destroyed(tmp_path: Path) -> None:
    port, ahead_ms = free_port(), 0
    with ExitStack() as stack:
        device, peer = (
            stack.enter_context(
                Device.create(
                    tmp_path / name, hub_url=f"ws://127.0.0.1:{port}", clock=lambda: TimeMs(now_ms() + ahead_ms)
                )
            )
            for name in ("device", "peer")
        )
        befriend(device, peer)
        invites: list[Signed] = [sign(invite_from(peer, device), peer.key) for _ in range(2)]
        first, second = (verify(one, peer.key.public, type(invite_from(peer, device))).invite for one in invites)
        script = HubScript(peer, invites[:1])
        async with scripted_hub(port, script.play), Agent.open(device, control=False) as agent:
            await script.answer()
            assert set(agent._answering._joinings) == {first}
            ahead_ms = 60_000 + KEPT_AFTER_MS
            script.invites = invites[1:]
            await agent._link.refresh()
            await script.answer()
            assert set(agent._answering._joinings) == {second}
