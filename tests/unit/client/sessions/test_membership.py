"""Sessions that fall behind the hub, end, or get epochs that do not hold."""

import pytest
from msgspec.structs import replace
from tests.unit.client.conftest import START
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host, join

from muster_client.errors import HubRefused, HubUnreachable, UnknownSession
from muster_client.events import MembersChanged, SessionEnded, SessionJoined
from muster_client.sessions.hosted import HostedSession
from muster_client.sessions.joined import AttendedSession
from muster_protocol.cards import Mode
from muster_protocol.epochs import Epoch
from muster_protocol.errors import MusterError
from muster_protocol.exchange import Invite, Joined, Leave
from muster_protocol.frames import (
    MAX_SESSION_MS,
    Admit,
    CloseSession,
    EpochPush,
    GetSession,
    JoinedPush,
    LeavePush,
    ListSessions,
    Member,
    MemberState,
    ResumeSession,
    SendAnswer,
    SendJoined,
    SendLeave,
    SessionKind,
    SessionReply,
    SessionsReply,
    SessionSummary,
    SessionUpdatePush,
)
from muster_protocol.ids import ClientId, SessionId, TimeMs
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Signed, read, sign

AWAY = HubUnreachable("no answer")


@pytest.fixture
async def hosted(ann: DeviceParts, bob: DeviceParts) -> HostedSession:
    """Return ANN's session, which BOB has joined."""
    session = await host(ann, bob)
    await join(ann, session, bob)
    return session


@pytest.fixture
def attended(hosted: HostedSession, bob: DeviceParts) -> AttendedSession:
    return bob.attended(hosted)


def update(
    session: SessionId, state: str, client: ClientId | None = None, reason: Reason | None = None
) -> SessionUpdatePush:
    return SessionUpdatePush(session=session, client=client, state=state, reason=reason)


async def next_epoch(ann: DeviceParts, session: HostedSession, cat: DeviceParts) -> Admit:
    """Call one more device in, and return the request that commits the next epoch."""
    await cat.answering.on_invite(await call(ann, session, cat))
    return await admit(ann, session, cat.hub.newest(SendAnswer).answer)


def push_of(request: Admit, member: DeviceParts) -> EpochPush:
    sealed = {one.client: one.sealed for one in request.sealed}
    return EpochPush(push="p", session=request.session, epoch=request.epoch, sealed=sealed[member.device.client])


def reply_of(session: HostedSession, *members: Member, **fields: object) -> SessionReply:
    """Return what the hub shows of a session."""
    shown: dict[str, object] = {
        "re": 0,
        "session": session.id,
        "creator": session.creator,
        "mode": Mode.JOIN,
        "profile": None,
        "kind": SessionKind.MESH,
        "open": True,
        "created_at": START,
        "ends_at": TimeMs(START + 1000),
        "epoch": session.epoch,
        "members": members,
        "epochs": (),
        "joined": (),
        "departures": (),
        "sealed": None,
        "admission": None,
    }
    return SessionReply(**(shown | fields))  # type: ignore[arg-type]


def row(parts: DeviceParts, state: MemberState = MemberState.JOINED, reason: Reason | None = None) -> Member:
    return Member(parts.device.client, state, START, reason)


def endings(parts: DeviceParts) -> list[tuple[Reason | None, Sayer]]:
    return [(event.reason, event.sayer) for event in parts.events(SessionEnded)]


# -- the hub's word ---------------------------------------------------------------------------------------------------


async def test_both_sides_know_when_they_joined(
    ann: DeviceParts, bob: DeviceParts, hosted: HostedSession, attended: AttendedSession
) -> None:
    for parts, session in ((ann, hosted), (bob, attended)):
        assert {member.state for member in session.members} == {MemberState.JOINED}
        assert parts.events(SessionJoined) or parts is ann
    assert bob.entered == [attended]
    assert hosted.export_key("files") == attended.export_key("files")


@pytest.mark.parametrize(
    ("state", "reason", "ended"),
    [
        ("closed", None, Reason.SESSION_CLOSED),
        ("closed", Reason.EXPIRED, Reason.EXPIRED),
        ("out", None, Reason.NOT_A_MEMBER),
        ("out", Reason.NOT_TRUSTED, Reason.NOT_TRUSTED),
    ],
)
async def test_the_hub_ends_a_session_for_a_member(
    bob: DeviceParts, attended: AttendedSession, state: str, reason: Reason | None, ended: Reason
) -> None:
    client = bob.device.client if state == "out" else None
    await bob.pushes.handle(bob.connection, update(attended.id, state, client, reason))
    assert endings(bob) == [(ended, Sayer.HUB)]
    assert bob.membership.sessions() == ()


async def test_a_member_that_the_hub_denies_is_shown_once(
    ann: DeviceParts, bob: DeviceParts, attended: AttendedSession
) -> None:
    for client in (ann.device.client, ClientId("z" * 32), ann.device.client):
        await bob.pushes.handle(bob.connection, update(attended.id, "out", client, Reason.NOT_TRUSTED))
    shown = bob.events(MembersChanged)[-1].members
    assert [(one.state, one.denied, one.reason) for one in shown if one.client == ann.device.client] == [
        (MemberState.JOINED, True, Reason.NOT_TRUSTED)
    ]
    assert len(bob.events(MembersChanged)) == 2, "one for joining, one for this"


async def test_the_creator_is_told_that_its_session_ended(ann: DeviceParts, hosted: HostedSession) -> None:
    await ann.pushes.handle(ann.connection, update(hosted.id, "out", ann.device.client))
    assert endings(ann) == [(Reason.SESSION_CLOSED, Sayer.HUB)]


async def test_news_of_a_session_that_is_not_held_changes_nothing(ann: DeviceParts, bob: DeviceParts) -> None:
    other = SessionId("z" * 32)
    for state in ("closed", "changed", "resume"):
        await bob.pushes.handle(bob.connection, update(other, state))
    await bob.membership.on_epoch(
        bob.connection, EpochPush(push="p", session=other, epoch=ann.device.card(), sealed=b"")
    )
    leave = Leave(session=other, member=ann.device.client, member_key=ann.device.fingerprint, at=START)
    await bob.pushes.handle(bob.connection, LeavePush(push="p", leave=sign(leave, ann.device.key)))
    assert (bob.told, bob.hub.asked) == ([], [])


# -- resync -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "ended"),
    [(Reason.NOT_A_MEMBER, True), (Reason.SESSION_CLOSED, True), (Reason.RATE_LIMITED, False)],
)
async def test_a_session_that_the_hub_does_not_show_ends_only_where_it_is_over(
    bob: DeviceParts, attended: AttendedSession, reason: Reason, ended: bool
) -> None:
    bob.hub.answers(GetSession, HubRefused(reason))
    await bob.pushes.handle(bob.connection, update(attended.id, "changed"))
    assert endings(bob) == ([(reason, Sayer.HUB)] if ended else [])


@pytest.mark.parametrize(
    ("open_", "mine", "ended"),
    [
        (False, (MemberState.JOINED, None), Reason.SESSION_CLOSED),
        (True, (MemberState.OUT, Reason.NOT_TRUSTED), Reason.NOT_TRUSTED),
        (True, (MemberState.OUT, None), Reason.SESSION_CLOSED),
    ],
)
async def test_a_resync_ends_what_is_over(
    bob: DeviceParts, hosted: HostedSession, open_: bool, mine: tuple[MemberState, Reason | None], ended: Reason
) -> None:
    bob.hub.answers(GetSession, reply_of(hosted, row(bob, *mine), open=open_))
    await bob.pushes.handle(bob.connection, update(hosted.id, "changed"))
    assert endings(bob) == [(ended, Sayer.HUB)]


async def test_missed_epochs_are_read_until_the_hubs_newest(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, hosted: HostedSession, attended: AttendedSession
) -> None:
    request = await next_epoch(ann, hosted, cat)
    push = push_of(request, bob)
    bob.hub.answers(
        GetSession, reply_of(hosted, row(ann), row(bob), row(cat), epochs=(push.epoch,), sealed=push.sealed)
    )
    await bob.pushes.handle(bob.connection, update(hosted.id, "changed"))
    assert attended.epoch == hosted.epoch == 3
    assert (attended.created_at, attended.ends_at) == (None, START + MAX_SESSION_MS), "no word of the hub"
    assert bob.hub.count(GetSession) == 1
    assert attended.export_key("files") == hosted.export_key("files")


async def test_a_resync_that_brings_nothing_new_asks_no_second_time(
    ann: DeviceParts, bob: DeviceParts, hosted: HostedSession, attended: AttendedSession
) -> None:
    bob.hub.answers(GetSession, reply_of(hosted, row(ann), row(bob), epoch=9))
    await bob.pushes.handle(bob.connection, update(hosted.id, "changed"))
    assert bob.hub.count(GetSession) == 1
    assert attended.epoch == 2


async def test_a_newest_epoch_without_a_key_has_the_creator_admit_this_member_again(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, hosted: HostedSession
) -> None:
    request = await next_epoch(ann, hosted, cat)
    bob.hub.answers(GetSession, reply_of(hosted, row(ann), row(bob), epochs=(request.epoch,)))
    for answer in (AWAY, HubRefused(Reason.RATE_LIMITED)):
        bob.hub.answers(ResumeSession, answer)
        await bob.pushes.handle(bob.connection, update(hosted.id, "changed"))
        assert bob.hub.newest(ResumeSession).session == hosted.id
    assert endings(bob) == []


async def test_an_epoch_that_follows_a_missed_one_is_made_good_by_a_resync(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, dan: DeviceParts, hosted: HostedSession
) -> None:
    first = push_of(await next_epoch(ann, hosted, cat), bob)
    second = push_of(await next_epoch(ann, hosted, dan), bob)
    epochs = (first.epoch, second.epoch)
    bob.hub.answers(GetSession, reply_of(hosted, row(ann), row(bob), epochs=epochs, sealed=second.sealed))
    await bob.pushes.handle(bob.connection, second)
    assert bob.attended(hosted).epoch == hosted.epoch == 4


@pytest.mark.parametrize("leave", [None, AWAY, HubRefused(Reason.NOT_A_MEMBER)])
async def test_a_fork_makes_this_member_leave(
    ann: DeviceParts,
    bob: DeviceParts,
    cat: DeviceParts,
    hosted: HostedSession,
    leave: MusterError | None,
) -> None:
    if leave is not None:
        bob.hub.answers(SendLeave, leave)
    push = push_of(await next_epoch(ann, hosted, cat), bob)
    await bob.pushes.handle(bob.connection, push)
    epoch = read(push.epoch, Epoch)
    forked = replace(push, epoch=sign(replace(epoch, at=TimeMs(epoch.at + 1)), ann.device.key))
    await bob.pushes.handle(bob.connection, forked)
    assert endings(bob) == [(Reason.EPOCH_FORKED, Sayer.DEVICE)]
    assert read(bob.hub.newest(SendLeave).leave, Leave).session == hosted.id


async def test_the_keys_of_a_session_that_ended_are_destroyed_and_of_no_other(
    ann: DeviceParts, bob: DeviceParts, attended: AttendedSession
) -> None:
    other = await join(ann, await host(ann, bob), bob)
    invite = await call(ann, await host(ann, bob), bob)
    await bob.answering.on_invite(invite)
    await attended.leave()
    bob.membership.end_in_time()
    assert set(bob.answering._joinings) == {other.admitted_by, read(invite, Invite).invite}


# -- after a restart --------------------------------------------------------------------------------------------------


def summary(session: HostedSession, *, open_: bool = True) -> SessionSummary:
    members = (session.creator,)
    return SessionSummary(session.id, session.creator, Mode.JOIN, None, open_, START, TimeMs(START + 1000), members)


@pytest.mark.parametrize("answer", [None, HubRefused(Reason.SESSION_CLOSED)])
async def test_a_new_process_closes_its_own_sessions_and_resumes_those_of_others(
    ann: DeviceParts, bob: DeviceParts, hosted: HostedSession, answer: MusterError | None
) -> None:
    for parts, kind in ((ann, CloseSession), (bob, ResumeSession)):
        parts.restart()
        parts.hub.answers(ListSessions, SessionsReply(re=0, sessions=(summary(hosted),), more=False))
        parts.hub.answers(GetSession, reply_of(hosted, row(bob)))
        if answer is not None:
            parts.hub.answers(kind, answer)
        await parts.membership.on_welcome(parts.connection)
        assert parts.hub.newest(kind).session == hosted.id  # type: ignore[attr-defined]


async def test_a_session_that_is_over_is_neither_closed_nor_resumed(bob: DeviceParts, hosted: HostedSession) -> None:
    bob.restart()
    bob.hub.answers(ListSessions, SessionsReply(re=0, sessions=(summary(hosted, open_=False),), more=False))
    await bob.membership.on_welcome(bob.connection)
    assert bob.hub.count(ResumeSession) == 0


async def test_without_a_list_of_sessions_the_agent_goes_on(bob: DeviceParts, attended: AttendedSession) -> None:
    bob.hub.answers(ListSessions, HubRefused(Reason.RATE_LIMITED))
    await bob.membership.on_welcome(bob.connection)
    assert bob.membership.sessions() == (attended,)
    assert bob.hub.count(GetSession) == 0


# -- members ----------------------------------------------------------------------------------------------------------


async def test_a_joined_of_another_key_or_session_is_not_believed(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, hosted: HostedSession, attended: AttendedSession
) -> None:
    request = await next_epoch(ann, hosted, cat)
    await bob.pushes.handle(bob.connection, push_of(request, bob))
    await cat.membership.on_admission(request.admissions[0])
    said = cat.hub.newest(SendJoined).joined
    body = read(said, Joined)
    forged: list[Signed] = [
        replace(said, signature=bytes(64)),
        sign(body, ann.device.key),
        sign(replace(body, member=ann.device.client), cat.device.key),
    ]
    for one in forged:
        await bob.pushes.handle(bob.connection, JoinedPush(push="p", joined=one))
    states = {member.client: member.state for member in attended.members}
    assert states[cat.device.client] is MemberState.SEATED
    await bob.pushes.handle(bob.connection, JoinedPush(push="p", joined=said))
    assert {member.client: member.state for member in attended.members}[cat.device.client] is MemberState.JOINED


async def test_a_joined_that_did_not_reach_the_hub_is_sent_again(bob: DeviceParts, attended: AttendedSession) -> None:
    said = bob.hub.newest(SendJoined)
    attended._unsaid = said.joined
    bob.hub.answers(SendJoined, AWAY)
    await attended.say_joined()
    bob.hub.answers(SendJoined, HubRefused(Reason.NOT_A_MEMBER))
    for _ in range(2):
        await attended.say_joined()
    assert bob.hub.asked.count(said) == 3, "the first one, one that was lost, and one that was refused for good"


async def test_a_member_leaves_by_a_signed_statement(ann: DeviceParts, bob: DeviceParts, hosted: HostedSession) -> None:
    bob.hub.answers(SendLeave, HubRefused(Reason.NOT_A_MEMBER))
    await bob.attended(hosted).leave()
    assert endings(bob) == [(None, Sayer.DEVICE)]
    leave = bob.hub.newest(SendLeave).leave
    await ann.pushes.handle(ann.connection, LeavePush(push="p", leave=replace(leave, signature=bytes(64))))
    assert {member.state for member in hosted.members} == {MemberState.JOINED}
    await ann.pushes.handle(ann.connection, LeavePush(push="p", leave=leave))
    assert [member.state for member in hosted.members] == [MemberState.JOINED, MemberState.OUT]


async def test_a_leave_without_a_reply_leaves_the_session_open(bob: DeviceParts, attended: AttendedSession) -> None:
    bob.hub.answers(SendLeave, AWAY)
    with pytest.raises(HubUnreachable):
        await attended.leave()
    assert endings(bob) == []


async def test_only_the_creator_calls_and_closes(ann: DeviceParts, attended: AttendedSession) -> None:
    with pytest.raises(UnknownSession):
        await attended.close()
    with pytest.raises(UnknownSession):
        await attended.invite([ann.device.client])
    await attended.cancel()
    assert attended.targets == {}
