"""A hub that tells the creator that it did not commit an epoch, and relays it all the same: no member is driven out.

The creator makes another epoch then. Two of one number would show each member that its creator is not honest.
"""

from collections.abc import Callable

import pytest
from tests.attacks.dishonest_hub.test_lost_replies import answering, step
from tests.unit.client.conftest import clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat, dan
from tests.unit.client.sessions.parts import Answer, DeviceParts, host, join
from tests.unit.client.sessions.test_membership import push_of, reply_of

from muster_client.errors import HubRefused, HubUnreachable
from muster_client.events import Progress, SessionEnded
from muster_client.sessions.hosted import HostedSession
from muster_protocol.epochs import Epoch
from muster_protocol.frames import Admit, Admitted, GetSession, InviteResult
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason
from muster_protocol.signed import read

__all__ = ["ann", "bob", "cat", "clock", "dan", "make_device"]

COMMITTED = Admitted(re=0, rejected=())

Lie = Callable[[ClientId], Answer]
LIES: dict[str, Lie] = {
    "rejected": lambda client: Admitted(re=0, rejected=(InviteResult(client, Reason.OFFLINE),)),
    "error": lambda _: HubRefused(Reason.MISMATCH),
    "no answer": lambda _: HubUnreachable("no answer"),
}
lies = pytest.mark.parametrize("lie", LIES.values(), ids=LIES)


async def relayed(ann: DeviceParts, session: HostedSession, target: DeviceParts, lie: Lie) -> Admit:
    """Have the creator ask for an epoch with a device and lie about it; return that request."""
    await answering(ann, session, target)
    ann.hub.answers(Admit, lie(target.device.client))
    await step(session)
    told = ann.hub.newest(Admit)
    # The device's own word ends its call, so that the creator does not make this epoch again.
    ann.device.peers.revoke(target.device.client)
    ann.hub.answers(Admit, COMMITTED)
    ann.hub.answers(GetSession, reply_of(session))
    await step(session)
    ann.device.peers.grant(target.device.client)
    assert session.targets[target.device.client].state is Progress.REFUSED
    return told


@lies
async def test_no_member_is_driven_out_by_an_epoch_that_its_creator_took_for_refused(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, dan: DeviceParts, lie: Lie
) -> None:
    session = await host(ann, bob, cat, dan)
    at_bob = await join(ann, session, bob)
    for _ in range(2):
        told = await relayed(ann, session, cat, lie)
        await bob.pushes.handle(bob.connection, push_of(told, bob))
        await cat.membership.on_admission(told.admissions[0])
        assert at_bob.epoch == cat.attended(session).epoch == read(told.epoch, Epoch).number > session.epoch
    await join(ann, session, dan)
    await bob.pushes.handle(bob.connection, push_of(ann.hub.newest(Admit), bob))
    assert at_bob.export_key("test") == session.export_key("test")
    await join(ann, session, cat)
    await bob.pushes.handle(bob.connection, push_of(ann.hub.newest(Admit), bob))
    keys = {one.export_key("test") for one in (session, at_bob, cat.attended(session))}
    assert len(keys) == 1
    assert not [event for parts in (bob, cat, dan) for event in parts.events(SessionEnded)]


@lies
async def test_no_number_is_that_of_two_epochs(ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, lie: Lie) -> None:
    session = await host(ann, bob, cat)
    await join(ann, session, bob)
    for _ in range(3):
        await relayed(ann, session, cat, lie)
    await join(ann, session, cat)
    asked = {request.epoch for request in ann.hub.asked if isinstance(request, Admit)}
    numbers = [read(epoch, Epoch).number for epoch in asked]
    assert sorted(numbers) == [2, 3, 4, 5, 6]
    assert session.epoch == 6
