"""A device reads a message before it verifies it, but only to find the key: nothing that it reads so becomes state."""

from collections.abc import Awaitable, Callable, Iterator

import pytest
from msgspec.structs import replace
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host

from muster_client.errors import HubRefused
from muster_client.sessions.hosted import HostedSession
from muster_protocol.exchange import Leave
from muster_protocol.frames import (
    AdmissionPush,
    Admit,
    AnswerPush,
    EpochPush,
    GetSession,
    InvitePush,
    JoinedPush,
    LeavePush,
    Purpose,
    Push,
    SendAnswer,
    SendJoined,
    SendLeave,
)
from muster_protocol.labels import SIGN, Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, sign


def forged(signed: Signed, kind: Kind, stranger: DeviceParts) -> Iterator[Signed]:
    """Yield the same words under no signature, and under a stranger's in the signer's and in its own name."""
    signature = stranger.device.key.sign(SIGN[kind] + signed.body)
    yield replace(signed, signature=bytes(64))
    yield replace(signed, signature=signature)
    yield Signed(signed.body, stranger.device.fingerprint, signature)


def state(parts: DeviceParts) -> tuple[object, ...]:
    """Return all that a message could change: the database, the sessions, the answers, and what was said and shown."""
    said = [request for request in parts.hub.asked if isinstance(request, SendAnswer | SendJoined | SendLeave)]
    sessions = [(one.id, one.epoch, dict(one.targets), one.members, one.ended) for one in parts.membership.sessions()]
    machines = [repr((one._machine._calls, one._machine._members)) for one in _hosted(parts)]
    answered = parts.answering._joinings
    joinings = [(name, joining.joined) for name in answered if (joining := answered.get(name)) is not None]
    return list(parts.device._db.iterdump()), said, list(parts.told), sessions, machines, joinings


def _hosted(parts: DeviceParts) -> list[HostedSession]:
    return [one for one in parts.membership.sessions() if isinstance(one, HostedSession)]


async def handle(parts: DeviceParts, push: Push) -> None:
    await parts.pushes.handle(parts.connection, push)
    for session in _hosted(parts):
        session._take_answers()


Forge = Callable[[DeviceParts, Signed, Kind, Callable[[Signed], Push]], Awaitable[None]]


@pytest.fixture
def changes_nothing(cat: DeviceParts) -> Forge:
    async def check(receiver: DeviceParts, true: Signed, kind: Kind, push: Callable[[Signed], Push]) -> None:
        before = state(receiver)
        for one in forged(true, kind, cat):
            await handle(receiver, push(one))
            assert state(receiver) == before, kind

    return check


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_nothing_of_an_unverified_message_reaches_state(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, changes_nothing: Forge, purpose: Purpose
) -> None:
    for one, other in ((ann, bob), (bob, ann)):
        await one.context.key_of(other.device.client)
    session = await host(ann, bob)
    invite = await call(ann, session, bob, purpose)
    await changes_nothing(bob, invite, Kind.INVITE, lambda one: InvitePush(push="p", invite=one))
    await handle(bob, InvitePush(push="p", invite=invite))
    for waiting in bob.answering.inbox():
        await bob.answering.accept(waiting.id)
    answer = bob.hub.newest(SendAnswer).answer
    await changes_nothing(ann, answer, Kind.ANSWER, lambda one: AnswerPush(push="p", answer=one))
    (admission,) = (await admit(ann, session, answer)).admissions
    await changes_nothing(bob, admission, Kind.ADMISSION, lambda one: AdmissionPush(push="p", admission=one))
    await handle(bob, AdmissionPush(push="p", admission=admission))
    joined = bob.hub.newest(SendJoined).joined
    await changes_nothing(ann, joined, Kind.JOINED, lambda one: JoinedPush(joined=one))
    await handle(ann, JoinedPush(joined=joined))
    await cat.answering.on_invite(await call(ann, session, cat))
    epoch = await admit(ann, session, cat.hub.newest(SendAnswer).answer)
    # An epoch that another key signed may be one that was missed: the device reads the session again.
    bob.hub.answers(GetSession, HubRefused(Reason.STORE_UNAVAILABLE))
    await changes_nothing(bob, epoch.epoch, Kind.EPOCH, lambda one: _epoch(epoch, one))
    member, at = bob.device, bob.device.date()
    leave = sign(
        Leave(session=session.id, member=member.client, member_key=member.fingerprint, at=at),
        member.key,
    )
    await changes_nothing(ann, leave, Kind.LEAVE, lambda one: LeavePush(leave=one))
    # And the true ones do reach it.
    for receiver, push in ((bob, _epoch(epoch, epoch.epoch)), (ann, LeavePush(leave=leave))):
        before = state(receiver)
        await handle(receiver, push)
        assert state(receiver) != before


def _epoch(request: Admit, epoch: Signed) -> EpochPush:
    return EpochPush(session=request.session, epoch=epoch, sealed=request.sealed[0].sealed)
