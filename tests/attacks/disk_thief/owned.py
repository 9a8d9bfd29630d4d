"""Every request of the protocol as a device's own agent may put it, each of which succeeds."""

from collections.abc import Awaitable, Callable

from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.sessions.test_sessions import leave
from tests.integration.hub.stage import Actor, call_in, invite_and_answer, receive_key

from muster_protocol.cards import Mode
from muster_protocol.frames import (
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
    Purpose,
    PutStatement,
    Request,
    ResumeSession,
    SendAnswer,
    SendInvites,
    SendJoined,
    SendLeave,
    Watch,
    Who,
    Why,
)

Owned = Callable[[Actor, Actor], Awaitable[Request]]


def plain(request: Callable[[Actor, Actor], Request]) -> Owned:
    async def ask(owner: Actor, friend: Actor) -> Request:
        return request(owner, friend)

    return ask


def in_its_session(request: Callable[[Actor, Actor], Request]) -> Owned:
    """Ask about a session that the owner created and the friend joined."""

    async def ask(owner: Actor, friend: Actor) -> Request:
        await owner.create()
        await call_in(owner, friend)
        return request(owner, friend)

    return ask


def put_trust(owner: Actor, friend: Actor) -> Request:
    kind, statement = owner.device.trust(SigningDevice())
    return PutStatement(id=1, kind=kind, statement=statement)


async def invite(owner: Actor, friend: Actor) -> Request:
    await owner.create()
    return SendInvites(id=1, session=owner.session, invites=(owner.invite(friend),))


async def cancel(owner: Actor, friend: Actor) -> Request:
    await owner.create()
    await owner.call(friend)
    live = (await friend.take_invite()).received.invite
    return CancelInvite(id=1, session=live.session, client=friend.client, invite=live.invite)


async def answer(owner: Actor, friend: Actor) -> Request:
    await friend.create()
    await friend.call(owner)
    return SendAnswer(id=1, answer=(await owner.take_invite()).accept(receive_key(), now_ms()))


async def admit(owner: Actor, friend: Actor) -> Request:
    await owner.create()
    await invite_and_answer(owner, friend)
    return owner.admission()


async def joined(owner: Actor, friend: Actor) -> Request:
    await friend.create()
    await invite_and_answer(friend, owner)
    assert not (await friend.admit()).rejected
    return SendJoined(id=1, joined=(await owner.take_admission()).joined_statement(receive_key(), now_ms()))


async def resume(owner: Actor, friend: Actor) -> Request:
    await friend.create()
    await invite_and_answer(friend, owner)
    assert not (await friend.admit()).rejected
    return ResumeSession(id=1, session=friend.session)


async def clear(owner: Actor, friend: Actor) -> Request:
    await owner.line.ask_any(ConfirmToken(id=1, counter=1))
    return ClearSuspicion(id=1)


def why(owner: Actor, friend: Actor) -> Request:
    return Why(id=1, creator=owner.client, target=friend.client, mode=Mode.JOIN, profile=None, purpose=Purpose.AUTO)


OWNED: dict[type[Request], Owned] = {
    PutStatement: plain(put_trust),
    ListStatements: plain(lambda owner, friend: ListStatements(id=1, after=0)),
    GetCard: plain(lambda owner, friend: GetCard(id=1, client=friend.client)),
    ClearSuspicion: clear,
    MakeCode: plain(lambda owner, friend: MakeCode(id=1)),
    ConfirmToken: plain(lambda owner, friend: ConfirmToken(id=1, counter=1)),
    Ack: plain(lambda owner, friend: Ack(id=1, pushes=("any",))),
    Who: plain(lambda owner, friend: Who(id=1, clients=(friend.client,))),
    Watch: plain(lambda owner, friend: Watch(id=1, clients=(friend.client,))),
    Why: plain(why),
    CreateSession: plain(lambda owner, friend: owner.plan()),
    SendInvites: invite,
    CancelInvite: cancel,
    SendAnswer: answer,
    Admit: admit,
    SendJoined: joined,
    SendLeave: in_its_session(lambda owner, friend: leave(owner, owner.session)),
    CloseSession: in_its_session(lambda owner, friend: CloseSession(id=1, session=owner.session)),
    GetSession: in_its_session(lambda owner, friend: GetSession(id=1, session=owner.session, after=0)),
    ListSessions: in_its_session(lambda owner, friend: ListSessions(id=1)),
    ResumeSession: resume,
}
"""A request that the protocol has and that is missing here fails the tests that try all of them."""
