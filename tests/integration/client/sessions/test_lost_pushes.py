"""What a hub's nodes could not say to each other: an agent that hears ``changed`` reads it (SPEC.md section 3.2)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.client.conftest import WAIT_S, HubProcess, all_joined, befriend, free_port, settled, until

from muster_client import Agent, Device, Hub, SessionRequest
from muster_client.events import (
    Disconnected,
    InviteAnswered,
    MembersChanged,
    Progress,
    SessionEnded,
)
from muster_client.sessions.session import Session
from muster_hub.store.urls import parse
from muster_hub.store.wire import Wire
from muster_protocol.frames import MemberState
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason, Sayer

MakeDevice = Callable[[str, HubProcess], Device]


@pytest.fixture
def nodes(tmp_path: Path, store_url: str) -> Iterator[tuple[HubProcess, HubProcess]]:
    """Two nodes of one hub."""
    with ExitStack() as stack:
        options = ("--store", store_url, "--key-file", str(tmp_path / "hub.key"))
        near, far = (HubProcess(tmp_path / name, free_port(), *options) for name in ("near", "far"))
        for node in (near, far):
            stack.callback(node.stop)
            node.start()
        yield near, far


@pytest.fixture
def make_device_at(tmp_path: Path) -> Iterator[MakeDevice]:
    with ExitStack() as stack:
        yield lambda name, node: stack.enter_context(Device.create(tmp_path / name, hub_url=node.url))


@asynccontextmanager
async def silent_bus(store_url: str) -> AsyncIterator[None]:
    """Let the store carry nothing from node to node, while all else works."""
    store = Wire(parse(store_url))
    await store.connect()
    await store.ask(b"ACL", b"SETUSER", b"default", b"resetchannels")
    try:
        yield
    finally:
        await store.ask(b"ACL", b"SETUSER", b"default", b"allchannels")
        await store.close()


def shown(session: Session) -> dict[ClientId, MemberState]:
    return {member.client: member.state for member in session.members}


async def until_shown(session: Session, expected: dict[ClientId, MemberState]) -> None:
    updates = session.updates()
    async with asyncio.timeout(WAIT_S):
        while shown(session) != expected:
            await anext(updates)


async def test_an_agent_that_receives_changed_catches_up(nodes, store_url, make_device_at, open_agent) -> None:
    near, far = nodes
    laptop, phone, tv, screen = (make_device_at(name, near) for name in ("laptop", "phone", "tv", "screen"))
    nas, desk = (make_device_at(name, far) for name in ("nas", "desk"))
    befriend(laptop, phone, tv, screen, nas, desk)
    caller, *_, member, leaver = [await open_agent(one) for one in (laptop, phone, tv, screen, nas, desk)]
    session = await caller.start_session(SessionRequest((nas.client, desk.client)))
    await settled(session)
    (held,), (left,) = member.sessions(), leaver.sessions()
    for one in (session, held, left):
        await all_joined(one, laptop.client, nas.client, desk.client)
    drops = [agent.events() for agent in (caller, member)]
    events = member.events()
    joined = dict.fromkeys((one.client for one in (laptop, phone, tv, nas)), MemberState.JOINED)
    async with silent_bus(store_url):
        for newcomer in (phone, tv):
            await session.invite([newcomer.client])
            await settled(session)
        await left.leave()
        # Two epochs and their ``joined`` on one side, a ``leave`` on the other.
        await until_shown(session, {**joined, desk.client: MemberState.OUT})
        await until_shown(held, {**joined, desk.client: MemberState.OUT})
        assert held.export_key("app") == session.export_key("app")
        # The creator goes on from what it read: the next epoch is without the members that left.
        await session.invite([screen.client])
        await settled(session)
        await until_shown(held, {**joined, screen.client: MemberState.JOINED})
        assert held.export_key("app") == session.export_key("app")
        await session.close()
        await until(events, SessionEnded, session=session.id, reason=Reason.SESSION_CLOSED, sayer=Sayer.HUB)
    for one in drops:
        assert not any(isinstance(event, Disconnected) for event in one._waiting), "no reconnect did it"


async def test_an_agent_that_receives_changed_reads_who_was_taken_out(
    nodes, store_url, make_device_at, open_agent
) -> None:
    near, far = nodes
    laptop, nas = make_device_at("laptop", near), make_device_at("nas", far)
    befriend(laptop, nas)
    caller = await open_agent(laptop)
    async with silent_bus(store_url):
        async with Agent.open(nas) as called:
            await called.connected()
            answered = called.events()
            session = await caller.start_session(SessionRequest((nas.client,)))
            updates = session.updates()
            await until(answered, InviteAnswered)
            async with asyncio.timeout(WAIT_S):
                # Nothing tells that the hub has the answer.
                while called._answering._joinings.unsent():  # noqa: ASYNC110
                    await asyncio.sleep(0)
        await until(updates, MembersChanged, epoch=2)
        nas.peers.untrust(laptop.client)
        async with Hub.connect(nas):
            pass  # it has published that, and is gone
        target = (await settled(session))[nas.client]
    assert (target.state, target.reason, target.sayer) == (Progress.REFUSED, Reason.NOT_TRUSTED, Sayer.HUB)
