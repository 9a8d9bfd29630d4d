"""Staying connected: to the hub that was pinned, and to no other."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs
from tests.integration.client.conftest import WAIT_S, HubProcess, befriend, free_port, settled, until
from tests.integration.client.scripted_hub import scripted_hub
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from muster_client import Agent, Device, Hub, SessionRequest
from muster_client.connection.hub import shown_hub_key
from muster_client.doctor import examine
from muster_client.errors import HubKeyChanged, HubRefused, HubUnreachable
from muster_client.events import (
    CloneSuspected,
    Connected,
    Disconnected,
    HubPinned,
    MembersChanged,
    PresenceChanged,
    Progress,
    Published,
    SessionJoined,
)
from muster_protocol.closes import CloseCode, NextTry, code_of
from muster_protocol.connect import PROTOCOL, HubHandshake
from muster_protocol.frames import Challenge, PresenceState
from muster_protocol.ids import Nonce, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer


@asynccontextmanager
async def impostor(port: int, key: SigningKey, reason: Reason = Reason.DEVICE_REVOKED) -> AsyncIterator[asyncio.Event]:
    """Somebody else's hub on this port: it refuses everybody for good, under its own key. Tells of its first visit."""
    visited = asyncio.Event()

    async def refuse(connection: ServerConnection) -> None:
        challenge = Challenge(
            nonce=Nonce(os.urandom(32)),
            hub_key=key.public,
            hub_rotations=(),
            protocol=PROTOCOL,
            at=TimeMs(0),
        )
        handshake = HubHandshake(key, challenge, frozenset({f"ws://127.0.0.1:{port}"}))
        await connection.send(handshake.message)
        visited.set()
        async for message in connection:
            assert isinstance(message, bytes)
            await connection.send(handshake.refused(message, reason, TimeMs(0)))
            await connection.close(code_of(reason))

    async with serve(refuse, "127.0.0.1", port, subprotocols=[Subprotocol("muster.v1")], compression=None):
        yield visited


async def test_an_agent_survives_its_hub_with_its_sessions(own_hub: HubProcess, make_device, open_agent) -> None:
    laptop, nas, desk = (make_device(name) for name in ("laptop", "nas", "desk"))
    befriend(laptop, nas, desk)
    agents = [await open_agent(device) for device in (laptop, nas, desk)]
    heard = [agent.events() for agent in agents]
    session = await agents[0].start_session(SessionRequest((nas.client,)))
    await until(heard[1], SessionJoined)
    await settled(session)
    key = session.export_key("app")
    own_hub.stop(signal.SIGKILL)
    for events in heard:
        await until(events, Disconnected)
    own_hub.start()
    for events in heard:
        await until(events, Connected)
    async with asyncio.timeout(WAIT_S):
        for agent in agents:
            await agent.connected()
    assert session.export_key("app") == key == agents[1].sessions()[0].export_key("app")
    await session.invite([desk.client])
    async with asyncio.timeout(WAIT_S):
        assert (await session.wait())[-1].state is Progress.JOINED
    await until(heard[1], MembersChanged, epoch=session.epoch)
    assert agents[1].sessions()[0].export_key("app") == session.export_key("app") != key


async def test_an_agent_waits_for_a_hub_that_is_away(own_hub: HubProcess, make_device) -> None:
    laptop = make_device("laptop")
    own_hub.stop()
    with pytest.raises(HubUnreachable):
        async with Hub.connect(laptop):
            pass
    async with Agent.open(laptop) as agent:
        events = agent.events()
        assert (await until(events, Disconnected)).cause == "unreachable"
        own_hub.start()
        assert (await until(events, HubPinned)).followed is False
        await until(events, Connected)


async def test_17_stop_needs_proof(own_hub: HubProcess, make_device) -> None:
    """Another hub on the port, with a key that was not pinned, ends no device's retries and gets no ``hello``."""
    laptop = make_device("laptop")
    async with Hub.connect(laptop) as hub:
        pinned = hub.fingerprint
        assert hub.newly_pinned
    own_hub.stop()
    other = SigningKey.from_secret(os.urandom(32))
    async with Agent.open(laptop) as agent:
        events = agent.events()
        async with impostor(own_hub.port, other) as visited:
            async with asyncio.timeout(WAIT_S):
                await visited.wait()
            assert (await until(events, Disconnected, reason=Reason.HUB_KEY_CHANGED)).cause == "hub_key_changed"
            with pytest.raises(HubKeyChanged) as caught:
                async with Hub.connect(laptop):
                    pass
            assert caught.value.shown == other.fingerprint == await shown_hub_key(laptop)
    assert laptop.pinned_hub == pinned
    own_hub.start()
    async with Hub.connect(laptop) as hub:
        assert (hub.fingerprint, hub.newly_pinned) == (pinned, False)


async def test_17_stop_needs_proof_also_before_any_hub_was_pinned(tmp_path: Path) -> None:
    port = free_port()
    key = SigningKey.from_secret(os.urandom(32))
    with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as laptop:
        async with impostor(port, key), Agent.open(laptop) as agent:
            events = agent.events()
            for _ in range(2):
                assert (await until(events, Disconnected)).reason is Reason.DEVICE_REVOKED
        assert laptop.pinned_hub is None


async def test_17_the_pinned_hub_ends_retries_with_its_signature(tmp_path: Path) -> None:
    port = free_port()
    key = SigningKey.from_secret(os.urandom(32))

    async def run(laptop: Device) -> None:
        async with Agent.open(laptop):
            await asyncio.Event().wait()

    with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as laptop:
        laptop.pin_hub(key.fingerprint)
        async with impostor(port, key), asyncio.timeout(WAIT_S):
            with pytest.raises(HubRefused) as caught:
                await run(laptop)
        assert caught.value.next_try is NextTry.NEVER
        assert caught.value.reason is Reason.DEVICE_REVOKED


@pytest.mark.parametrize("reason", [Reason.INCOMPATIBLE_PROTOCOL, Reason.KEY_MISMATCH, Reason.MALFORMED])
async def test_any_other_signed_refusal_is_tried_again_every_ten_minutes(tmp_path: Path, reason: Reason) -> None:
    port = free_port()
    key = SigningKey.from_secret(os.urandom(32))
    with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as laptop:
        laptop.pin_hub(key.fingerprint)
        async with impostor(port, key, reason), Agent.open(laptop) as agent:
            events = agent.events()
            gone = await until(events, Disconnected)
            assert (gone.cause, gone.reason) == ("refused", reason)
            assert 600 <= gone.retry_in_s <= 660
            drop = agent.status().last_drop
            assert drop is not None
            assert drop.sentence == gone.sentence
            findings = {one.check: one async for one in examine(laptop.path)}
            assert gone.sentence in findings["agent"].sentence
            # A person who repaired it need not wait.
            agent.notify()
            await until(events, Disconnected)


async def test_a_close_without_a_signature_stops_no_agent(tmp_path: Path) -> None:
    port = free_port()

    async def close(connection: ServerConnection) -> None:
        await connection.close(CloseCode.REVOKED)

    with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as laptop:
        async with scripted_hub(port, close), Agent.open(laptop) as agent:
            events = agent.events()
            for _ in range(2):
                await until(events, Connected)
                gone = await until(events, Disconnected)
                assert (gone.cause, gone.reason) == ("closed_4501", Reason.DEVICE_REVOKED)


async def test_a_copied_disk_is_noticed_and_the_older_copy_steps_back(make_device, open_agent, tmp_path: Path) -> None:
    laptop = make_device("laptop")
    async with Agent.open(laptop) as agent:
        await agent.connected()
    shutil.copytree(laptop.path, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
    first = await open_agent(laptop)
    events = first.events()
    with Device.open(tmp_path / "copy") as copy:
        async with Agent.open(copy) as second:
            heard = second.events()
            await until(heard, CloneSuspected)
            gone = await until(events, Disconnected)
            assert (gone.cause, gone.reason) == ("superseded", Reason.SUPERSEDED)
            await second.connected()
        async with Hub.connect(copy) as hub:
            assert hub.welcome.standing is Reason.CLONE_SUSPECTED
            await hub.clear_suspicion()
        async with Hub.connect(copy) as hub:
            assert hub.welcome.standing is None


async def test_a_device_that_comes_back_from_another_hub_is_no_copy(make_device) -> None:
    laptop = make_device("laptop")
    settings = laptop.settings
    for _ in range(2):
        async with Agent.open(laptop) as agent:
            await agent.connected()
        laptop.configure(structs.replace(settings, hub_urls=(f"ws://127.0.0.1:{free_port()}",)))
        laptop.configure(settings)
        async with Hub.connect(laptop) as hub:
            assert hub.welcome.standing is None
    async with Agent.open(laptop) as agent:
        assert (await until(agent.events(), Connected)).standing is None


async def test_a_running_agent_learns_that_its_person_confirmed_the_data(
    make_device, open_agent, tmp_path: Path
) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    async with Agent.open(laptop) as agent:
        await agent.connected()
    shutil.copytree(laptop.path, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
    async with Agent.open(laptop) as agent:
        await agent.connected()
    with Device.open(tmp_path / "copy") as copy:
        async with Agent.open(copy) as agent:
            await agent.connected()
            assert agent.status().standing is Reason.CLONE_SUSPECTED
            await open_agent(nas)
            suspended = await agent.start_session(SessionRequest((nas.client,)))
            target = suspended.targets[nas.client]
            assert (target.reason, target.sayer) == (Reason.CLONE_SUSPECTED, Sayer.HUB)
            events = agent.events()
            with Device.open(copy.path) as command_line:
                async with Hub.connect(command_line) as hub:
                    await hub.clear_suspicion()
            await until(events, Connected, standing=None)
            async with asyncio.timeout(WAIT_S):
                await agent.connected()
                session = await agent.start_session(SessionRequest((nas.client,)))
                assert (await session.wait())[0].state is Progress.JOINED


async def test_what_is_watched_is_watched_again_after_a_reconnect(own_hub: HubProcess, make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    agent = await open_agent(laptop)
    async with Hub.connect(nas):
        pass
    await agent.watch([nas.client])
    events = agent.events()
    own_hub.stop(signal.SIGKILL)
    own_hub.start()
    await until(events, PresenceChanged)
    await open_agent(nas)
    async with asyncio.timeout(WAIT_S):
        while (await until(events, PresenceChanged)).devices[0].state != "online":
            pass


async def test_18_continuity_an_agent_that_comes_and_goes_is_no_clone(make_device, own_hub: HubProcess) -> None:
    laptop = make_device("laptop")
    for round_ in range(4):
        async with Agent.open(laptop) as agent:
            await agent.connected()
            assert agent.status().standing is None
            async with Hub.connect(laptop) as hub:
                assert hub.welcome.standing is None
        if round_ == 1:
            own_hub.stop(signal.SIGKILL)
            own_hub.start()


async def test_statements_that_another_process_made_are_published(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    agent = await open_agent(laptop)
    events = agent.events()
    with Device.open(laptop.path) as command_line:
        command_line.peers.trust(nas.client, nas.fingerprint, "nas")
        await until(events, Published, kind=Kind.TRUST)
        command_line.peers.untrust(nas.client)
        agent.notify()
        await until(events, Published, kind=Kind.UNTRUST)
        assert command_line.unpublished() == []


async def test_13_authority_a_device_from_a_backup_does_not_bring_back_what_it_revoked(
    make_device, open_agent, tmp_path: Path
) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    async with Hub.connect(laptop):
        pass
    shutil.copytree(laptop.path, tmp_path / "backup")
    laptop.peers.untrust(nas.client)
    async with Hub.connect(laptop):
        pass
    await open_agent(nas)
    with Device.open(tmp_path / "backup") as restored:
        assert nas.client in restored.peers.pins()
        restored.peers.grant(nas.client)  # made after the restore, and before any hub was met
        async with Hub.connect(restored):
            assert restored.peers.pins() == {}
            assert [peer.grant for peer in restored.peers.all()] == [None] or restored.peers.all()[0].trusted is False


async def test_a_hub_that_forgot_a_device_is_told_all_its_statements(
    make_device: Callable[[str], Device], own_hub: HubProcess
) -> None:
    """A hub keeps what a device stated for some time only after it was last connected."""
    laptop, nas, sold = make_device("laptop"), make_device("nas"), make_device("sold")
    befriend(laptop, nas)
    befriend(laptop, sold)
    laptop.peers.grant(nas.client)
    laptop.peers.untrust(sold.client)
    async with Hub.connect(laptop), Hub.connect(nas):
        pass
    own_hub.stop()
    for each in own_hub.data.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != "hub.key":
            each.unlink()
    own_hub.start()
    async with Hub.connect(laptop) as hub, Hub.connect(nas):
        told = {(result.kind, result.peer) for result in hub.published if result.reason is None}
        assert {(Kind.TRUST, nas.client), (Kind.GRANT, nas.client), (Kind.UNTRUST, sold.client)} <= told
        assert laptop.unpublished() == []
        assert [one.state for one in await hub.who([nas.client])] == [PresenceState.ONLINE]


async def test_a_hub_from_a_backup_is_told_what_it_lost(
    make_device: Callable[[str], Device], own_hub: HubProcess, tmp_path: Path
) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    async with Hub.connect(laptop), Hub.connect(nas):
        pass
    own_hub.stop()
    shutil.copytree(own_hub.data, tmp_path / "hub-backup", ignore=shutil.ignore_patterns("*.sock"))
    own_hub.start()
    laptop.peers.untrust(nas.client)
    async with Hub.connect(laptop):
        pass
    own_hub.stop()
    shutil.rmtree(own_hub.data)
    shutil.copytree(tmp_path / "hub-backup", own_hub.data)
    own_hub.start()
    async with Hub.connect(laptop) as hub:
        assert Kind.UNTRUST in {result.kind for result in hub.published if result.reason is None}
        assert laptop.unpublished() == []
