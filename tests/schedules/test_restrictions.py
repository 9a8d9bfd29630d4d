"""Joins against restrictions, in every order, with every step repeated, lost, late or left to another node."""

from collections import Counter

from tests.schedules.direct import Direct
from tests.schedules.restrictions import Case, cases
from tests.schedules.scene import ask, finish, finish_all, perform, studio
from tests.schedules.sweep import SCHEDULES, SEED, batches, in_parts, run, shows_all
from tests.schedules.world import Gone, Outcome, Parked, ScheduledWorld
from typing_extensions import override

from muster_hub.context import NodeContext
from muster_hub.sessions.state import read_state
from muster_hub.store import keys
from muster_hub.store.adapter import Reply as StoreReply
from muster_protocol.errors import Refused
from muster_protocol.frames import AdmissionPush, Admitted, MemberState, Reply

SHARE = 0.5
CRASHES_EVERY = 1 if SCHEDULES > 10_000 else 4
"""Cases of which one is also tried in every order in which a node dies at any step: that takes four times as long."""
AGAIN_EVERY = 8
"""Schedules of which one ends with a new call: it takes as many calls to the store as all that went before."""


class Schedule:
    """One schedule of a case, and when what happened in it."""

    def __init__(self, case: Case, world: ScheduledWorld) -> None:
        self.case = case
        self.world = world
        self.committed_at: int | None = None
        self.acknowledged_at: int | None = None
        self.restricted = False
        self.told_yes = self.told_no = False
        world.watchers.append(self._watch)

    async def play_both(self) -> None:
        """One join and one restriction, each asked for once, on a node of its own."""
        self.world.direct.restore(self.case.snapshot)
        self.world.tries = 1
        self.world.after(0, "join", self._join, self._joined, "one")
        self.world.after(0, self.case.name, self.case.restrict, self._acknowledge, "two")
        await self.world.play()

    async def play(self) -> None:
        """What the seed makes of the case: joins asked for twice, at any time, and a third node that drains."""
        world, case, rng = self.world, self.case, self.world.rng
        world.direct.restore(case.snapshot)
        world.after(rng.randrange(4), "join", self._join, self._joined, "one", "three")
        if rng.random() < 0.5:
            world.after(rng.randrange(12), "join", self._join, self._joined, "three", "one")
        home = rng.choice(("one", "two"))
        world.after(rng.randrange(14), case.name, case.restrict, self._acknowledge, home, "three")
        if rng.random() < 0.4:
            world.after(rng.randrange(18), "drain", lambda hub: finish(hub, case.names), lambda _: None, "three")
        await world.play()

    async def _join(self, context: NodeContext) -> Reply:
        return await ask(context, self.case.creator, self.case.join)

    def _watch(self, call: Parked, reply: StoreReply) -> None:
        # The second time the same epoch is answered alike, and nothing is committed.
        if call.script.name == "commit" and reply == [b"ok"] and self.committed_at is None:
            self.committed_at = self.world.moment
        if call.script.name in {"put_peer", "put_grant", "connect"}:
            assert isinstance(reply, list)
            self.restricted |= call.script.name == "connect" or reply[0] == b"taken"

    def _acknowledge(self, outcome: Outcome) -> None:
        assert not isinstance(outcome, Refused), outcome
        if not isinstance(outcome, Gone):
            self.acknowledged_at = self.world.moment

    def _joined(self, outcome: Outcome) -> None:
        if isinstance(outcome, Admitted):
            self.told_yes |= not outcome.rejected
            self.told_no |= bool(outcome.rejected)

    # -- what must hold -----------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Another node finishes what was left; then all agree."""
        case, world = self.case, self.world
        hub = world.hubs["three"]
        self._check_order()
        await finish_all(world, case.names)
        state = await read_state(hub, case.session)
        assert state is not None
        committed = self.committed_at is not None
        assert state.epoch == case.epoch + committed
        gone = case.out if self.restricted and (committed or case.out == case.creator.client) else None
        row = state.members.get(case.newcomer)
        assert (row is not None) == committed
        for client, member in state.members.items():
            assert (member.state is MemberState.OUT) == (client == gone), f"{client[:8]} is {member.state}"
        admitted = committed and gone != case.newcomer
        self._check_admission(admitted=admitted)

    def _check_order(self) -> None:
        if self.acknowledged_at is not None:
            assert self.restricted, "acknowledged, and not taken"
            late = self.committed_at is not None and self.committed_at > self.acknowledged_at
            assert not late, "a join was committed after the restriction was acknowledged"
        assert not (self.told_yes and self.committed_at is None), "told of a join that was not committed"
        assert not (self.told_no and self.committed_at is not None), (
            "told that a join was refused, and it was committed"
        )

    def _check_admission(self, *, admitted: bool) -> None:
        ask, case = self.world.direct.ask, self.case
        waits = ask(b"HEXISTS", keys.sealed(case.session), f"adm:{case.newcomer}")
        assert waits == admitted, "an admission for one who is not in"
        pushed = (case.newcomer, AdmissionPush) in self.world.pushed
        if self.committed_at is None:
            assert not pushed, "an admission without a commit"
        elif admitted:
            assert pushed, "a seat whose admission is not pushed"


@in_parts
async def test_no_join_is_committed_after_an_acknowledged_revocation(direct: Direct, part: int) -> None:
    met: Counter[str] = Counter()
    for seeds in batches(SHARE, part):
        async with studio(direct) as open_studio:
            made = await cases(open_studio)
        for seed in seeds:
            case = made[seed % len(made)]

            call_again = SEED is not None or (seed // len(made)) % AGAIN_EVERY == 0

            async def scenario(world: ScheduledWorld, case: Case = case, call_again: bool = call_again) -> None:
                schedule = Schedule(case, world)
                await schedule.play()
                await schedule.check()
                if call_again:
                    await perform(world.hubs["three"], case.again)
                met["committed" if schedule.committed_at else "not"] += 1
                met["acknowledged" if schedule.acknowledged_at else "unheard"] += 1

            await run(ScheduledWorld(direct, seed), scenario)
    assert not shows_all(SHARE) or min(met[each] for each in ("committed", "not", "acknowledged", "unheard")) > 0, met


Way = tuple[str, bool]
"""What may happen next: a node's call is carried out, or (True) the node dies before it."""


class Path(ScheduledWorld):
    """A world that takes the turns it is told, then always the first; ``widths`` are the ways there were at each.

    Of two orders that differ only in neighbours that do not meet (``_meet``) one is enough. So a way that was tried
    at an earlier turn is not taken again until something that it meets has happened (sleep sets, Godefroid 1996).
    Where all ways sleep, the whole order was tried before: ``tried_before``.
    """

    def __init__(self, direct: Direct, turns: list[int], crashes: int) -> None:
        super().__init__(direct, 0, faults=crashes)
        self.turns = turns
        self.widths: list[int] = []
        self.tried_before = False
        self._asleep: dict[Way, Parked] = {}

    @override
    def step(self) -> None:
        # The calls that one node makes at once go in their order; which node goes next is what matters.
        heads = {call.node: call for call in reversed(self.parked)}
        ways = {(node, False): call for node, call in heads.items()}
        if self.faults > len(self.dead):
            ways |= {(node, True): call for node, call in heads.items()}
        awake = [way for way in ways if way not in self._asleep]
        if awake:
            self._take(ways, awake)
            return
        self.tried_before = True
        for call in heads.values():
            self.die_here(call)

    def _take(self, ways: dict[Way, Parked], awake: list[Way]) -> None:
        if len(self.widths) == len(self.turns):
            self.turns.append(0)
        turn = self.turns[len(self.widths)]
        self.widths.append(len(awake))
        way = awake[turn]
        tried = self._asleep | {each: ways[each] for each in awake[:turn]}
        self._asleep = {each: call for each, call in tried.items() if not _meet(each, call, way, ways[way])}
        _, dies = way
        (self.die_here if dies else self.carry_out)(ways[way])

    def die_here(self, call: Parked) -> None:
        """The node dies, and what it asked last never reached the store."""
        self.parked = [each for each in self.parked if each.node != call.node]
        self.kill(call)

    def next(self) -> list[int] | None:
        """Return the turns of the next schedule, None after the last."""
        turns = list(self.turns)
        while turns and turns[-1] + 1 == self.widths[len(turns) - 1]:
            turns.pop()
        return [*turns[:-1], turns[-1] + 1] if turns else None


def _meet(one: Way, call: Parked, other: Way, other_call: Parked) -> bool:
    """Return whether it matters which of two ways is taken first.

    It does for one node, for one bucket, and for a commit: it must not come after the other node acknowledged. Deaths
    meet each other, since there is one at most.
    """
    if one[0] == other[0] or (one[1] and other[1]):
        return True
    if one[1] or other[1]:
        return False
    return call.place[1] == other_call.place[1] or "commit" in {call.script.name, other_call.script.name}


async def test_in_every_order_of_one_join_and_one_restriction_no_join_comes_after(direct: Direct) -> None:
    async with studio(direct) as open_studio:
        made = await cases(open_studio)
    tried = 0
    for place, case in enumerate(made):
        crashes = int(place % CRASHES_EVERY == 0)

        async def scenario(world: Path, case: Case = case) -> None:
            schedule = Schedule(case, world)
            await schedule.play_both()
            if not world.tried_before:
                await schedule.check()

        turns: list[int] | None = []
        while turns is not None:
            world = Path(direct, turns, crashes)
            await run(world, scenario)
            turns = world.next()
            tried += not world.tried_before
    assert tried > 20 * len(made), "the turns are not taken"


async def test_a_seed_gives_the_same_schedule_each_time(direct: Direct) -> None:
    stories: list[str] = []
    made: list[Case] = []
    for _ in range(2):
        async with studio(direct) as open_studio:
            made = await cases(open_studio)
        for seed in range(len(made)):
            world = ScheduledWorld(direct, seed)
            await Schedule(made[seed], world).play()
            stories.append(world.story())
    assert stories[: len(made)] == stories[len(made) :]
