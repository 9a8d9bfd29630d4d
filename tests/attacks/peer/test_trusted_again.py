"""A member that its creator trusts again before the next epoch: the hub took it out, and the creator would keep it."""

import pytest
from tests.integration.client.conftest import befriend, devices, open_agent, settled

from muster_client import SessionRequest
from muster_client.events import Progress
from muster_protocol.reasons import Reason, Sayer

__all__ = ["devices", "open_agent"]


@pytest.mark.parametrize("told", [True, False], ids=["the hub took it out", "the hub never heard of it"])
async def test_a_member_that_is_trusted_again_keeps_no_creator_from_the_next_epoch(devices, open_agent, told) -> None:
    laptop, nas, phone = devices("laptop"), devices("nas"), devices("phone")
    befriend(laptop, nas, phone)
    caller, _, _ = [await open_agent(each) for each in (laptop, nas, phone)]
    session = await caller.start_session(SessionRequest((nas.client,)))
    assert (await settled(session))[nas.client].state is Progress.JOINED
    laptop.peers.untrust(nas.client)
    if told:
        await caller.publish()
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.grant(nas.client)
    await caller.publish()
    await session.invite((phone.client,))
    called = await settled(session)
    assert called[phone.client].state is Progress.JOINED
    assert (called[nas.client].reason, called[nas.client].sayer) == (Reason.NOT_TRUSTED, Sayer.DEVICE)
    assert {one.client for one in session.members} == {laptop.client, phone.client}
    await session.invite((nas.client,))
    assert (await settled(session))[nas.client].state is Progress.JOINED
