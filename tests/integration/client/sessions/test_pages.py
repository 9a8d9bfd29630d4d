"""What does not fit into one reply of the hub: a member that was away reads the epochs behind its own page by page."""

import asyncio

import pytest
from tests.integration.client.conftest import WAIT_S, all_joined, befriend, settled
from tests.integration.hub.conftest import hub_settings, node, start_node

from muster_client import SessionRequest
from muster_client.connection.connection import HubConnection
from muster_client.sessions.joined import AttendedSession
from muster_hub.sessions import views
from muster_protocol.frames import EpochPush, Push

__all__ = ["hub_settings", "node", "start_node"]


async def test_a_member_follows_epochs_that_come_in_several_pages(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "EPOCHS_BYTES", 1)  # one epoch in each page
    laptop, nas, *others = (devices(name) for name in ("laptop", "nas", "phone", "tv", "desk"))
    befriend(laptop, nas, *others)
    caller, member, *_ = [await open_agent(one) for one in (laptop, nas, *others)]
    session = await caller.start_session(SessionRequest((nas.client,)))
    await settled(session)
    (held,) = member.sessions()
    await all_joined(held, laptop.client, nas.client)
    handle = member._pushes.handle

    async def without_epochs(connection: HubConnection, push: Push) -> None:
        if not isinstance(push, EpochPush):
            await handle(connection, push)

    with monkeypatch.context() as away:
        away.setattr(member._pushes, "handle", without_epochs)
        for newcomer in others:
            await session.invite([newcomer.client])
            await settled(session)
        assert (held.epoch, session.epoch) == (2, 5)
    resumed: list[AttendedSession] = []

    async def resume(one: AttendedSession) -> None:
        resumed.append(one)

    monkeypatch.setattr(AttendedSession, "resume", resume)
    updates = held.updates()
    await member._link.refresh()
    async with asyncio.timeout(WAIT_S):
        while held.epoch < session.epoch:
            await anext(updates)
    assert resumed == []
    await all_joined(session, *(one.client for one in (laptop, nas, *others)))
    assert held.export_key("app") == session.export_key("app")
