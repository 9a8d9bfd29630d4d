"""Sixteen called into one mesh at once, of whom half of the pairs have no trust, while trust comes and goes."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor
from tests.schedules.direct import Direct, Snapshot
from tests.schedules.restrictions import Restriction, say
from tests.schedules.scene import Studio, ask, caller_of, finish_all, studio
from tests.schedules.sweep import batches, in_parts, run, shows_all
from tests.schedules.world import ScheduledWorld

from muster_hub.routing.caller import Caller
from muster_hub.sessions.facts import read_facts
from muster_hub.sessions.state import read_state
from muster_protocol.frames import Admit, Admitted, Purpose, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, SessionId
from muster_protocol.inviting import Inviting
from muster_protocol.memberships import Memberships
from muster_protocol.reasons import Reason
from muster_protocol.target_calls import TargetCalls

SHARE = 0.03
INVITED = 15
"""Beside the creator: a mesh has sixteen members at most."""
CLIQUES = 6


@dataclass(frozen=True, slots=True)
class Clique:
    """Devices that all trust each other, called in as one epoch, and as two."""

    clients: tuple[ClientId, ...]
    at_once: Admit
    first: Admit
    rest: Admit


@dataclass(frozen=True, slots=True)
class MeshScene:
    """A mesh with its creator alone in it, whom all others trust and whose call all accepted."""

    snapshot: Snapshot
    creator: Caller
    session: SessionId
    names: tuple[str, ...]
    keys: dict[ClientId, Fingerprint]
    trusting: frozenset[frozenset[ClientId]]
    everybody: Admit
    cliques: tuple[Clique, ...]
    untrust: dict[tuple[ClientId, ClientId], Restriction]
    trust: dict[tuple[ClientId, ClientId], Restriction]


async def make(studio: Studio) -> MeshScene:
    ann = await studio.actor("ann")
    others = [await studio.actor(f"{number}") for number in range(INVITED)]
    dice = random.Random(2)  # noqa: S311 - the same pairs each time
    pairs = list(combinations(others, 2))
    trusting = dice.sample(pairs, len(pairs) // 2)
    for other in others:
        await ann.trust(other)
        await other.trust(ann)
    # Invites come before the other statements, so that all sixteen are checked at the commit.
    await ann.create(kind=SessionKind.MESH)
    await ann.call(*others, purpose=Purpose.ASK)
    for other in others:
        await other.accept()
        await ann.take_answer()
    for one, other in trusting:
        await one.trust(other)
        await other.trust(one)
    for one, other in set(pairs) - set(trusting):
        # Half of a trust is none.
        if dice.random() < 0.5:
            await one.trust(other)
    return _scene(studio, ann, others, trusting, dice)


def _scene(
    studio: Studio, ann: Actor, others: list[Actor], trusting: list[tuple[Actor, Actor]], dice: random.Random
) -> MeshScene:
    friends = frozenset(frozenset((one.client, other.client)) for one, other in trusting)
    by_client = {each.client: each for each in others}
    orders = [dice.sample(list(by_client), INVITED) for _ in range(CLIQUES)]
    ways = [(one, other) for pair in trusting for one, other in (pair, pair[::-1])]
    return MeshScene(
        snapshot=studio.direct.snapshot(),
        creator=caller_of(ann),
        session=ann.session,
        names=(ann.session, ann.client, *by_client),
        keys={each.client: each.device.fingerprint for each in (ann, *others)},
        trusting=friends,
        everybody=_admission(ann, ann.inviting, list(by_client))[0],
        cliques=tuple(_clique(ann, order, friends) for order in orders),
        untrust={(a.client, b.client): say(a, a.device.untrust(b.device)) for a, b in ways},
        trust={(a.client, b.client): say(a, a.device.trust(b.device)) for a, b in ways},
    )


def _clique(ann: Actor, order: list[ClientId], friends: frozenset[frozenset[ClientId]]) -> Clique:
    """Take one after the other who is a friend of all before."""
    chosen: list[ClientId] = []
    for client in order:
        if all(frozenset((client, other)) in friends for other in chosen):
            chosen.append(client)
    half = max(1, len(chosen) // 2)
    at_once, _ = _admission(ann, ann.inviting, chosen)
    first, then = _admission(ann, ann.inviting, chosen[:half])
    then.committed(now_ms())
    rest, _ = _admission(ann, then, chosen[half:], ann.inviting)
    return Clique(tuple(chosen), at_once, first, rest)


def _admission(
    ann: Actor, inviting: Inviting, chosen: Sequence[ClientId], asked: Inviting | None = None
) -> tuple[Admit, Inviting]:
    """Admit these alone, as if no other had answered; also return the creator's machine, which waits for the hub."""
    asked = asked or inviting
    machine = replace(
        inviting,
        _calls=TargetCalls(
            live={client: asked._calls.live[client] for client in chosen},
            targets={client: asked._calls.targets[client] for client in chosen},
        ),
        _members=Memberships(dict(inviting._members.members), dict(inviting._members.numbers)),
    )
    before, ann.inviting = ann.inviting, machine
    request = ann.admission()
    ann.inviting = before
    return request, machine


# -- the schedules ----------------------------------------------------------------------------------------------------


async def play(world: ScheduledWorld, scene: MeshScene) -> None:
    world.direct.restore(scene.snapshot)
    rng = world.rng
    one, other = rng.sample(scene.cliques, 2)
    nodes = ["one", "two", "three"]

    def join(start: int, request: Admit) -> None:
        rng.shuffle(nodes)
        name = f"admit {len(request.admissions)}"
        world.after(start, name, lambda hub: ask(hub, scene.creator, request), lambda _: None, *nodes)

    if rng.random() < 0.5:
        join(rng.randrange(10), scene.everybody)
    if rng.random() < 0.5:
        join(rng.randrange(10), one.at_once)
    else:
        join(rng.randrange(10), one.first)
        join(10 + rng.randrange(20), one.rest)
    if rng.random() < 0.3:
        join(rng.randrange(30), other.at_once)
    pairs = [(a, b) for a in one.clients for b in one.clients if a != b]
    for pair in rng.sample(pairs, min(len(pairs), rng.choice((0, 1, 1, 2, 3)))):
        start = rng.randrange(60)
        world.after(start, "untrust", scene.untrust[pair], lambda _: None, "two", "three")
        if rng.random() < 0.3:
            world.after(start + rng.randrange(20), "trust", scene.trust[pair], lambda _: None, "three")
    await world.play()


async def check(world: ScheduledWorld, scene: MeshScene) -> int:
    """All who are in trust each other under the keys that they sit with; returns how many those are."""
    hub = world.hubs["three"]
    await finish_all(world, scene.names)
    state = await read_state(hub, scene.session)
    assert state is not None
    for client in state.present:
        others = [each for each in state.present if each != client]
        pins = (await read_facts(hub, {client: others}))[client].pins
        for each in others:
            assert pins.get(each) == scene.keys[each] == state.members[each].fingerprint, (
                f"{client[:4]} sits in a mesh with {each[:4]}, whom it does not trust"
            )
    return len(state.present)


@in_parts
async def test_mesh_members_trust_each_other_pairwise(direct: Direct, part: int) -> None:
    met: Counter[int] = Counter()
    for seeds in batches(SHARE, part):
        async with studio(direct) as open_studio:
            scene = await make(open_studio())
        for seed in seeds:

            async def scenario(world: ScheduledWorld, scene: MeshScene = scene) -> None:
                await play(world, scene)
                met[await check(world, scene)] += 1

            await run(ScheduledWorld(direct, seed), scenario)
    assert not shows_all(SHARE) or len(met) > 3, met


async def test_of_all_who_join_at_once_those_whom_no_other_keeps_out_are_let_in(direct: Direct) -> None:
    async with studio(direct) as open_studio:
        scene = await make(open_studio())

    async def scenario(world: ScheduledWorld) -> None:
        world.calm = True
        world.direct.restore(scene.snapshot)
        reply = await ask(world.hubs["one"], scene.creator, scene.everybody)
        assert isinstance(reply, Admitted)
        rejected = {each.client for each in reply.rejected}
        assert {each.reason for each in reply.rejected} == {Reason.NOT_MUTUALLY_TRUSTED}
        passed = [client for client in scene.names[2:] if client not in rejected]
        assert all(frozenset(pair) in scene.trusting for pair in combinations(passed, 2))
        for client in rejected:
            assert any(frozenset((client, other)) not in scene.trusting for other in passed)

    await run(ScheduledWorld(direct, 0), scenario)
