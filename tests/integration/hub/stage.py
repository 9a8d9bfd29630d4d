"""Devices that call each other by the protocol's own machines, over a link to a hub or a seat at a desk."""

import os
from typing import Any, TypeVar

from tests.integration.hub.desk import Desk, Line
from tests.integration.hub.device import SigningDevice, now_ms
from tests.own_store import StoredData

from muster_hub.store import keys
from muster_hub.store.cells import data, items
from muster_protocol.calls import Plan
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    Ack,
    AdmissionPush,
    Admit,
    Admitted,
    AnswerPush,
    CreateSession,
    Error,
    GetSession,
    InvitePush,
    InviteResults,
    JoinedPush,
    Ok,
    Purpose,
    Push,
    PutStatement,
    Reply,
    Request,
    SealedFor,
    SendAnswer,
    SendInvites,
    SendJoined,
    SessionKind,
    SessionReply,
)
from muster_protocol.ids import ClientId, Fingerprint, InviteId, Seed, SessionId, TimeMs
from muster_protocol.inviting import Inviting
from muster_protocol.joining import Joining, read_invite
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.sealing import EpochKey, ReceiveKey
from muster_protocol.signed import Signed

P = TypeVar("P", bound=Push)
R = TypeVar("R", bound=Reply)


class Actor:
    """A device with a line to the hub, as creator of one session and as member of others."""

    def __init__(self, device: SigningDevice, line: Line) -> None:
        self.device = device
        self.line = line
        self.inviting: Inviting
        self.store = StoredData(device.client, device.fingerprint)
        self.joining: dict[SessionId, Joining] = {}
        self.peers: dict[ClientId, SigningDevice] = {device.client: device}
        self._handled: set[str] = set()

    @property
    def client(self) -> ClientId:
        return self.device.client

    @property
    def session(self) -> SessionId:
        return self.inviting.plan.session

    def pins(self) -> dict[ClientId, Fingerprint]:
        return {client: peer.fingerprint for client, peer in self.peers.items()}

    async def ask(self, request: Request, expected: type[R]) -> R:
        reply = await self.line.ask_any(request)
        assert isinstance(reply, expected), f"expected {expected.__name__}, got {reply}"
        return reply

    async def refused(self, request: Request) -> Error:
        return await self.ask(request, Error)

    async def say(self, *said: tuple[Any, Signed]) -> None:
        """Publish statements."""
        for kind, signed in said:
            await self.ask(PutStatement(id=0, kind=kind, statement=signed), Ok)

    async def say_without_store(self, kind: Kind, signed: Signed) -> None:
        """Publish a statement while the store does not answer."""
        refused = await self.refused(PutStatement(id=0, kind=kind, statement=signed))
        assert refused.reason is Reason.STORE_UNAVAILABLE

    async def trust(self, *peers: "Actor") -> None:
        for peer in peers:
            self.peers[peer.client] = peer.device
            await self.say(self.device.trust(peer.device))

    # -- as the creator -------------------------------------------------------------------------------------------

    def plan(
        self, mode: Mode = Mode.JOIN, profile: str | None = None, kind: SessionKind = SessionKind.STAR
    ) -> CreateSession:
        plan = Plan(self.client, Seed(os.urandom(16)), mode, profile, kind, ProtocolRange(1, 1))
        self.inviting = Inviting(self.device.key, plan, self.store)
        epoch = self.inviting.begin(EpochKey(os.urandom(32)), now_ms())
        return CreateSession(
            id=1,
            session=plan.session,
            seed=plan.seed,
            mode=mode,
            profile=profile,
            kind=kind,
            lasts_ms=3_600_000,
            epoch=epoch,
        )

    async def create(
        self, mode: Mode = Mode.JOIN, profile: str | None = None, kind: SessionKind = SessionKind.STAR
    ) -> SessionId:
        request = self.plan(mode, profile, kind)
        await self.ask(request, Ok)
        self.inviting.committed(now_ms())
        return request.session

    def invite(
        self,
        peer: "Actor | SigningDevice",
        purpose: Purpose = Purpose.AUTO,
        lasts_ms: int = 300_000,
        invite: bytes = b"",
    ) -> Signed:
        device = peer.device if isinstance(peer, Actor) else peer
        now = now_ms()
        # The hub decides here: the creator itself would call everybody.
        self.store.agree({device.client: device.fingerprint})
        name = InviteId(invite or os.urandom(16))
        return self.inviting.invite(
            device.client,
            device.key.public,
            invite=name,
            purpose=purpose,
            expires_at=TimeMs(now + lasts_ms),
            now=now,
        )

    async def call(self, *peers: "Actor", purpose: Purpose = Purpose.AUTO) -> InviteResults:
        signed = tuple(self.invite(peer, purpose) for peer in peers)
        return await self.ask(SendInvites(id=2, session=self.session, invites=signed), InviteResults)

    async def take_answer(self) -> None:
        push = await self.next_push(AnswerPush)
        by_key = {device.fingerprint: client for client, device in self.peers.items()}
        self.inviting.on_answer(push.answer, by_key[push.answer.signer], now_ms())

    def admission(self) -> Admit:
        made = self.inviting.admit(EpochKey(os.urandom(32)), now_ms())
        assert made is not None
        return Admit(
            id=3,
            session=self.session,
            epoch=made.epoch,
            sealed=tuple(SealedFor(client, sealed) for client, sealed in made.sealed),
            admissions=tuple(signed for _, signed in made.admissions),
        )

    async def admit(self) -> Admitted:
        admitted = await self.ask(self.admission(), Admitted)
        if admitted.rejected:
            self.inviting.rejected({each.client: each.reason for each in admitted.rejected if each.reason}, now_ms())
        else:
            self.inviting.committed(now_ms())
        return admitted

    async def take_joined(self) -> None:
        push = await self.next_push(JoinedPush)
        by_key = {device.fingerprint: client for client, device in self.peers.items()}
        self.inviting.on_joined(push.joined, by_key[push.joined.signer])

    # -- as a called device ---------------------------------------------------------------------------------------

    async def take_invite(self) -> Joining:
        push = await self.next_push(InvitePush)
        creator = next(peer for peer in self.peers.values() if peer.fingerprint == push.invite.signer)
        received = read_invite(push.invite, creator.key.public, self.client, self.device.fingerprint)
        self.store.agree(self.pins())
        joining = Joining(self.device.key, received, self.device.protocol, self.store)
        self.joining[received.invite.session] = joining
        return joining

    async def accept(self) -> Joining:
        joining = await self.take_invite()
        await self.ask(SendAnswer(id=4, answer=joining.accept(receive_key(), now_ms())), Ok)
        return joining

    async def take_admission(self) -> Joining:
        return self.open_admission((await self.next_push(AdmissionPush)).admission)

    async def read_admission(self, session: SessionId) -> Joining:
        """Take the admission that waits in a session: its push was lost."""
        shown = await self.show(session)
        assert shown.admission is not None
        return self.open_admission(shown.admission)

    def open_admission(self, admission: Signed) -> Joining:
        self.store.agree(self.pins())
        for joining in self.joining.values():
            try:
                joining.on_admission(admission, now_ms())
            except Refused:
                continue
            return joining
        raise AssertionError("no invite fits the admission")

    async def say_joined(self, joining: Joining) -> None:
        statement = joining.joined_statement(receive_key(), now_ms())
        await self.ask(SendJoined(id=5, joined=statement), Ok)

    async def join(self) -> Joining:
        joining = await self.take_admission()
        await self.say_joined(joining)
        return joining

    # -- as anybody -----------------------------------------------------------------------------------------------

    async def next_push(self, expected: type[P]) -> P:
        """Wait for a push that was not handled yet, and acknowledge it; the hub may deliver one more than once."""
        while True:
            push = await self.line.next_push(expected)
            if push.push is None:
                return push
            known = push.push in self._handled
            self._handled.add(push.push)
            await self.acknowledge(push)
            if not known:
                return push

    async def acknowledge(self, push: Push) -> None:
        assert push.push is not None
        await self.ask(Ack(id=6, pushes=(push.push,)), Ok)

    async def show(self, session: SessionId, after: int = 0) -> SessionReply:
        return await self.ask(GetSession(id=7, session=session, after=after), SessionReply)


def receive_key() -> ReceiveKey:
    """Return a fresh receive key."""
    return ReceiveKey.from_seed(os.urandom(96))


async def befriend(*actors: Actor, grants: bool = True) -> None:
    """Let all trust each other, and grant each other automatic joins in every mode."""
    for one in actors:
        others = [other for other in actors if other is not one]
        await one.trust(*others)
        if grants:
            await one.say(*(one.device.grant(other.device) for other in others))


async def invite_and_answer(creator: Actor, *targets: Actor) -> list[Joining]:
    """Invite targets, each of which accepts: all that comes before the admission."""
    results = await creator.call(*targets)
    assert [result.reason for result in results.results] == [None] * len(targets)
    joinings = []
    for target in targets:
        joinings.append(await target.accept())
        await creator.take_answer()
    return joinings


async def call_in(creator: Actor, *targets: Actor) -> None:
    """Invite targets and let all of them join."""
    await invite_and_answer(creator, *targets)
    assert not (await creator.admit()).rejected
    for target in targets:
        await target.join()
        await creator.take_joined()


async def age_seats(desk: Desk, session: SessionId, by_ms: int) -> None:
    """Bring the deadline of each seat that waits for its ``joined`` nearer, as time does."""
    due = keys.due(keys.bucket(session))
    for seat in items(await desk.store.ask(b"ZRANGE", due, b"0", b"-1")):
        await desk.store.ask(b"ZINCRBY", due, b"-%d" % by_ms, data(seat))


async def actor(desk: Desk, name: str = "") -> Actor:
    """Seat a new device."""
    device = SigningDevice(name)
    return Actor(device, await desk.seat(device))
