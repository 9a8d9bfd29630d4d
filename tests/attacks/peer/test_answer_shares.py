"""A trusted peer whose invites are to take up what a device keeps for those of its other peers."""

import asyncio

import pytest
from tests.integration.client.conftest import WAIT_S, befriend, devices, open_agent, settled, until
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor

from muster_client import SessionRequest
from muster_client import agent as agents
from muster_client.connection import tries
from muster_client.device.invites import JOINED, MAX_INBOX_PER_SENDER
from muster_client.events import Disconnected, InviteAnswered, Invited, Progress
from muster_client.sessions import joinings
from muster_client.sessions.answering import Asked, Policy
from muster_hub.store import keys
from muster_protocol.cards import Mode
from muster_protocol.frames import AnswerPush, InviteResults, Purpose, SendInvites
from muster_protocol.inviting import Inviting
from muster_protocol.reasons import Reason

__all__ = ["devices", "open_agent"]


async def test_one_peer_cannot_take_the_person_of_a_device_away_from_others(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster_client.device.invites.MAX_INBOX", MAX_INBOX_PER_SENDER + 1)
    peer, honest, called = devices("peer"), devices("honest"), devices("called")
    befriend(peer, called, granted=False)
    befriend(honest, called, granted=False)
    attacker, caller, agent = await open_agent(peer), await open_agent(honest), await open_agent(called)
    events = agent.events()
    request = SessionRequest((called.client,), purpose=Purpose.ASK)
    for _ in range(MAX_INBOX_PER_SENDER):
        await attacker.start_session(request)
        await until(events, Invited)
    await attacker.start_session(request)
    assert (await until(events, InviteAnswered)).reason is Reason.DECLINED
    session = await caller.start_session(request)
    assert (await until(events, Invited)).invite.session == session.id
    assert len(agent.inbox()) == MAX_INBOX_PER_SENDER + 1


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_one_peer_cannot_drive_out_what_a_device_answered_to_others(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch, purpose: Purpose
) -> None:
    """The device says yes to all that is automatic, and no to all that asks its person."""
    monkeypatch.setattr(joinings, "MAX_JOININGS", 3)
    peer, honest, called = devices("peer"), devices("honest"), devices("called")
    befriend(peer, called)
    befriend(honest, called)
    attacker, caller = await open_agent(peer), await open_agent(honest)
    agent = await open_agent(called, policy=Policy(asked=Asked.REFUSE))
    events = agent.events()
    with monkeypatch.context() as waiting:
        waiting.setattr(Inviting, "admit", lambda *_: None)
        session = await caller.start_session(SessionRequest((called.client,)))
        await until(events, InviteAnswered, session=session.id, reason=None)
        [invite] = agent._answering._joinings
        for _ in range(4):
            other = await attacker.start_session(SessionRequest((called.client,), purpose=purpose))
            await until(events, InviteAnswered, session=other.id)
    session._wake.set()
    assert (await settled(session))[called.client].state is Progress.JOINED
    assert called.invites.get(invite).outcome == JOINED, "by its first answer, and not because it was called once more"


async def test_a_creator_whose_inbox_is_full_keeps_no_answer_from_another_one(
    node, devices, open_agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit waits at the device, which sends it again without a new connection once there is room.

    No other call waits for that meanwhile.
    """
    monkeypatch.setattr(tries, "MIN_PAUSE_S", WAIT_S * 2)
    monkeypatch.setattr(tries, "MAX_WAIT_S", WAIT_S * 4)
    monkeypatch.setattr(agents, "DUE_EVERY_S", 0.05)
    called, honest, peer = devices("called"), devices("honest"), SigningDevice()
    befriend(honest, called)
    called.peers.trust(peer.client, peer.fingerprint, "peer")
    called.peers.grant(peer.client, mode=Mode.SYNCHRONIZE)
    calls = keys.MAX_INBOX_PER_SENDER + 2
    async with peer.connect(node.url) as line:
        attacker = Actor(peer, line)
        await attacker.say(peer.trust(called), peer.grant(called))
        caller, agent = await open_agent(honest), await open_agent(called)
        events = agent.events()
        for _ in range(calls):
            await attacker.create()
            request = SendInvites(id=0, session=attacker.session, invites=(attacker.invite(called),))
            [result] = (await attacker.ask(request, InviteResults)).results
            assert result.reason is None
            await until(events, InviteAnswered, session=attacker.session)
        session = await caller.start_session(SessionRequest((called.client,)))
        assert (await settled(session))[called.client].state is Progress.JOINED
        answers = [await attacker.next_push(AnswerPush) for _ in range(calls)]
    assert len({push.answer for push in answers}) == calls
    assert not any(isinstance(event, Disconnected) for event in events._waiting)


async def test_no_failure_to_send_what_waits_ends_an_agent(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a peer may cause there: the sessions with others go on, and it is tried again."""
    monkeypatch.setattr(agents, "DUE_EVERY_S", 0.01)
    caller, called = devices("caller"), devices("called")
    befriend(caller, called)
    agent, calling = await open_agent(called), await open_agent(caller)
    tried_again = asyncio.Event()

    async def fail() -> None:
        if failed:
            tried_again.set()
        failed.append(True)
        raise RecursionError

    failed: list[bool] = []
    monkeypatch.setattr(agent._answering, "flush", fail)
    async with asyncio.timeout(WAIT_S):
        await tried_again.wait()
    session = await calling.start_session(SessionRequest((called.client,)))
    assert (await settled(session))[called.client].state is Progress.JOINED
