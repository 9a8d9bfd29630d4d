"""A hub that withholds what two devices say to each other: it is shown as missing, and as the fault of neither."""

import pytest
from tests.unit.client.conftest import ManualClock, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host

from muster_client.cli.output.failures import from_reason
from muster_client.cli.start.progress import whose
from muster_client.events import Progress, Target
from muster_client.sessions.hosted import HostedSession
from muster_protocol.exchange import DEFAULT_INVITE_MS, JOIN_DEADLINE_MS
from muster_protocol.frames import Admit, Admitted, InviteResult, SendAnswer
from muster_protocol.reasons import Reason, Sayer

__all__ = ["ann", "bob", "clock", "make_device"]


def settled(session: HostedSession, bob: DeviceParts) -> tuple[Target, str]:
    """Let the time of the call of BOB run out; return how it ended, and what is said of it."""
    session._machine.on_time(session._context.now())
    session._calls.show()
    target = session.targets[bob.device.client]
    assert target.reason is not None
    return target, from_reason(target.reason, whose(target), "bob").sentence


@pytest.mark.parametrize("answered", [False, True])
async def test_what_a_hub_withholds_is_no_ones_failure(
    ann: DeviceParts, bob: DeviceParts, clock: ManualClock, answered: bool
) -> None:
    session = await host(ann, bob)
    invite = await call(ann, session, bob)
    if answered:
        await bob.answering.on_invite(invite)
        await admit(ann, session, bob.hub.newest(SendAnswer).answer)
    clock.go_on(JOIN_DEADLINE_MS if answered else DEFAULT_INVITE_MS)
    target, sentence = settled(session, bob)
    reason = Reason.JOIN_FAILED if answered else Reason.NO_ANSWER
    assert (target.state, target.reason, target.sayer) == (Progress.REFUSED, reason, Sayer.DEVICE)
    assert sentence == ("No word that bob joined came in time." if answered else "No answer of bob came in time.")


async def test_an_admission_that_the_hub_refuses_without_a_reason_is_the_hubs_failure(
    ann: DeviceParts, bob: DeviceParts
) -> None:
    session = await host(ann, bob)
    await bob.answering.on_invite(await call(ann, session, bob))
    ann.hub.answers(Admit, Admitted(re=0, rejected=(InviteResult(bob.device.client, None),)))
    await admit(ann, session, bob.hub.newest(SendAnswer).answer)
    target, sentence = settled(session, bob)
    assert (target.reason, target.sayer) == (Reason.INTERNAL, Sayer.HUB)
    assert sentence == "The hub made a mistake."


async def test_a_suspicion_of_the_hub_is_not_this_devices_word(ann: DeviceParts, bob: DeviceParts) -> None:
    ann.hub.standing = Reason.CLONE_SUSPECTED
    session = await host(ann, bob)
    await session.invite([bob.device.client])
    target = session.targets[bob.device.client]
    assert (target.reason, target.sayer) == (Reason.CLONE_SUSPECTED, Sayer.HUB)
