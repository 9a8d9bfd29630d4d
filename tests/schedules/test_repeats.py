"""Each request of a device's life, disturbed once at each of its calls, and asked again until it is answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import pytest_asyncio
from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.stage import Actor, befriend, call_in
from tests.schedules import books
from tests.schedules.direct import Direct, Snapshot
from tests.schedules.restrictions import come_in
from tests.schedules.scene import Studio, Take, ask, finish_all, studio
from tests.schedules.sweep import run
from tests.schedules.world import PAUSE_MS, Ask, Outcome, Parked, ScheduledWorld
from typing_extensions import override

from muster_hub.sessions.facts import read_facts
from muster_hub.sessions.holds import settle_stale_holds
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_protocol.exchange import Invite, Leave
from muster_protocol.frames import (
    CancelInvite,
    CloseSession,
    ConfirmToken,
    InvitePush,
    Ok,
    PutStatement,
    ResumeSession,
    SendAnswer,
    SendLeave,
)
from muster_protocol.ids import ClientId, Fingerprint, GrantId, SessionId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read

GRANT = GrantId(bytes(range(16)))
Disturb = Callable[[ScheduledWorld, Parked], None]


class Once(ScheduledWorld):
    """A world in which all goes well but for the call with one number, which is disturbed in one way."""

    def __init__(self, direct: Direct, number: int, disturb: Disturb) -> None:
        super().__init__(direct, 0, faults=0)
        self.number = number
        self.disturb = disturb
        self.calls = 0

    @override
    def step(self) -> None:
        call = self.parked[0]
        self.calls += 1
        if self.calls == self.number:
            self.disturb(self, call)
        else:
            self.carry_out(call)


def answer_twice(world: ScheduledWorld, call: Parked) -> None:
    """Carry it out twice, and return the second answer."""
    world.execute(call)
    world.carry_out(call)


def die_after(world: ScheduledWorld, call: Parked) -> None:
    """Carry it out, and have the node die before it hears."""
    world.parked.remove(call)
    world.execute(call)
    world.kill(call)


def die_before(world: ScheduledWorld, call: Parked) -> None:
    """Have the node die with the call unsent."""
    world.parked.clear()
    world.kill(call)


DISTURBANCES = (
    ScheduledWorld.lose_request,
    ScheduledWorld.lose_reply,
    ScheduledWorld.delay,
    answer_twice,
    die_before,
    die_after,
)


@dataclass(frozen=True, slots=True)
class RequestScene:
    name: str
    snapshot: Snapshot
    ask: Ask
    clients: tuple[ClientId, ...]
    session: SessionId

    @property
    def names(self) -> tuple[str, ...]:
        return (self.session, *self.clients)


async def life(studio: Studio) -> list[RequestScene]:
    """Make one scene of everything that devices ask for: two of them, from trust to the end of a session."""
    ann, bob = [await studio.actor(name) for name in ("ann", "bob")]
    newcomer = Actor(SigningDevice("cat"), ann.line)
    connects = [("connect", studio.direct.snapshot(), come_in(studio.hub, newcomer))]
    takes: list[Take] = []
    studio.takes = takes
    await befriend(ann, bob, grants=False)
    await bob.say(bob.device.grant(ann.device, grant=GRANT, once=True))
    await ann.say(ann.device.grant(bob.device), (Kind.CARD, ann.device.card(new=True)))
    await ann.create()
    await _call_in_vain(ann, bob)
    await call_in(ann, bob)
    await bob.ask(ResumeSession(id=1, session=ann.session), Ok)
    await bob.ask(SendLeave(id=1, leave=_leave(bob, ann)), Ok)
    await _restrict(ann, bob)
    await ann.ask(CloseSession(id=1, session=ann.session), Ok)
    await bob.ask(ConfirmToken(id=1, counter=1), Ok)
    studio.takes = None
    connects.append(("connect as a clone", studio.direct.snapshot(), come_in(studio.hub, bob)))
    ann.device.rotate()
    connects.append(("connect with a new key", studio.direct.snapshot(), come_in(studio.hub, ann)))
    clients = (ann.client, bob.client, newcomer.client)
    said = [(_title(take), take.snapshot, _asking(take)) for take in takes]
    return [RequestScene(*each, clients, ann.session) for each in (*said, *connects)]


async def _call_in_vain(ann: Actor, bob: Actor) -> None:
    await ann.call(bob)
    push = await bob.next_push(InvitePush)
    invite = read(push.invite, Invite).invite
    await ann.ask(CancelInvite(id=1, session=ann.session, client=bob.client, invite=invite), Ok)
    await ann.call(bob)
    refusal = (await bob.take_invite()).refuse(Reason.DECLINED, now_ms())
    await bob.ask(SendAnswer(id=1, answer=refusal), Ok)
    await ann.take_answer()


async def _restrict(ann: Actor, bob: Actor) -> None:
    """Restriction in every way while a session knows both."""
    await bob.say(bob.device.grant(ann.device, grant=GRANT, lasts_ms=1), bob.device.revocation(ann.device, GRANT))
    await bob.say(bob.device.trust(ann.device, fingerprint=Fingerprint(bytes(32))), bob.device.trust(ann.device))
    await bob.say(bob.device.grant(ann.device), bob.device.untrust(ann.device))


def _leave(who: Actor, creator: Actor) -> Signed:
    body = Leave(session=creator.session, member=who.client, member_key=who.device.fingerprint, at=now_ms())
    return who.device.sign(body)


def _title(take: Take) -> str:
    kind = f" {take.request.kind}" if isinstance(take.request, PutStatement) else ""
    return type(take.request).__name__ + kind


def _asking(take: Take) -> Ask:
    return lambda hub: ask(hub, take.caller, take.request)


@pytest_asyncio.fixture
async def scenes(direct: Direct) -> list[RequestScene]:
    async with studio(direct) as open_studio:
        return await life(open_studio())


async def disturbed(world: Once, scene: RequestScene, *, tries: int) -> Outcome:
    """Ask for what a scene is about; return what the device heard."""
    heard: list[Outcome] = []

    async def scenario(world: Once) -> None:
        world.direct.restore(scene.snapshot)
        world.tries = tries
        world.after(0, scene.name, scene.ask, heard.append, "one", "three")
        await world.play()

    await run(world, scenario)
    return heard[0]


async def undisturbed(direct: Direct, scene: RequestScene) -> tuple[Once, Outcome]:
    world = Once(direct, 0, ScheduledWorld.delay)
    return world, await disturbed(world, scene, tries=1)


async def settled(world: ScheduledWorld, scene: RequestScene) -> books.Book:
    """Have what was left behind finished and settled, as others would who meet it, and read what is there."""
    hub = world.hubs["three"]
    await finish_all(world, scene.names)
    world.ahead_ms += PAUSE_MS
    others = {one: [other for other in scene.clients if other != one] for one in scene.clients}
    facts = await read_facts(hub, others)
    await settle_stale_holds(hub, [(facts[one], other) for one in scene.clients for other in others[one]])
    return books.read(world.direct)


async def test_a_repeated_call_has_one_effect(direct: Direct, scenes: list[RequestScene]) -> None:
    for scene in scenes:
        calm, answer = await undisturbed(direct, scene)
        book = await settled(calm, scene)
        for disturb, number in product(DISTURBANCES, range(1, calm.calls + 1)):
            world = Once(direct, number, disturb)
            heard = await disturbed(world, scene, tries=3)
            told = f"{scene.name}, {disturb.__name__} at call {number}:\n{world.story()}"
            assert type(heard) is type(answer), f"{heard} where {answer} was due; {told}"
            assert await settled(world, scene) == book, told


class Late(Once):
    """A world in which one call reaches the store after its caller gave it up, and changes nothing there."""

    def __init__(self, direct: Direct, number: int) -> None:
        super().__init__(direct, number, ScheduledWorld.delay)
        self.refused: str | None = None

    @override
    def come_late(self, calls: Sequence[Parked]) -> None:
        for call in calls:
            before = self.direct.contents()
            error = self.execute(call, echo=" (late)").exception()
            if call.script.timed:
                assert isinstance(error, StoreUnavailable), "not refused"
                assert error.cause is StoreCause.LATE
                self.refused = call.script.name
            assert self.direct.contents() == before, "executed too late"


async def test_a_refused_call_is_not_executed_later(direct: Direct, scenes: list[RequestScene]) -> None:
    refused: set[str | None] = set()
    for scene in scenes:
        calm, _ = await undisturbed(direct, scene)
        for number in range(1, calm.calls + 1):
            world = Late(direct, number)
            await disturbed(world, scene, tries=1)
            refused.add(world.refused)
    restrict = {"put_peer", "put_grant", "connect", "cut"}
    join = {"session_create", "invite_live", "invite_answer", "hold", "commit", "settle", "inbox_put", "joined"}
    assert refused >= restrict | join
