"""Sessions whose members change: newcomers, and those who left."""

from tests.integration.client.conftest import all_joined, befriend, settled, until

from muster_client import SessionRequest
from muster_client.events import MembersChanged, Progress
from muster_protocol.frames import MemberState


async def test_a_session_can_grow_and_its_key_changes(make_device, open_agent) -> None:
    laptop, nas, desk = (make_device(name) for name in ("laptop", "nas", "desk"))
    befriend(laptop, nas, desk)
    agents = [await open_agent(device) for device in (laptop, nas, desk)]
    session = await agents[0].start_session(SessionRequest((nas.client,)))
    await settled(session)
    before, epoch = session.export_key("app"), session.epoch
    await session.invite([desk.client])
    await settled(session)
    assert session.epoch == epoch + 1
    await all_joined(agents[1].sessions()[0], desk.client, nas.client, laptop.client)
    assert {agent.sessions()[0].export_key("app") for agent in agents} == {session.export_key("app")} != {before}


async def test_a_session_grows_without_those_who_left(make_device, open_agent) -> None:
    laptop, nas, desk, tablet = (make_device(name) for name in ("laptop", "nas", "desk", "tablet"))
    befriend(laptop, nas, desk, tablet)
    agents = [await open_agent(device) for device in (laptop, nas, desk, tablet)]
    session = await agents[0].start_session(SessionRequest((nas.client, desk.client)))
    await settled(session)
    mine = agents[0].events()
    await agents[1].sessions()[0].leave()
    await until(mine, MembersChanged)
    await session.invite([tablet.client])
    assert {target.state for target in (await settled(session)).values()} == {Progress.JOINED}
    await all_joined(agents[2].sessions()[0], laptop.client, desk.client, tablet.client)
    keys = {agent.sessions()[0].export_key("app") for agent in (agents[0], agents[2], agents[3])}
    assert keys == {session.export_key("app")}
    members = {member.client: member.state for member in agents[2].sessions()[0].members}
    assert members.get(nas.client, MemberState.OUT) is MemberState.OUT
