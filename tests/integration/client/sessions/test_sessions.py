"""Calling devices into sessions: agents over a real hub."""

import asyncio

import pytest
from tests.integration.client.conftest import WAIT_S, all_joined, befriend, settled, until

from muster_client import Agent, Asked, Hub, Policy, SessionRequest
from muster_client.cli.agent.on_session import environment
from muster_client.errors import AgentRunning, InvalidRequest, NotTrusted, UnknownInvite, UnknownSession
from muster_client.events import (
    InviteAnswered,
    Invited,
    InviteEnded,
    MembersChanged,
    Progress,
    SessionEnded,
    SessionJoined,
)
from muster_client.sessions.session import Session
from muster_protocol.cards import Mode
from muster_protocol.frames import MAX_MEMBERS, MemberState, Purpose, SessionKind
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason, Sayer


async def test_granted_devices_join_by_themselves_and_hold_one_key(make_device, open_agent) -> None:
    laptop, nas, desk = (make_device(name) for name in ("laptop", "nas", "desk"))
    befriend(laptop, nas, desk)
    ran: list[tuple[str, str]] = []

    async def on_session(session: Session) -> None:
        ran.append((session.id, session.export_key("test").hex()))

    agents = [await open_agent(device, on_session=on_session) for device in (laptop, nas, desk)]
    heard = [agent.events() for agent in agents]
    session = await agents[0].start_session(
        SessionRequest((nas.client, desk.client), mode=Mode.INVENTORY, profile="home")
    )
    targets = await settled(session)
    assert {target.state for target in targets.values()} == {Progress.JOINED}
    for events in heard:
        await until(events, SessionJoined, session=session.id, mode=Mode.INVENTORY, profile="home")
    for agent in agents:
        (held,) = agent.sessions()
        await all_joined(held, laptop.client, nas.client, desk.client)
    keys = {agent.sessions()[0].export_key("app", 64) for agent in agents}
    assert len(keys) == 1
    assert keys != {session.export_key("other", 64)}
    assert len(ran) == 3
    assert environment(session)["MUSTER_MEMBERS"].split() == [member.client for member in session.members]


async def test_a_full_mesh_joins_at_once(make_device, open_agent) -> None:
    devices = [make_device(f"device-{number}") for number in range(MAX_MEMBERS)]
    befriend(*devices)
    agents = [await open_agent(device) for device in devices]
    session = await agents[0].start_session(SessionRequest(tuple(device.client for device in devices[1:])))
    assert {target.state for target in (await settled(session)).values()} == {Progress.JOINED}
    assert len(session.members) == MAX_MEMBERS
    for agent in agents:
        await all_joined(agent.sessions()[0], *(device.client for device in devices))
    assert len({agent.sessions()[0].export_key("app") for agent in agents}) == 1


async def test_in_a_star_members_need_not_know_each_other(make_device, open_agent) -> None:
    laptop, nas, desk = (make_device(name) for name in ("laptop", "nas", "desk"))
    befriend(laptop, nas)
    befriend(laptop, desk)
    agents = [await open_agent(device) for device in (laptop, nas, desk)]
    session = await agents[0].start_session(SessionRequest((nas.client, desk.client), kind=SessionKind.STAR))
    assert {target.state for target in (await settled(session)).values()} == {Progress.JOINED}
    await asyncio.gather(*(all_joined(agent.sessions()[0], laptop.client) for agent in agents))
    mesh = await agents[0].start_session(SessionRequest((nas.client, desk.client), kind=SessionKind.MESH))
    states = await settled(mesh)
    assert sorted(target.state for target in states.values()) == [Progress.JOINED, Progress.REFUSED]
    assert Reason.NOT_MUTUALLY_TRUSTED in {target.reason for target in states.values()}


async def test_a_person_is_asked_and_accepts_or_declines(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas, granted=False)
    caller, called = await open_agent(laptop), await open_agent(nas)
    events = called.events()
    session = await caller.start_session(SessionRequest((nas.client,), purpose=Purpose.ASK))
    invite = (await until(events, Invited)).invite
    assert called.inbox() == (invite,)
    assert session.targets[nas.client].state is Progress.DELIVERED
    with pytest.raises(UnknownInvite):
        await called.accept("ffff" + invite.id[4:])
    await called.accept(str(invite.number))
    assert (await settled(session))[nas.client].state is Progress.JOINED
    assert called.inbox() == ()

    second = await caller.start_session(SessionRequest((nas.client,), purpose=Purpose.ASK))
    await called.decline((await until(events, Invited)).invite.id)
    target = (await settled(second))[nas.client]
    assert (target.state, target.reason, target.sayer) == (Progress.REFUSED, Reason.DECLINED, Sayer.PEER)


async def test_a_policy_answers_for_the_person(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    caller = await open_agent(laptop)
    await open_agent(nas, policy=Policy(asked=Asked.REFUSE, auto=False))
    for purpose in Purpose:
        session = await caller.start_session(SessionRequest((nas.client,), purpose=purpose))
        target = (await settled(session))[nas.client]
        assert (target.reason, target.sayer) == (Reason.DECLINED, Sayer.PEER)


async def test_an_invite_that_was_withdrawn_leaves_the_inbox(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas, granted=False)
    caller, called = await open_agent(laptop), await open_agent(nas)
    events = called.events()
    session = await caller.start_session(SessionRequest((nas.client,), purpose=Purpose.ASK))
    invite = (await until(events, Invited)).invite
    await session.cancel()
    assert session.targets[nas.client].reason is Reason.CANCELLED
    await until(events, InviteEnded, id=invite.id, reason=Reason.CANCELLED)
    assert called.inbox() == ()


async def test_22_provenance_each_refusal_says_whose_word_it_is(make_device, open_agent) -> None:
    laptop, away, ungranted, ungranting = (make_device(name) for name in ("laptop", "away", "ungranted", "ungranting"))
    for other in (away, ungranted, ungranting):
        befriend(laptop, other)
    laptop.peers.revoke(ungranted.client)
    ungranting.peers.revoke(laptop.client)
    caller = await open_agent(laptop)
    await open_agent(ungranted)
    await open_agent(ungranting)
    async with Hub.connect(away):
        pass  # it has published its statements, and is gone
    session = await caller.start_session(
        SessionRequest((away.client, ungranted.client, ungranting.client), kind=SessionKind.STAR)
    )
    said = {client: (target.reason, target.sayer) for client, target in (await settled(session)).items()}
    assert said == {
        away.client: (Reason.OFFLINE, Sayer.HUB),
        ungranted.client: (Reason.GRANT_REVOKED, Sayer.DEVICE),
        ungranting.client: (Reason.GRANT_REVOKED, Sayer.HUB),
    }


async def test_26_one_use_joins_once(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas, granted=False)
    laptop.peers.grant(nas.client)
    nas.peers.grant(laptop.client, once=True)
    caller = await open_agent(laptop)
    await open_agent(nas)
    first = await caller.start_session(SessionRequest((nas.client,)))
    assert (await settled(first))[nas.client].state is Progress.JOINED
    second = await caller.start_session(SessionRequest((nas.client,)))
    assert (await settled(second))[nas.client].reason is Reason.GRANT_USED


async def test_nothing_is_created_where_somebody_is_not_trusted(make_device, open_agent) -> None:
    laptop, nas, stranger = (make_device(name) for name in ("laptop", "nas", "stranger"))
    befriend(laptop, nas)
    caller = await open_agent(laptop)
    await open_agent(nas)
    with pytest.raises(NotTrusted) as caught:
        await caller.start_session(SessionRequest((nas.client, stranger.client)))
    (obstacle,) = caught.value.obstacles
    assert (obstacle.peer, obstacle.reason, obstacle.sayer) == (stranger.client, Reason.NOT_TRUSTED, Sayer.DEVICE)
    async with Hub.connect(laptop) as hub:
        assert await hub.sessions() == ()


async def test_a_wrong_request_is_refused_before_any_device_is_called(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    caller = await open_agent(laptop)
    wrong = {
        Reason.EMPTY_TARGETS: [],
        Reason.SELF_TARGET: [laptop.client],
        Reason.DUPLICATE_TARGET: [nas.client, nas.client],
        Reason.TOO_MANY_TARGETS: [nas.client] * 16,
        Reason.MALFORMED: [ClientId("nas")],
    }
    for reason, targets in wrong.items():
        with pytest.raises(InvalidRequest) as caught:
            await caller.start_session(SessionRequest(tuple(targets)))
        assert caught.value.reason is reason
    for options in ({"profile": "No Good"}, {"lasts_ms": 0}, {"lasts_ms": 8 * 24 * 3600 * 1000}):
        with pytest.raises(InvalidRequest, match="malformed"):
            await caller.start_session(SessionRequest((nas.client,), **options))


async def test_leaving_and_closing(make_device, open_agent) -> None:
    laptop, nas, desk = (make_device(name) for name in ("laptop", "nas", "desk"))
    befriend(laptop, nas, desk)
    agents = [await open_agent(device) for device in (laptop, nas, desk)]
    session = await agents[0].start_session(SessionRequest((nas.client, desk.client)))
    await settled(session)
    await all_joined(agents[2].sessions()[0], laptop.client, nas.client, desk.client)
    mine = agents[0].events()
    last = agents[2].events()
    await agents[1].sessions()[0].leave()
    assert agents[1].sessions() == ()
    for events in (mine, last):
        changed = await until(events, MembersChanged)
        assert {member.client for member in changed.members if member.state is MemberState.OUT} == {nas.client}
    with pytest.raises(UnknownSession):
        await agents[2].sessions()[0].close()
    await session.close()
    ended = await until(last, SessionEnded, session=session.id)
    assert (ended.reason, ended.sayer) == (Reason.SESSION_CLOSED, Sayer.HUB)
    assert agents[0].sessions() == agents[2].sessions() == ()


async def test_a_member_whose_process_is_new_is_admitted_again(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    caller = await open_agent(laptop)
    async with Agent.open(nas) as first:
        await first.connected()
        session = await caller.start_session(SessionRequest((nas.client,)))
        await settled(session)
        epoch = session.epoch
    updates = session.updates()
    again = await open_agent(nas)
    if not again.sessions():
        await until(again.events(), SessionJoined, session=session.id)
    (held,) = again.sessions()
    await all_joined(held, laptop.client, nas.client)
    async with asyncio.timeout(WAIT_S):
        while session.epoch == epoch:  # the hub's reply to the creator may come behind
            await anext(updates)
    assert held.export_key("app") == session.export_key("app")


async def test_a_member_whose_process_ends_right_after_its_answer_is_called_once_more(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    caller = await open_agent(laptop)
    async with Agent.open(nas) as first:
        await first.connected()
        session = await caller.start_session(SessionRequest((nas.client,)))
        updates = session.updates()
        async with asyncio.timeout(WAIT_S):
            while session.targets[nas.client].state not in {Progress.ACCEPTED, Progress.JOINED}:
                await anext(updates)
    again = await open_agent(nas)
    events = again.events()
    if not again.sessions():
        await until(events, SessionJoined, session=session.id)
    async with asyncio.timeout(WAIT_S):
        while again.sessions()[0].epoch != session.epoch or session.targets[nas.client].state is not Progress.JOINED:
            await anext(updates)
    assert again.sessions()[0].export_key("app") == session.export_key("app")


async def test_2_injectivity_an_invite_that_comes_again_has_the_same_answer(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas, granted=False)
    laptop.peers.grant(nas.client)
    nas.peers.grant(laptop.client, once=True)
    caller, called = await open_agent(laptop), await open_agent(nas)
    events = called.events()
    session = await caller.start_session(SessionRequest((nas.client,)))
    await settled(session)
    await until(events, SessionJoined)
    epoch = session.epoch
    [invite] = called._answering._joinings
    given = called._answering._joinings.get(invite)
    assert given is not None
    remembered = nas.invites.get(invite)
    assert remembered is not None
    answer = given.answer
    await called._answering.on_invite(remembered.signed)
    assert list(called._answering._joinings) == [invite]
    assert called._answering._joinings.get(invite) is given
    assert given.answer == answer
    assert session.targets[nas.client].state is Progress.JOINED
    assert (session.epoch, called.sessions()[0].epoch) == (epoch, epoch)


async def test_a_session_whose_creator_lost_its_key_is_closed(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    called = await open_agent(nas)
    events = called.events()
    async with Agent.open(laptop) as first:
        await first.connected()
        session = await first.start_session(SessionRequest((nas.client,)))
        await settled(session)
        await until(events, SessionJoined, session=session.id)
    await open_agent(laptop)
    await until(events, SessionEnded, session=session.id, reason=Reason.SESSION_CLOSED)


async def test_a_failing_callback_takes_nothing_down(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)

    async def on_session(_: Session) -> None:
        raise RuntimeError("the application's own fault")

    caller = await open_agent(laptop, on_session=on_session)
    await open_agent(nas, on_session=on_session)
    for _ in range(2):
        session = await caller.start_session(SessionRequest((nas.client,)))
        assert (await settled(session))[nas.client].state is Progress.JOINED


async def test_no_task_survives_the_agent_however_it_ends(make_device) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    started = asyncio.Event()

    async def on_session(_: Session) -> None:
        started.set()
        await asyncio.Event().wait()

    async def fail() -> None:
        async with Agent.open(laptop, on_session=on_session) as caller, Agent.open(nas, on_session=on_session) as other:
            await asyncio.gather(caller.connected(), other.connected())
            await caller.start_session(SessionRequest((nas.client,)))
            await started.wait()
            raise ZeroDivisionError

    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        await fail()
    assert asyncio.all_tasks() == before

    async def run() -> None:
        async with Agent.open(laptop) as agent:
            await agent.connected()
            started.set()
            await asyncio.Event().wait()

    started.clear()
    task = asyncio.create_task(run())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    assert not (laptop.path / "agent.sock").exists()


async def test_a_device_has_one_agent(make_device, open_agent) -> None:
    laptop = make_device("laptop")
    await open_agent(laptop)
    with pytest.raises(AgentRunning):
        async with Agent.open(laptop.path):
            pass


async def test_13_authority_a_grant_that_ended_here_is_refused_here(make_device, open_agent) -> None:
    """The hub never heard of the revocation; this device decides by its own store."""
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    caller, called = await open_agent(laptop), await open_agent(nas)
    events = called.events()
    # Written and marked as acknowledged behind the agent's back, as if the hub had withheld it.
    revocation = nas.peers.revoke(laptop.client)
    for held in nas.unpublished():
        nas.acknowledged(held.version)
    assert revocation is not None
    session = await caller.start_session(SessionRequest((nas.client,)))
    target = (await settled(session))[nas.client]
    assert (target.reason, target.sayer) == (Reason.GRANT_REVOKED, Sayer.PEER)
    assert (await until(events, InviteAnswered)).reason is Reason.GRANT_REVOKED


async def test_who_and_watch(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    agent = await open_agent(laptop)
    await open_agent(nas)
    (presence,) = await agent.who([nas.client])
    assert presence.state == "online"
    async with Hub.connect(laptop) as hub:
        assert (await anext(hub.watch([nas.client])))[0].client == nas.client
        assert (
            await hub.why(laptop.client, nas.client, mode=Mode.JOIN, profile=None, purpose=Purpose.AUTO)
        ).reason is None
