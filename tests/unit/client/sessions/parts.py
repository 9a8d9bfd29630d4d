"""The sessions of one device in this process, and a hub that answers each request as a test says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from muster_client.connection.connection import HubConnection
from muster_client.connection.link import Link
from muster_client.connection.tries import MAX_TRIES, Check, unchecked
from muster_client.device.device import Device
from muster_client.device.session_request import SessionRequest
from muster_client.events import Event
from muster_client.sessions.answering import Answering, Policy
from muster_client.sessions.context import SessionContext
from muster_client.sessions.create import create_session
from muster_client.sessions.hosted import HostedSession
from muster_client.sessions.joined import AttendedSession
from muster_client.sessions.leaves import Leaves
from muster_client.sessions.membership import Membership
from muster_client.sessions.pushes import Pushes
from muster_client.sessions.session import Session
from muster_protocol.cards import Mode
from muster_protocol.errors import MusterError
from muster_protocol.frames import (
    Admit,
    Admitted,
    CardReply,
    GetCard,
    InviteResult,
    InviteResults,
    Ok,
    Purpose,
    Reply,
    Request,
    SendAnswer,
    SendInvites,
    SendJoined,
)
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

E = TypeVar("E", bound=Event)
Q = TypeVar("Q", bound=Request)
R = TypeVar("R", bound=Reply)
Answer = Reply | MusterError | Callable[[Any], Reply]


class AnsweringHub:
    """A link, and a connection, to a hub that says yes to all but what a test has it answer in another way."""

    def __init__(self) -> None:
        self.standing: Reason | None = None
        self.asked: list[Request] = []
        self._answers: dict[type[Request], Answer] = {
            SendInvites: lambda request: InviteResults(re=0, results=()),
            Admit: Admitted(re=0, rejected=()),
        }

    def answers(self, kind: type[Request], answer: Answer) -> None:
        """Answer requests of this kind with a reply, an error, or what a function returns for the request."""
        self._answers[kind] = answer

    async def in_step(self) -> None:
        return

    async def ask(self, request: Request, reply: type[R], check: Check = unchecked, max_tries: int = MAX_TRIES) -> R:
        check()
        self.asked.append(request)
        answer = self._answers.get(type(request), Ok(re=0))
        if isinstance(answer, MusterError):
            raise answer
        said = answer if isinstance(answer, Reply) else answer(request)
        assert isinstance(said, reply)
        return said

    def newest(self, kind: type[Q]) -> Q:
        """Return the newest request of this kind."""
        return [request for request in self.asked if isinstance(request, kind)][-1]

    def count(self, kind: type[Request]) -> int:
        """Return how many requests of this kind came."""
        return sum(isinstance(request, kind) for request in self.asked)


@dataclass(slots=True)
class DeviceParts:
    """What an agent makes for its sessions."""

    device: Device
    policy: Policy = field(default_factory=Policy)
    hub: AnsweringHub = field(default_factory=AnsweringHub)
    told: list[Event] = field(default_factory=list)
    entered: list[Session] = field(default_factory=list)
    context: SessionContext = field(init=False)
    answering: Answering = field(init=False)
    membership: Membership = field(init=False)
    pushes: Pushes = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin again as a new process of the device does: all that was in memory is gone."""
        link = cast("Link", self.hub)
        self.context = SessionContext(self.device, link, self.device.clock, self.told.append, Leaves(link))
        self.answering = Answering(self.context, self.policy)
        self.membership = Membership(self.context, self.answering, self.entered.append)
        self.pushes = Pushes(self.context, self.answering, self.membership)

    @property
    def connection(self) -> HubConnection:
        return cast("HubConnection", self.hub)

    def events(self, kind: type[E]) -> list[E]:
        """Return the events of this kind that were reported."""
        return [event for event in self.told if isinstance(event, kind)]

    def attended(self, session: HostedSession) -> AttendedSession:
        """Return this device's side of a session of another device."""
        found = self.membership.attended(session.id)
        assert found is not None
        return found


def befriend(*parts: DeviceParts) -> None:
    """Let devices trust each other, grant each other everything, and know each other's cards."""
    for one in parts:
        cards = {other.device.client: other.device.card() for other in parts}
        one.hub.answers(GetCard, lambda request, cards=cards: CardReply(re=0, card=cards[request.client]))  # type: ignore[misc]
        for other in parts:
            if one is not other and other.device.client not in one.device.peers.pins():
                one.device.peers.trust(other.device.client, other.device.fingerprint, other.device.path.name)
                one.device.peers.grant(other.device.client, mode=Mode.SYNCHRONIZE)


async def host(creator: DeviceParts, *targets: DeviceParts) -> HostedSession:
    """Create a session, and call no device yet."""
    session = await create_session(creator.context, SessionRequest(tuple(one.device.client for one in targets)))
    creator.membership.add(session)
    return session


async def call(
    creator: DeviceParts, session: HostedSession, target: DeviceParts, purpose: Purpose = Purpose.AUTO
) -> Signed:
    """Call a device, and return the invite as the hub would push it."""
    await session.invite([target.device.client], purpose=purpose)
    (invite,) = creator.hub.newest(SendInvites).invites
    return invite


async def admit(creator: DeviceParts, session: HostedSession, answer: Signed) -> Admit:
    """Have the creator take an answer and ask the hub for the next epoch; return that request."""
    creator.membership.on_answer(answer)
    session._take_answers()
    await session._admit()
    return creator.hub.newest(Admit)


async def join(creator: DeviceParts, session: HostedSession, target: DeviceParts) -> AttendedSession:
    """Bring a device into a session: all four messages."""
    await target.answering.on_invite(await call(creator, session, target))
    request = await admit(creator, session, target.hub.newest(SendAnswer).answer)
    await target.membership.on_admission(request.admissions[0])
    await creator.membership.on_joined(target.hub.newest(SendJoined).joined)
    return target.attended(session)


def refused(request: SendInvites, client: Any, reason: Reason) -> InviteResults:
    """Return the reply in which the hub refuses the call of one device."""
    return InviteResults(re=0, results=(InviteResult(client, reason),))
