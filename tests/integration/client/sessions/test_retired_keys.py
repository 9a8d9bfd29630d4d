"""A device whose key changed between a call and its arrival: the creator is told at once, long before time is up."""

import asyncio

import pytest
from tests.integration.client.conftest import befriend, settled, until

from muster_client import Agent, SessionRequest
from muster_client.events import Invited, Progress
from muster_protocol.frames import Purpose
from muster_protocol.reasons import Reason, Sayer


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_the_creator_is_told_that_it_called_a_retired_key(
    make_device, open_agent, monkeypatch: pytest.MonkeyPatch, purpose: Purpose
) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    # They have met before: without the caller's card no invite of it could be verified.
    nas.peers.learn_card(laptop.card(), laptop.client)
    caller = await open_agent(laptop)
    async with Agent.open(nas) as called:
        await called.connected()
        # The invite arrives, and the process ends before it has handled it.
        monkeypatch.setattr(called._pushes, "handle", lambda *_: asyncio.Event().wait())
        session = await caller.start_session(SessionRequest((nas.client,), purpose=purpose))
        assert session.targets[nas.client].state is Progress.DELIVERED
    nas.rotate()
    await open_agent(nas)
    target = (await settled(session))[nas.client]
    assert (target.state, target.reason, target.sayer) == (Progress.REFUSED, Reason.KEY_MISMATCH, Sayer.HUB)


async def test_an_invite_that_waits_for_the_person_ends_with_the_key_that_it_names(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    caller, called = await open_agent(laptop), await open_agent(nas)
    events = called.events()
    session = await caller.start_session(SessionRequest((nas.client,), purpose=Purpose.ASK))
    waiting = (await until(events, Invited)).invite
    # A rotation, and the process goes on: it connects again with the new key.
    nas.rotate()
    await called._link.refresh()
    await called.decline(waiting.id)
    target = (await settled(session))[nas.client]
    assert (target.state, target.reason, target.sayer) == (Progress.REFUSED, Reason.KEY_MISMATCH, Sayer.HUB)
