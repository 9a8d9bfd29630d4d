"""A hub that keeps back its reply to an ``admit``, or gives an error for one that it committed.

The creator follows what the hub committed, and what it took back meanwhile holds when it asks again.
"""

from collections.abc import Callable

import pytest
from tests.unit.client.conftest import ManualClock, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, call, host, join
from tests.unit.client.sessions.test_membership import reply_of

from muster_client.errors import HubRefused, HubUnreachable
from muster_client.events import Progress
from muster_client.sessions.hosted import HostedSession
from muster_protocol.calls import FIRST_RETRY_MS
from muster_protocol.epochs import Epoch
from muster_protocol.frames import Admit, Admitted, GetSession, SendAnswer
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Signed, read

__all__ = ["ann", "bob", "cat", "clock", "make_device"]

AWAY = HubUnreachable("no answer")
COMMITTED = Admitted(re=0, rejected=())

TakeBack = Callable[[DeviceParts, DeviceParts], object]
taken_back = pytest.mark.parametrize(
    ("take_back", "reason"),
    [
        (lambda ann, bob: ann.device.peers.untrust(bob.device.client), Reason.NOT_TRUSTED),
        (lambda ann, bob: ann.device.peers.revoke(bob.device.client), Reason.GRANT_REVOKED),
    ],
    ids=["untrust", "revocation"],
)


async def step(session: HostedSession) -> None:
    session._take_answers()
    await session._admit()


async def answering(ann: DeviceParts, session: HostedSession, target: DeviceParts) -> None:
    """Call a device; the creator has its yes."""
    await target.answering.on_invite(await call(ann, session, target))
    ann.membership.on_answer(target.hub.newest(SendAnswer).answer)


async def unanswered(ann: DeviceParts, session: HostedSession, *targets: DeviceParts) -> Signed:
    """Have the creator ask for an epoch with these devices; the hub keeps its reply back. Return that epoch."""
    for target in targets:
        await answering(ann, session, target)
    ann.hub.answers(Admit, AWAY)
    await step(session)
    ann.hub.answers(Admit, COMMITTED)
    return ann.hub.newest(Admit).epoch


def members(ann: DeviceParts) -> set[ClientId]:
    return set(read(ann.hub.newest(Admit).epoch, Epoch).clients)


def end_of(session: HostedSession, target: DeviceParts) -> tuple[Progress, Reason | None, Sayer | None]:
    shown = session.targets[target.device.client]
    return shown.state, shown.reason, shown.sayer


@taken_back
async def test_no_admission_is_sent_again_after_the_creators_own_word(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, take_back: TakeBack, reason: Reason
) -> None:
    session = await host(ann, bob, cat)
    lost = await unanswered(ann, session, bob, cat)
    take_back(ann, bob)
    ann.hub.answers(GetSession, reply_of(session, epoch=1))
    await step(session)
    assert ann.hub.newest(Admit).epoch != lost
    assert ann.hub.count(Admit) == 2
    assert members(ann) == {ann.device.client, cat.device.client}
    assert end_of(session, bob) == (Progress.REFUSED, reason, Sayer.DEVICE)


@taken_back
async def test_an_epoch_that_the_hub_committed_is_followed_by_one_without_the_device(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, take_back: TakeBack, reason: Reason
) -> None:
    session = await host(ann, bob, cat)
    lost = await unanswered(ann, session, bob)
    take_back(ann, bob)
    await answering(ann, session, cat)
    ann.hub.answers(GetSession, reply_of(session, epoch=2, epochs=(lost,)))
    await step(session)
    assert ann.hub.count(Admit) == 2
    assert session.epoch == 3
    assert members(ann) == {ann.device.client, cat.device.client}
    assert end_of(session, bob) == (Progress.REFUSED, reason, Sayer.DEVICE)


async def test_no_key_is_sent_again_to_a_member_that_the_creator_trusts_no_more(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts
) -> None:
    session = await host(ann, bob, cat)
    await join(ann, session, bob)
    await unanswered(ann, session, cat)
    ann.device.peers.untrust(bob.device.client)
    ann.hub.answers(GetSession, reply_of(session))
    await step(session)
    assert ann.hub.count(Admit) == 3
    assert members(ann) == {ann.device.client, cat.device.client}


@pytest.mark.parametrize("answer", [AWAY, HubRefused(Reason.OVERLOADED)])
async def test_a_creator_that_is_not_shown_the_session_sends_nothing_and_asks_again_later(
    ann: DeviceParts, bob: DeviceParts, clock: ManualClock, answer: HubRefused | HubUnreachable
) -> None:
    session = await host(ann, bob)
    await unanswered(ann, session, bob)
    ann.device.peers.untrust(bob.device.client)
    ann.hub.answers(GetSession, answer)
    for tries in (1, 2):
        await step(session)
        assert (ann.hub.count(Admit), ann.hub.count(GetSession)) == (1, tries)
        assert session._machine.next_deadline() == clock() + FIRST_RETRY_MS * 2**tries


@pytest.mark.parametrize(
    "errors",
    [
        (HubRefused(Reason.STORE_UNAVAILABLE),),
        (HubRefused(Reason.INTERNAL),),
        (AWAY, HubRefused(Reason.RATE_LIMITED)),
        (AWAY, HubRefused(Reason.OVERLOADED)),
        (HubRefused(Reason.STORE_UNAVAILABLE), HubRefused(Reason.STORE_FULL)),
    ],
    ids=lambda errors: ", then ".join(str(error) for error in errors),
)
async def test_no_error_makes_the_creator_forget_an_epoch_that_the_hub_may_have_committed(
    ann: DeviceParts, bob: DeviceParts, errors: tuple[HubRefused | HubUnreachable, ...]
) -> None:
    session = await host(ann, bob)
    await answering(ann, session, bob)
    for error in errors:
        ann.hub.answers(Admit, error)
        await step(session)
    first = ann.hub.newest(Admit)
    ann.hub.answers(Admit, COMMITTED)
    await step(session)
    assert ann.hub.newest(Admit) == first
    assert (session.epoch, ann.hub.count(Admit)) == (2, len(errors) + 1)
    assert end_of(session, bob)[0] is not Progress.REFUSED


async def test_an_epoch_that_the_hub_committed_and_gave_an_error_for_is_followed_by_one_without_the_device(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts
) -> None:
    session = await host(ann, bob, cat)
    await answering(ann, session, bob)
    ann.hub.answers(Admit, HubRefused(Reason.STORE_UNAVAILABLE))
    await step(session)
    lost = ann.hub.newest(Admit).epoch
    ann.hub.answers(Admit, COMMITTED)
    ann.device.peers.untrust(bob.device.client)
    await answering(ann, session, cat)
    ann.hub.answers(GetSession, reply_of(session, epoch=2, epochs=(lost,)))
    await step(session)
    assert session.epoch == 3
    assert members(ann) == {ann.device.client, cat.device.client}
