"""Every request of the protocol as a stranger may put it, so that it touches a device which does not trust it."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.attacks.stranger.targets import Victim
from tests.attacks.stranger.uninvited import admission, admit, epoch_of
from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.stage import Actor, invite_and_answer, receive_key

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.epochs import epoch_hash
from muster_protocol.exchange import Answer, Joined, Leave
from muster_protocol.frames import (
    MAX_PAGE,
    Ack,
    Admit,
    CancelInvite,
    ClearSuspicion,
    CloseSession,
    ConfirmToken,
    CreateSession,
    GetCard,
    GetSession,
    ListSessions,
    ListStatements,
    MakeCode,
    Ok,
    Purpose,
    PutStatement,
    Request,
    ResumeSession,
    SealedFor,
    SendAnswer,
    SendInvites,
    SendJoined,
    SendLeave,
    SessionKind,
    Watch,
    Who,
    Why,
)
from muster_protocol.ids import GrantId, Hash
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed


@dataclass(frozen=True, slots=True)
class StrangerAtWork:
    """A device whom the target does not trust, with an accomplice of its own, and the target as the stranger names it.

    The stranger itself trusts the target and granted it everything.
    """

    me: Actor
    accomplice: Actor
    target: Victim

    @property
    def victim(self) -> SigningDevice:
        return self.target.device

    async def session(self, kind: SessionKind = SessionKind.STAR) -> CreateSession:
        """Create a session of the stranger's own."""
        request = self.me.plan(kind=kind)
        await self.me.ask(request, Ok)
        self.me.inviting.committed(now_ms())
        return request


Asked = Callable[[StrangerAtWork], Awaitable[Request]]

# -- statements -------------------------------------------------------------------------------------------------------


def put(say: Callable[[StrangerAtWork], tuple[Kind, Signed]]) -> Asked:
    async def ask(stranger: StrangerAtWork) -> Request:
        kind, statement = say(stranger)
        return PutStatement(id=1, kind=kind, statement=statement)

    return ask


STATEMENTS: tuple[Asked, ...] = (
    put(lambda s: s.me.device.trust(s.victim)),
    put(lambda s: s.me.device.trust(s.victim, SigningDevice().fingerprint)),
    put(lambda s: s.me.device.untrust(s.victim)),
    put(lambda s: s.me.device.grant(s.victim)),
    put(lambda s: s.me.device.revocation(s.victim, GrantId(bytes(16)))),
    put(lambda s: (Kind.CARD, s.me.device.card(new=True))),
)

# -- sessions ---------------------------------------------------------------------------------------------------------


async def create_its_session(stranger: StrangerAtWork) -> Request:
    target, me = stranger.target, stranger.me.device
    request = stranger.me.plan()
    epoch = epoch_of(stranger.me, target.session, None, me, number=1)
    return CreateSession(
        id=1,
        session=target.session,
        seed=target.seed,
        mode=request.mode,
        profile=None,
        kind=request.kind,
        lasts_ms=1_000,
        epoch=epoch,
    )


def invite(purpose: Purpose, kind: SessionKind) -> Asked:
    async def ask(stranger: StrangerAtWork) -> Request:
        created = await stranger.session(kind)
        await invite_and_answer(stranger.me, stranger.accomplice)
        assert not (await stranger.me.admit()).rejected
        signed = stranger.me.invite(stranger.victim, purpose)
        return SendInvites(id=1, session=created.session, invites=(signed,))

    return ask


async def invite_to_its_session(stranger: StrangerAtWork) -> Request:
    await stranger.session()
    signed = stranger.me.invite(stranger.victim)
    return SendInvites(id=1, session=stranger.target.session, invites=(signed,))


async def invite_to_no_session(stranger: StrangerAtWork) -> Request:
    stranger.me.plan()
    signed = stranger.me.invite(stranger.victim)
    return SendInvites(id=1, session=stranger.me.session, invites=(signed,))


async def cancel_its_invite(stranger: StrangerAtWork) -> Request:
    target = stranger.target
    return CancelInvite(id=1, session=target.session, client=target.device.client, invite=target.invite)


async def cancel_an_ended_invite(stranger: StrangerAtWork) -> Request:
    await stranger.session()
    [joining] = await invite_and_answer(stranger.me, stranger.accomplice)
    ended = joining.received.invite
    cancelled = CancelInvite(id=1, session=ended.session, client=ended.recipient, invite=ended.invite)
    await stranger.me.ask(cancelled, Ok)
    return CancelInvite(id=1, session=ended.session, client=stranger.victim.client, invite=ended.invite)


def answer(*, accept: bool, to_the_creator: bool) -> Asked:
    async def ask(stranger: StrangerAtWork) -> Request:
        target, me = stranger.target, stranger.me.device
        recipient = target.device if to_the_creator else stranger.accomplice.device
        body = Answer(
            session=target.session,
            invite=target.invite,
            sender=me.client,
            recipient=recipient.client,
            sender_key=me.fingerprint,
            recipient_key=recipient.fingerprint,
            purpose=Purpose.AUTO,
            mode=Mode.JOIN,
            profile=None,
            protocol=ProtocolRange(1, 1),
            at=now_ms(),
            invite_hash=Hash(os.urandom(32)),
            receive_key=receive_key().public if accept else None,
            reason=None if accept else Reason.CANNOT_OPEN,
        )
        return SendAnswer(id=1, answer=me.sign(body))

    return ask


def admit_it(purpose: Purpose) -> Asked:
    async def ask(stranger: StrangerAtWork) -> Request:
        return admit(stranger.me, await stranger.session(), stranger.victim, purpose=purpose)

    return ask


async def admit_it_as_a_member(stranger: StrangerAtWork) -> Request:
    """The stranger's epoch has the target as a member from before, whom each newcomer of a mesh must trust."""
    created = await stranger.session(SessionKind.MESH)
    [joining] = await invite_and_answer(stranger.me, stranger.accomplice)
    members = (stranger.me.device, stranger.victim, stranger.accomplice.device)
    epoch = epoch_of(stranger.me, created.session, epoch_hash(created.epoch), *members)
    invited = joining.received.invite
    admitted = admission(stranger.me, created, epoch, members[-1], purpose=invited.purpose, invite=invited.invite)
    sealed = (SealedFor(stranger.victim.client, bytes(1168)),)
    return Admit(id=1, session=created.session, epoch=epoch, sealed=sealed, admissions=(admitted,))


async def admit_to_its_session(stranger: StrangerAtWork) -> Request:
    target, me = stranger.target, stranger.me.device
    epoch = epoch_of(stranger.me, target.session, target.epoch, target.device, me, number=3)
    return Admit(id=1, session=target.session, epoch=epoch, sealed=(), admissions=())


async def joined_its_session(stranger: StrangerAtWork) -> Request:
    target, me = stranger.target, stranger.me.device
    body = Joined(
        session=target.session,
        member=me.client,
        member_key=me.fingerprint,
        epoch=target.epoch,
        admission=None,
        receive_key=receive_key().public,
        at=now_ms(),
    )
    return SendJoined(id=1, joined=me.sign(body))


async def leave_its_session(stranger: StrangerAtWork) -> Request:
    target, me = stranger.target, stranger.me.device
    body = Leave(session=target.session, member=me.client, member_key=me.fingerprint, at=now_ms())
    return SendLeave(id=1, leave=me.sign(body))


# -- the rest ---------------------------------------------------------------------------------------------------------


def plain(request: Callable[[StrangerAtWork], Request]) -> Asked:
    async def ask(stranger: StrangerAtWork) -> Request:
        return request(stranger)

    return ask


def why(*, calls: bool, purpose: Purpose) -> Asked:
    def request(stranger: StrangerAtWork) -> Request:
        me, victim = stranger.me.client, stranger.victim.client
        creator, target = (me, victim) if calls else (victim, me)
        return Why(id=1, creator=creator, target=target, mode=Mode.JOIN, profile=None, purpose=purpose)

    return plain(request)


def why_it_calls_another(stranger: StrangerAtWork) -> Request:
    creator, target = stranger.victim.client, stranger.accomplice.client
    return Why(id=1, creator=creator, target=target, mode=Mode.JOIN, profile=None, purpose=Purpose.ASK)


ASKED: dict[type[Request], tuple[Asked, ...]] = {
    PutStatement: STATEMENTS,
    ListStatements: (plain(lambda s: ListStatements(id=1, after=MAX_PAGE)),),
    GetCard: (plain(lambda s: GetCard(id=1, client=s.victim.client)),),
    ClearSuspicion: (plain(lambda s: ClearSuspicion(id=1)),),
    MakeCode: (plain(lambda s: MakeCode(id=1)),),
    ConfirmToken: (plain(lambda s: ConfirmToken(id=1, counter=1)),),
    Ack: (plain(lambda s: Ack(id=1, pushes=(s.target.push,))),),
    Who: (plain(lambda s: Who(id=1, clients=(s.victim.client,))),),
    Watch: (plain(lambda s: Watch(id=1, clients=(s.victim.client,))),),
    Why: (
        *(why(calls=calls, purpose=purpose) for calls in (True, False) for purpose in Purpose),
        plain(why_it_calls_another),
    ),
    CreateSession: (plain(lambda s: s.me.plan()), create_its_session),
    SendInvites: (
        *(invite(purpose, kind) for purpose in Purpose for kind in SessionKind),
        invite_to_its_session,
        invite_to_no_session,
    ),
    CancelInvite: (cancel_its_invite, cancel_an_ended_invite),
    SendAnswer: tuple(answer(accept=yes, to_the_creator=creator) for yes in (True, False) for creator in (True, False)),
    Admit: (*(admit_it(purpose) for purpose in Purpose), admit_it_as_a_member, admit_to_its_session),
    SendJoined: (joined_its_session,),
    SendLeave: (leave_its_session,),
    CloseSession: (plain(lambda s: CloseSession(id=1, session=s.target.session)),),
    GetSession: (plain(lambda s: GetSession(id=1, session=s.target.session, after=0)),),
    ListSessions: (plain(lambda s: ListSessions(id=1)),),
    ResumeSession: (plain(lambda s: ResumeSession(id=1, session=s.target.session)),),
}
"""The ways to put each request; one that the protocol has and that is missing here fails the test of the views."""
