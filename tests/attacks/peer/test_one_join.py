"""A creator that wants one yes of a device to join more than once, with the hub's help.

The hub pushes the bytes of the invite once more, after the device left and its process restarted.
"""

import pytest
from tests.unit.client.conftest import clock, make_device
from tests.unit.client.sessions.conftest import ann, bob
from tests.unit.client.sessions.parts import DeviceParts, call, host

from muster_client.device.invites import JOINED
from muster_protocol.cards import Mode
from muster_protocol.exchange import Invite
from muster_protocol.frames import Admit, Purpose, SendAnswer
from muster_protocol.signed import Signed, read

__all__ = ["ann", "bob", "clock", "make_device"]


async def _join_and_leave(creator: DeviceParts, victim: DeviceParts, purpose: Purpose) -> tuple[Signed, Signed]:
    """Return the invite and the admission that the victim used."""
    session = await host(creator, victim)
    invite = await call(creator, session, victim, purpose)
    await victim.answering.on_invite(invite)
    if purpose is Purpose.ASK:
        await victim.answering.accept(victim.answering.inbox()[0].id)
    creator.membership.on_answer(victim.hub.newest(SendAnswer).answer)
    session._take_answers()
    await session._admit()
    admission = creator.hub.newest(Admit).admissions[0]
    await victim.membership.on_admission(admission)
    await victim.attended(session).leave()
    return invite, admission


@pytest.mark.parametrize("purpose", [Purpose.AUTO, Purpose.ASK])
async def test_an_invite_that_joined_is_not_accepted_again_by_a_later_process(
    ann: DeviceParts, bob: DeviceParts, purpose: Purpose
) -> None:
    if purpose is Purpose.AUTO:
        bob.device.peers.grant(ann.device.client, mode=Mode.SYNCHRONIZE, once=True)
    else:
        bob.device.peers.revoke(ann.device.client)
    invite, admission = await _join_and_leave(ann, bob, purpose)
    remembered = bob.device.invites.get(read(invite, Invite).invite)
    assert remembered is not None
    assert remembered.outcome == JOINED
    bob.restart()
    answers = bob.hub.count(SendAnswer)
    await bob.answering.on_invite(invite)
    await bob.membership.on_admission(admission)
    assert bob.hub.count(SendAnswer) == answers
    assert bob.answering.inbox() == ()
    assert bob.membership.sessions() == ()
