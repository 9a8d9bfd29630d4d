"""A hub that has the creator of a session make epochs without end, by how it rejects them."""

from tests.unit.client.conftest import clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host, join

from muster_client.events import Progress
from muster_protocol.frames import Admit, Admitted, InviteResult, LeavePush, SendAnswer, SendLeave
from muster_protocol.reasons import Reason, Sayer

__all__ = ["ann", "bob", "cat", "clock", "make_device"]

ENOUGH = 10


async def test_a_member_that_the_refused_epoch_left_out_is_no_reason_to_make_another(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts
) -> None:
    session = await host(ann, bob, cat)
    await (await join(ann, session, bob)).leave()
    await ann.pushes.handle(ann.connection, LeavePush(leave=bob.hub.newest(SendLeave).leave))
    await cat.answering.on_invite(await call(ann, session, cat))
    before = ann.hub.count(Admit)

    def reject(_: Admit) -> Admitted:
        assert ann.hub.count(Admit) - before < ENOUGH, "the creator makes one epoch after the other"
        return Admitted(re=0, rejected=(InviteResult(bob.device.client, Reason.NOT_A_MEMBER),))

    ann.hub.answers(Admit, reject)
    await admit(ann, session, cat.hub.newest(SendAnswer).answer)
    assert ann.hub.count(Admit) - before == 1
    shown = session.targets[cat.device.client]
    assert (shown.state, shown.reason, shown.sayer) == (Progress.REFUSED, Reason.NOT_A_MEMBER, Sayer.HUB)
