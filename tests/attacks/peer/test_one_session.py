"""A creator that makes another session of one that a device is in, by a later invite or admission; its hub helps."""

import os
from dataclasses import dataclass

import pytest
from msgspec.structs import replace
from tests.unit.client.conftest import ManualClock, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, call, host, join

from muster_client.device import attended
from muster_client.events import SessionEnded
from muster_client.sessions.hosted import HostedSession
from muster_client.sessions.joined import AttendedSession
from muster_protocol.cards import Mode
from muster_protocol.epochs import Epoch, EpochMember, epoch_hash, in_order
from muster_protocol.exchange import Admission, Answer, Invite, admission_info, hash_of
from muster_protocol.frames import MAX_SESSION_MS, Purpose, SendAnswer, SendInvites, SessionKind
from muster_protocol.ids import Hash, InviteId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.sealing import EPOCH_KEY_BYTES, EpochKey, commitment, seal
from muster_protocol.signed import Signed, read, sign

__all__ = ["ann", "bob", "cat", "clock", "make_device"]

OTHERS = [{"kind": SessionKind.STAR}, {"mode": Mode.SYNCHRONIZE}, {"profile": "photos"}]


@dataclass(slots=True)
class DishonestCreator:
    """ANN's mesh with BOB in it, who does not trust CAT; ANN signs what she likes."""

    ann: DeviceParts
    bob: DeviceParts
    cat: DeviceParts
    session: HostedSession
    at_bob: AttendedSession

    def invite(self, **changes: object) -> Signed:
        """Return another invite to BOB, which says something else."""
        first = read(self.ann.hub.newest(SendInvites).invites[0], Invite)
        return sign(replace(first, invite=InviteId(os.urandom(16)), **changes), self.ann.device.key)

    async def answered(self, invite: Signed) -> Signed:
        await self.bob.answering.on_invite(invite)
        return self.bob.hub.newest(SendAnswer).answer

    def admission(self, invite: Signed, answer: Signed, number: int, previous: Hash, *others: DeviceParts) -> Signed:
        """Return an admission of BOB to an epoch of this number."""
        called, said, key = read(invite, Invite), read(answer, Answer), EpochKey(os.urandom(EPOCH_KEY_BYTES))
        assert said.receive_key is not None
        members = [EpochMember(one.device.client, one.device.fingerprint) for one in (self.ann, self.bob, *others)]
        epoch = sign(
            Epoch(
                session=called.session,
                number=number,
                previous=previous,
                members=in_order(members),
                commitment=commitment(called.session, number, key),
                at=called.at,
            ),
            self.ann.device.key,
        )
        invite_hash, answer_hash = hash_of(Kind.INVITE, invite), hash_of(Kind.ANSWER, answer)
        info = admission_info(invite_hash, answer_hash, epoch_hash(epoch))
        body = Admission(
            session=called.session,
            invite=called.invite,
            sender=called.sender,
            recipient=called.recipient,
            sender_key=called.sender_key,
            recipient_key=called.recipient_key,
            purpose=called.purpose,
            mode=called.mode,
            profile=called.profile,
            protocol=called.protocol,
            at=called.at,
            invite_hash=invite_hash,
            answer_hash=answer_hash,
            epoch=epoch,
            sealed=seal(key, said.receive_key, info),
        )
        return sign(body, self.ann.device.key)


@pytest.fixture
async def room(ann: DeviceParts, bob: DeviceParts, cat: DeviceParts) -> DishonestCreator:
    bob.device.peers.untrust(cat.device.client)
    session = await host(ann, bob)
    return DishonestCreator(ann, bob, cat, session, await join(ann, session, bob))


def reason(answer: Signed) -> Reason | None:
    return read(answer, Answer).reason


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("purpose", [Purpose.AUTO, Purpose.ASK])
@pytest.mark.parametrize("changes", OTHERS)
async def test_no_later_invite_makes_another_session_of_one_that_a_device_joined(
    room: DishonestCreator, changes: dict[str, object], purpose: Purpose, restarted: bool
) -> None:
    if restarted:
        room.bob.restart()
    answer = await room.answered(room.invite(purpose=purpose, **changes))
    assert reason(answer) is Reason.MISMATCH
    assert room.bob.answering.inbox() == (), "its person is not asked"


@pytest.mark.parametrize("changes", OTHERS)
async def test_a_session_stays_what_it_is_for_as_long_as_a_device_holds_it(
    room: DishonestCreator, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    """The creator and the hub keep it open for longer than a session lasts, with as many others as are remembered."""
    monkeypatch.setattr(attended, "MAX_ATTENDED", 1)
    clock.go_on(MAX_SESSION_MS + 1)
    await join(room.ann, await host(room.ann, room.bob), room.bob)
    assert room.bob.device.attended.get(room.session.id) is None
    answer = await room.answered(room.invite(**changes))
    assert reason(answer) is Reason.MISMATCH


async def test_a_device_ends_a_session_that_is_older_than_any_can_be(
    room: DishonestCreator, clock: ManualClock
) -> None:
    clock.go_on(MAX_SESSION_MS - 1)
    room.bob.membership.end_in_time()
    assert room.bob.membership.sessions() == (room.at_bob,)
    clock.go_on(1)
    room.bob.membership.end_in_time()
    ended = [(event.session, event.reason, event.sayer) for event in room.bob.events(SessionEnded)]
    assert ended == [(room.session.id, Reason.SESSION_CLOSED, Sayer.DEVICE)]
    assert room.bob.membership.sessions() == ()
    answer = await room.answered(room.invite(kind=SessionKind.STAR))
    assert reason(answer) is Reason.MISMATCH, "its row is kept until another one takes its place"


async def test_the_sessions_of_one_creator_drive_out_those_of_no_other(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attended, "MAX_ATTENDED", 3)
    creators = (cat, ann, ann, ann, ann)
    sessions = []
    for creator in creators:
        clock.go_on(1)
        sessions.append(await host(creator, bob))
        await join(creator, sessions[-1], bob)
    kept = [bob.device.attended.get(session.id) is not None for session in sessions]
    assert kept == [True, False, False, True, True], "the oldest goes, of the creator that has the most"


@pytest.mark.parametrize("changes", OTHERS)
async def test_no_later_admission_makes_another_session_of_one_that_a_device_joined(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, changes: dict[str, object]
) -> None:
    """BOB says yes to both before he is in the session by one of them."""
    bob.device.peers.untrust(cat.device.client)
    session = await host(ann, bob)
    first = await call(ann, session, bob)
    room = DishonestCreator(ann, bob, cat, session, None)  # type: ignore[arg-type]
    answer = await room.answered(first)
    other = room.invite(**changes)
    other_answer = await room.answered(other)
    assert reason(answer) is reason(other_answer) is None
    one = session._known.hash
    await bob.membership.on_admission(room.admission(first, answer, 2, one))
    held = bob.attended(session)
    await bob.membership.on_admission(room.admission(other, other_answer, 3, held._known.hash, cat))
    assert (held.epoch, held.kind, held.mode, held.profile) == (2, SessionKind.MESH, session.mode, None)
    assert cat.device.client not in {member.client for member in held.members}


async def test_no_admission_is_to_an_epoch_that_a_device_has_in_another_form(room: DishonestCreator) -> None:
    invite = room.invite()
    answer = await room.answered(invite)
    epoch = room.at_bob._known.epoch
    assert epoch.previous is not None
    await room.bob.membership.on_admission(room.admission(invite, answer, epoch.number, epoch.previous))
    assert reason(room.bob.hub.newest(SendAnswer).answer) is Reason.EPOCH_FORKED
    ended = [(event.reason, event.sayer) for event in room.bob.events(SessionEnded)]
    assert ended == [(Reason.EPOCH_FORKED, Sayer.DEVICE)], "its person is shown it"
    assert room.bob.membership.sessions() == ()


async def test_no_new_process_takes_an_epoch_of_which_the_one_before_had_another(room: DishonestCreator) -> None:
    room.bob.restart()
    invite = room.invite()
    answer = await room.answered(invite)
    epoch = room.at_bob._known.epoch
    assert epoch.previous is not None
    await room.bob.membership.on_admission(room.admission(invite, answer, epoch.number, epoch.previous))
    assert [event.reason for event in room.bob.events(SessionEnded)] == [Reason.EPOCH_FORKED]
    assert room.bob.membership.sessions() == ()


async def test_no_admission_brings_a_device_back_behind_the_epoch_that_it_has(room: DishonestCreator) -> None:
    first, invite = room.invite(), room.invite()
    first_answer, answer = await room.answered(first), await room.answered(invite)
    before = room.at_bob._known
    number = before.epoch.number + 2
    await room.bob.membership.on_admission(room.admission(first, first_answer, number, before.hash))
    known = room.at_bob._known
    assert known.epoch.number == number
    for older in (number - 2, number - 1):
        await room.bob.membership.on_admission(room.admission(invite, answer, older, before.hash))
    assert room.at_bob._known == known
    await room.bob.membership.on_admission(room.admission(invite, answer, number + 1, known.hash))
    assert room.at_bob.epoch == number + 1, "none of these ended the invite"
