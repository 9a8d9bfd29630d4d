"""A hub that ignores what devices took back: the devices' own agents act by their own stores.

The hub is a real node that takes every ``untrust`` and ``revocation``, answers ``ok`` and changes nothing.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.client.conftest import WAIT_S, all_joined, befriend, devices_in, open_agent, settled, until

from muster_client import Device, SessionRequest
from muster_client import agent as agents
from muster_client.connection.link import Link
from muster_client.events import Invited, Progress, SessionEnded
from muster_hub.governance import statements
from muster_hub.governance.peer_statements import put_peer_statement
from muster_hub.node.node import Node
from muster_protocol.errors import Refused
from muster_protocol.frames import Admit, MemberState, Purpose
from muster_protocol.ids import Fingerprint
from muster_protocol.joining import Joining
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer

__all__ = ["open_agent"]


@pytest.fixture
def devices(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Device]]:
    """Devices of a hub that ignores each untrust and revocation."""

    async def ignoring(context: Any, caller: Any, kind: Kind, signed: Any) -> None:
        if kind not in {Kind.UNTRUST, Kind.REVOCATION}:
            await put_peer_statement(context, caller, kind, signed)

    monkeypatch.setattr(statements, "put_peer_statement", ignoring)
    with devices_in(tmp_path, node.url) as create:
        yield create


async def test_a_member_that_is_not_trusted_any_more_gets_no_later_key(devices, open_agent) -> None:
    laptop, nas, phone = devices("laptop"), devices("nas"), devices("phone")
    befriend(laptop, nas, phone)
    caller, former, _ = await open_agent(laptop), await open_agent(nas), await open_agent(phone)
    session = await caller.start_session(SessionRequest((nas.client,)))
    await all_joined(session, laptop.client, nas.client)
    (at_former,) = former.sessions()
    key, epoch = at_former.export_key("test"), session.epoch
    laptop.peers.untrust(nas.client)
    await session.invite((phone.client,))
    shown = await settled(session)
    assert shown[phone.client].state is Progress.JOINED
    assert (shown[nas.client].reason, shown[nas.client].sayer) == (Reason.NOT_TRUSTED, Sayer.DEVICE)
    assert {member.client for member in session.members} == {laptop.client, phone.client}
    assert (at_former.epoch, at_former.export_key("test")) == (epoch, key)
    assert session.export_key("test") != key


@pytest.mark.parametrize("pinned", [None, Fingerprint(bytes(32))], ids=["no_key", "another_key"])
async def test_no_member_stays_with_one_whose_key_it_pins_no_more(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch, pinned: Fingerprint | None
) -> None:
    monkeypatch.setattr(agents, "DUE_EVERY_S", 0.02)
    laptop, nas, phone = devices("laptop"), devices("nas"), devices("phone")
    befriend(laptop, nas, phone)
    caller, member, _ = await open_agent(laptop), await open_agent(nas), await open_agent(phone)
    session = await caller.start_session(SessionRequest((nas.client, phone.client)))
    await all_joined(session, laptop.client, nas.client, phone.client)
    events, at_caller = member.events(), session.updates()
    if pinned is None:
        nas.peers.untrust(phone.client)
    else:
        nas.peers.trust(phone.client, pinned, "phone")
    ended = await until(events, SessionEnded, session=session.id)
    assert ended == SessionEnded(
        session=session.id, reason=Reason.KEY_MISMATCH if pinned else Reason.NOT_TRUSTED, sayer=Sayer.DEVICE
    )
    assert member.sessions() == ()
    async with asyncio.timeout(WAIT_S):
        while {one.client for one in session.members if one.state is MemberState.OUT} != {nas.client}:
            await anext(at_caller)


async def test_a_member_stays_where_one_that_it_trusts_no_more_went_before(devices, open_agent) -> None:
    laptop, nas, phone = devices("laptop"), devices("nas"), devices("phone")
    befriend(laptop, nas, phone)
    caller, member, leaver = await open_agent(laptop), await open_agent(nas), await open_agent(phone)
    session = await caller.start_session(SessionRequest((nas.client, phone.client)))
    await all_joined(session, laptop.client, nas.client, phone.client)
    (at_member,), (at_leaver,) = member.sessions(), leaver.sessions()
    await all_joined(at_member, laptop.client, nas.client, phone.client)
    updates = at_member.updates()
    await at_leaver.leave()
    async with asyncio.timeout(WAIT_S):
        while not any(one.state is MemberState.OUT for one in at_member.members):
            await anext(updates)
    nas.peers.untrust(phone.client)
    await member._membership.leave_untrusted()
    assert member.sessions() == (at_member,)


async def test_a_device_that_answers_after_it_lost_trust_is_not_admitted(devices, open_agent) -> None:
    laptop, nas = devices("laptop"), devices("nas")
    befriend(laptop, nas)
    caller, called = await open_agent(laptop), await open_agent(nas)
    events = called.events()
    session = await caller.start_session(SessionRequest((nas.client,), purpose=Purpose.ASK))
    invite = (await until(events, Invited)).invite
    laptop.peers.untrust(nas.client)
    await called.accept(invite.id)
    target = (await settled(session))[nas.client]
    assert (target.state, target.reason, target.sayer) == (Progress.REFUSED, Reason.NOT_TRUSTED, Sayer.DEVICE)
    assert session.epoch == 1
    assert called.sessions() == ()


async def test_a_device_that_revoked_its_grant_after_its_answer_does_not_join(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop, nas = devices("laptop"), devices("nas")
    befriend(laptop, nas)
    caller, called = await open_agent(laptop), await open_agent(nas)
    ask, on_admission = Link.ask, Joining.on_admission
    outcomes: asyncio.Queue[Reason | None] = asyncio.Queue()

    async def revoked_meanwhile(link: Link, request: Any, reply: Any, *given: Any, **named: Any) -> Any:
        # The answer is there and the admission is not: the called device takes its grant back.
        if isinstance(request, Admit):
            nas.peers.revoke(laptop.client)
        return await ask(link, request, reply, *given, **named)

    def seen(machine: Joining, *given: Any) -> Any:
        try:
            known = on_admission(machine, *given)
        except Refused as refused:
            outcomes.put_nowait(refused.reason)
            raise
        outcomes.put_nowait(None)
        return known

    monkeypatch.setattr(Link, "ask", revoked_meanwhile)
    monkeypatch.setattr(Joining, "on_admission", seen)
    await caller.start_session(SessionRequest((nas.client,)))
    async with asyncio.timeout(WAIT_S):
        assert await outcomes.get() is Reason.GRANT_REVOKED
    assert called.sessions() == ()
