"""A one-shot grant between joins of two sessions, a third that comes later, and nodes that die in between."""

from collections import Counter
from dataclasses import dataclass, replace

from tests.integration.hub.stage import Actor, befriend, invite_and_answer
from tests.schedules.direct import Direct, Snapshot
from tests.schedules.restrictions import Restriction, say
from tests.schedules.scene import Studio, ask, caller_of, finish_all, studio
from tests.schedules.sweep import batches, in_parts, run, shows_all
from tests.schedules.world import MAX_STEPS, PAUSE_MS, Outcome, ScheduledWorld
from typing_extensions import override

from muster_hub.context import NodeContext
from muster_hub.routing.caller import Caller
from muster_hub.sessions.facts import read_facts
from muster_hub.sessions.state import read_members
from muster_hub.store import keys
from muster_protocol.errors import Refused
from muster_protocol.frames import Admit, Admitted, InviteResult, MemberState, Reply
from muster_protocol.ids import ClientId, GrantId, SessionId
from muster_protocol.reasons import Reason

SHARE = 0.4
GRANT, OTHER_GRANT = GrantId(bytes(range(16))), GrantId(bytes(range(1, 17)))


@dataclass(frozen=True, slots=True)
class OneShotScene:
    """Ann called bob into three sessions, by one grant of his that counts once; he accepted all."""

    snapshot: Snapshot
    ann: Caller
    bob: ClientId
    joins: tuple[Admit, Admit, Admit]
    another: Admit
    """Another epoch for the first of these joins, by a creator that does not wait for how one ended."""
    revoke: Restriction
    grant_again: Restriction
    """The creator takes back its own grant, and gives it again: that changes nothing about bob's one-shot."""

    @property
    def sessions(self) -> tuple[SessionId, ...]:
        return tuple(join.session for join in self.joins)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.ann.client, self.bob, *self.sessions)


async def make(studio: Studio, *, both: bool) -> OneShotScene:
    ann, bob = [await studio.actor(name) for name in ("ann", "bob")]
    await befriend(ann, bob, grants=False)
    await ann.say(ann.device.grant(bob.device, grant=OTHER_GRANT, once=both))
    await bob.say(bob.device.grant(ann.device, grant=GRANT, once=True))
    joins = [await _answered(ann, bob)]
    ann.inviting = replace(ann.inviting, _pending=None)
    another = ann.admission()
    joins += [await _answered(ann, bob) for _ in range(2)]
    return OneShotScene(
        snapshot=await studio.snapshot(ann.client, bob.client, *(join.session for join in joins)),
        ann=caller_of(ann),
        bob=bob.client,
        joins=(joins[0], joins[1], joins[2]),
        another=another,
        revoke=say(ann, ann.device.revocation(bob.device, OTHER_GRANT)),
        grant_again=say(ann, ann.device.grant(bob.device)),
    )


async def _answered(ann: Actor, bob: Actor) -> Admit:
    await ann.create()
    await invite_and_answer(ann, bob)
    return ann.admission()


async def play(world: ScheduledWorld, scene: OneShotScene) -> None:
    """Let both joins run, repeated or not, perhaps while the creator takes back its own grant and gives it again."""
    world.direct.restore(scene.snapshot)
    rng = world.rng
    first, second, _ = scene.joins
    nodes = ["one", "two", "three"]
    more = rng.choices((first, second, scene.another), k=rng.choice((0, 1, 1, 2)))
    for join in (first, second, *more):
        rng.shuffle(nodes)

        async def admit(context: NodeContext, join: Admit = join) -> Reply:
            return await ask(context, scene.ann, join)

        world.after(rng.randrange(12), f"join {join.session[:4]}", admit, lambda _: None, *nodes)
    if rng.random() < 0.4:
        start = rng.randrange(10)
        world.after(start, "revocation", scene.revoke, lambda _: None, "two", "three")
        world.after(start + rng.randrange(1, 12), "new grant", scene.grant_again, lambda _: None, "three")
    await world.play()


def seats(world: ScheduledWorld, scene: OneShotScene) -> list[bool]:
    """Return for each session whether bob has or had a seat there."""
    rosters = world.direct.ask_all([(b"HGETALL", keys.roster(session)) for session in scene.sessions])
    members = [read_members(roster) for roster in rosters]
    assert all(scene.ann.client in rows for rows in members)
    seated = [rows.get(scene.bob) for rows in members]
    assert all(row is None or row.state is not MemberState.OUT for row in seated)
    return [row is not None for row in seated]


async def check(world: ScheduledWorld, scene: OneShotScene) -> int:
    """Settle what is left, ask for the third join, and return how many of the first two were committed."""
    hub = world.hubs["three"]
    await finish_all(world, scene.names)
    used = sum(seats(world, scene))
    assert used <= 1, "one use, two seats"
    world.ahead_ms += PAUSE_MS
    try:
        await scene.grant_again(hub)
    except Refused as refused:
        raise AssertionError("the creator's newest statement is not taken") from refused
    reply = await ask(hub, scene.ann, scene.joins[2])
    assert isinstance(reply, Admitted)
    reasons = [each.reason for each in reply.rejected]
    assert reasons == ([Reason.GRANT_USED] if used else []), f"{used} used, then {reasons}"
    assert sum(seats(world, scene)) == 1
    use = (await read_facts(hub, {scene.bob: [scene.ann.client]}))[scene.bob].given[scene.ann.client].use
    assert use is not None
    assert use.spent, "a seat, and the use is not spent"
    return used


@in_parts
async def test_a_one_shot_is_used_once_or_given_back(direct: Direct, part: int) -> None:
    met: Counter[int] = Counter()
    for seeds in batches(SHARE, part):
        async with studio(direct) as open_studio:
            scenes = [await make(open_studio(), both=both) for both in (False, True)]
        for seed in seeds:
            scene = scenes[seed % 2]

            async def scenario(world: ScheduledWorld, scene: OneShotScene = scene) -> None:
                await play(world, scene)
                met[await check(world, scene)] += 1

            await run(ScheduledWorld(direct, seed), scenario)
    assert not shows_all(SHARE) or (met[0] and met[1]), met


class Sleeper(ScheduledWorld):
    """A world in which the first node to hold anything sleeps, its holds made, until the others are done."""

    slept = False

    @override
    def step(self) -> None:
        if self.slept or self.parked[0].script.name != "hold":
            super().step()
            return
        self.slept = True
        self.freeze(self.parked[0])
        self._frozen = dict.fromkeys(self._frozen, MAX_STEPS)


async def test_a_join_that_slept_over_its_hold_is_not_committed(direct: Direct) -> None:
    async with studio(direct) as open_studio:
        scene = await make(open_studio(), both=False)

    async def scenario(world: Sleeper) -> None:
        world.tries = 1
        world.direct.restore(scene.snapshot)
        first, second, _ = scene.joins
        world.after(0, "join", lambda hub: ask(hub, scene.ann, first), lambda _: None, "one")
        world.after(5, "join", lambda hub: ask(hub, scene.ann, second), lambda _: None, "two")
        await world.play()
        assert world.slept
        assert seats(world, scene) == [False, True, False]
        assert await check(world, scene) == 1

    await run(Sleeper(direct, 0, faults=0), scenario)


class Repeater(ScheduledWorld):
    """A world in which the store carries out every commit twice, and the node gets the second reply."""

    @override
    def step(self) -> None:
        call = self.parked[0]
        if call.script.name != "commit":
            super().step()
            return
        self.execute(call)
        self.carry_out(call)


async def test_a_join_whose_commit_is_carried_out_twice_uses_its_grant(direct: Direct) -> None:
    async with studio(direct) as open_studio:
        scene = await make(open_studio(), both=True)

    async def scenario(world: Repeater) -> None:
        world.tries = 1
        world.direct.restore(scene.snapshot)
        first, second, _ = scene.joins
        heard: list[Outcome] = []
        world.after(0, "join", lambda hub: ask(hub, scene.ann, first), heard.append, "one")
        world.after(100, "join", lambda hub: ask(hub, scene.ann, second), heard.append, "one")
        await world.play()
        used = (InviteResult(scene.bob, Reason.GRANT_USED),)
        assert heard == [Admitted(re=first.id, rejected=()), Admitted(re=second.id, rejected=used)]
        assert seats(world, scene) == [True, False, False]
        assert await check(world, scene) == 1

    await run(Repeater(direct, 0, faults=0), scenario)
