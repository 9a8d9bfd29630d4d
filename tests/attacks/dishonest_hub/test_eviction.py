"""A hub that wants a member out of a session: it says so in every way that it has, and the creator keeps the member.

The hub is a real node that refuses epochs and reports members as out; the devices are the product's own agents.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.integration.client.conftest import WAIT_S, all_joined, befriend, devices, open_agent, settled, until

from muster_client import Agent, Device, SessionRequest
from muster_client.events import Invited, Progress, SessionUpdate, Stream
from muster_client.sessions.hosted import HostedSession
from muster_client.sessions.session import Session
from muster_hub.node.node import Node
from muster_hub.sessions.commit import EpochFacts, read_epoch_facts
from muster_protocol.frames import InviteResult, MemberState, SessionUpdatePush
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason

__all__ = ["devices", "open_agent"]

Denied = list[ClientId]


@pytest.fixture
def denied(node: Node, monkeypatch: pytest.MonkeyPatch) -> Denied:
    """The members whose epochs the hub refuses, naming them; while the list is empty the hub is honest."""
    found: Denied = []

    async def denying(*given: Any) -> EpochFacts:
        named = tuple(InviteResult(client, Reason.NOT_A_MEMBER) for client in found)
        return EpochFacts(rejected=named) if named else await read_epoch_facts(*given)

    monkeypatch.setattr("muster_hub.sessions.joins.read_epoch_facts", denying)
    return found


async def session_of_two(devices: Any, open_agent: Any) -> tuple[Session, Agent, Device, Device, Device]:
    """Return the creator's session with the nas, the nas's agent, and the three devices."""
    laptop, nas, phone = devices("laptop"), devices("nas"), devices("phone")
    befriend(laptop, nas, phone)
    caller, member, _ = await open_agent(laptop), await open_agent(nas), await open_agent(phone)
    session = await caller.start_session(SessionRequest((nas.client,)))
    await all_joined(session, laptop.client, nas.client)
    return session, member, laptop, nas, phone


async def blocked_by(session: Session, updates: Stream[SessionUpdate], member: Device) -> None:
    async with asyncio.timeout(WAIT_S):
        while not any(one.client == member.client and one.blocks for one in session.members):
            await anext(updates)


async def test_a_member_that_the_hub_denies_is_kept_until_the_hub_takes_it(devices, open_agent, denied) -> None:
    session, member, laptop, nas, phone = await session_of_two(devices, open_agent)
    (at_member,) = member.sessions()
    updates = session.updates()
    denied.append(nas.client)
    await session.invite((phone.client,))
    await blocked_by(session, updates, nas)
    assert session.epoch == at_member.epoch == 2
    assert session.targets[nas.client].state is Progress.JOINED
    assert session.targets[phone.client].state is Progress.ACCEPTED
    assert session.export_key("test") == at_member.export_key("test")
    denied.clear()
    assert (await settled(session))[phone.client].state is Progress.JOINED
    assert {one.client: one.blocks for one in session.members} == dict.fromkeys(
        (laptop.client, nas.client, phone.client), False
    )
    await all_joined(at_member, laptop.client, nas.client, phone.client)
    assert session.export_key("test") == at_member.export_key("test")


async def test_the_creators_own_untrust_ends_the_wait(devices, open_agent, denied) -> None:
    session, _, laptop, nas, phone = await session_of_two(devices, open_agent)
    updates = session.updates()
    denied.append(nas.client)
    await session.invite((phone.client,))
    await blocked_by(session, updates, nas)
    denied.clear()
    laptop.peers.untrust(nas.client)
    assert (await settled(session))[phone.client].state is Progress.JOINED
    assert {one.client for one in session.members} == {laptop.client, phone.client}
    assert (session.targets[nas.client].state, session.targets[nas.client].reason) == (
        Progress.REFUSED,
        Reason.NOT_TRUSTED,
    )


@pytest.mark.parametrize("reason", [Reason.NOT_TRUSTED, Reason.JOIN_FAILED, Reason.KEY_MISMATCH, None])
async def test_a_member_that_the_hub_reports_as_out_is_in_the_next_epoch(devices, open_agent, reason) -> None:
    session, member, laptop, nas, phone = await session_of_two(devices, open_agent)
    assert isinstance(session, HostedSession)
    (at_member,) = member.sessions()
    session.on_update(SessionUpdatePush(session=session.id, client=nas.client, state=MemberState.OUT, reason=reason))
    await session.invite((phone.client,))
    assert (await settled(session))[phone.client].state is Progress.JOINED
    await all_joined(at_member, laptop.client, nas.client, phone.client)
    assert at_member.epoch == session.epoch == 3


async def begin(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    """Start the command line of a device as a process, which a signal can end."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "muster_client.cli", *arguments),
        env={**os.environ, "MUSTER_DATA_DIR": str(folder)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_start_that_waits_says_which_member_blocks_and_what_to_do(devices, open_agent, denied) -> None:
    laptop, nas, phone = devices("laptop"), devices("nas"), devices("phone")
    befriend(laptop, nas, phone)
    caller = await open_agent(laptop)
    members = [await open_agent(each) for each in (nas, phone)]
    streams = [each.events() for each in members]
    command = await begin(laptop.path, "session", "start", "nas", "phone", "--ask", "--wait", "--json")
    invites = [(await until(stream, Invited)).invite for stream in streams]
    (session,) = caller.sessions()
    updates = session.updates()
    await members[0].accept(invites[0].id)
    await all_joined(session, laptop.client, nas.client)
    denied.append(nas.client)
    await members[1].accept(invites[1].id)
    await blocked_by(session, updates, nas)
    assert command.stderr is not None
    async with asyncio.timeout(WAIT_S):
        said = (await command.stderr.readline()) + (await command.stderr.readline())
        command.send_signal(signal.SIGINT)
        out, _ = await command.communicate()
    assert b"the hub says that nas is no member" in said
    assert b"muster trust remove nas" in said
    (blocking,) = msgspec.json.decode(out)["blocking"]
    assert (blocking["nickname"], blocking["client"]) == ("nas", nas.client)
    assert "muster trust remove nas" in blocking["next_step"]
