"""A world in which one seed decides what happens next.

Nodes run the hub's use cases over a store that parks every call. Between two calls nothing moves: a scheduler picks
which parked call is carried out next, which reply is kept back, repeated or lost, which call comes too late, which node
dies, and when all stand still for a minute. Calls of one node to one bucket keep their order, as the adapter promises.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from tests.integration.hub.desk import AllLive, SetClock
from tests.schedules.direct import Direct
from tests.slots import slot_tag
from typing_extensions import override

from muster_hub.config.hub_key import HubSecrets
from muster_hub.config.settings import Settings
from muster_hub.context import NodeContext
from muster_hub.node.bus_link import BusLink
from muster_hub.presence.record import AgentLocations
from muster_hub.presence.watches import PresenceWatches
from muster_hub.routing.router import Router
from muster_hub.store.adapter import CALL_TIMEOUT_MS, Reply, Store, Word
from muster_hub.store.errors import StoreCause, StoreError, StoreUnavailable
from muster_hub.store.scripts import Script
from muster_hub.store.urls import Address
from muster_protocol.errors import Refused
from muster_protocol.frames import decode_frame
from muster_protocol.ids import ClientId

T = TypeVar("T")

LATE_MS = CALL_TIMEOUT_MS + 100
PAUSE_MS = 61_000
MAX_STEPS = 2_000
MAX_TRIES = 3
"""How often a device asks the same thing before it gives up."""

NODES = ("one", "two", "three")
HUB_KEY = HubSecrets(bytes(range(32)))
_NOWHERE = Address("unix", "", 0, "unused", 0, None, None)
_SETTINGS = Settings(data_dir=Path("unused"))


@cache
def clock_ahead(script: Script, seconds: int) -> Script:
    """Return the script as it would run on a store whose clock is ahead of this machine's."""
    source = script.source.decode()
    moved = f"(function() local t = redis.call('TIME') t[1] = t[1] + {seconds} return t end)()"
    return Script.of(script.name, source.replace("redis.call('TIME')", moved))


@dataclass(eq=False, slots=True)
class Parked:
    """A call of a node that has not been carried out yet. ``age_ms``: by how much later it comes than the others."""

    node: str
    script: Script
    keys: Sequence[bytes]
    args: Sequence[Word]
    not_after_ms: int
    answer: asyncio.Future[Reply]
    age_ms: int = 0

    @property
    def place(self) -> tuple[str, bytes]:
        return self.node, slot_tag(self.keys[0])


class ScheduledStore(Store):
    """A node's way to the store: every call is parked in the world."""

    __slots__ = ("_node", "_world")

    def __init__(self, world: "ScheduledWorld", node: str) -> None:
        self.address = _NOWHERE  # and no shard, since nothing goes out from here
        self._world = world
        self._node = node

    @override
    def begin(
        self, script: Script, keys: Sequence[bytes], args: Sequence[Word] = (), *, not_after_ms: int | None = None
    ) -> asyncio.Future[Reply]:
        not_after = self._world.now_ms() + CALL_TIMEOUT_MS if not_after_ms is None else not_after_ms
        return self._world.park(Parked(self._node, script, keys, args, not_after, _future()))

    @override
    async def reached(self) -> None:
        return

    @override
    async def now_ms(self) -> int:
        return self._world.now_ms()


class WatchedRouter(Router):
    """A node's router that writes down what it is to push to agents of devices: no device is connected to a node."""

    def __init__(self, node: str, store: Store, pushed: set[tuple[ClientId, type[object]]]) -> None:
        super().__init__(node, BusLink(), AgentLocations(store), PresenceWatches())
        self._pushed = pushed

    @override
    async def push_live(self, client: ClientId, data: bytes) -> None:
        self._pushed.add((client, type(decode_frame(data))))
        await super().push_live(client, data)


@dataclass(frozen=True, slots=True)
class Gone:
    """What a device hears when its node died, or could not reach the store: nothing that says how it ended."""

    why: str


Outcome = Gone | Refused | Any
Ask = Callable[[NodeContext], Awaitable[Any]]


class ScheduledWorld:
    """Three nodes, one store, one seed. ``calm``: calls are carried out at once, nothing is decided by the seed."""

    def __init__(self, direct: Direct, seed: int, *, faults: int | None = None) -> None:
        self.direct = direct
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 - to be repeatable is its purpose
        self.calm = False
        self.tries: int | None = None  # how often a device asks at most; None: the seed decides
        self.faults = self.rng.choice((0, 1, 1, 2, 3, 5)) if faults is None else faults
        self.ahead_ms = 0
        self.moment = 0
        self.trace: list[tuple[str, ...]] = []
        self.watchers: list[Callable[[Parked, Reply], None]] = []
        self.pushed: set[tuple[ClientId, type[object]]] = set()
        self.dead: set[str] = set()
        self.parked: list[Parked] = []
        self._replies: list[tuple[Parked, asyncio.Future[Reply]]] = []
        self._adrift: list[Parked] = []
        self._frozen: dict[str, int] = {}
        self._waiting: list[tuple[int, Callable[[], Coroutine[Any, Any, None]]]] = []
        self._work: dict[asyncio.Task[Any], str] = {}
        self._devices: list[asyncio.Task[None]] = []
        self.hubs = {node: self._hub(node) for node in NODES}

    # -- what the nodes see -------------------------------------------------------------------------------------------

    def _hub(self, node: str) -> NodeContext:
        store = ScheduledStore(self, node)
        router = WatchedRouter(node, store, self.pushed)
        return NodeContext(store, router, AllLive(node, NODES), SetClock(), _SETTINGS, HUB_KEY.signing)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def park(self, call: Parked) -> asyncio.Future[Reply]:
        if self.calm:
            return self.execute(call)
        if call.node in self.dead:
            call.answer.cancel()
        else:
            self.parked.append(call)
        return call.answer

    # -- devices ------------------------------------------------------------------------------------------------------

    def after(self, calls: int, name: str, ask: Ask, heard: Callable[[Outcome], None], *nodes: str) -> None:
        """Let a device ask something once so many calls were carried out; it asks again where it heard nothing."""

        async def device() -> None:
            tries = self.tries or self.rng.randint(1, MAX_TRIES)
            outcome: Outcome = None
            for node in (list(nodes) * tries)[:tries]:
                outcome = await self.on(node, name, ask)
                if not isinstance(outcome, Gone):
                    break
            heard(outcome)

        self._waiting.append((calls, device))

    async def on(self, node: str, name: str, ask: Ask) -> Outcome:
        """Have one node serve one request; what its device hears, in the end."""
        if node in self.dead:
            return Gone("dead node")
        task = asyncio.get_running_loop().create_task(_serve(ask, self.hubs[node]))
        self._work[task] = node
        await asyncio.wait({task})
        del self._work[task]
        outcome = Gone("node died") if task.cancelled() else task.result()
        self.say(node, name, "->", str(outcome) if isinstance(outcome, Gone | Refused) else type(outcome).__name__)
        return outcome

    def say(self, *words: str) -> None:
        """Write down that something happened."""
        self.moment += 1
        self.trace.append(words)

    def story(self) -> str:
        """Return what happened, a line each."""
        return "\n".join(f"{number:4} {' '.join(words)}" for number, words in enumerate(self.trace, 1))

    # -- the scheduler ------------------------------------------------------------------------------------------------

    async def play(self) -> None:
        """Go on until every device has heard, or given up."""
        for _ in range(MAX_STEPS):
            self._admit_devices()
            await _idle()
            if self.parked or self._replies:
                self.step()
            elif self._waiting:
                self._waiting[0] = (0, self._waiting[0][1])
            else:
                break
        else:
            raise AssertionError("the schedule does not end")
        self.come_late(self._adrift)
        assert all(task.done() for task in self._devices), "a device waits for ever"
        await asyncio.gather(*self._devices)
        self.calm = True

    def _admit_devices(self) -> None:
        loop = asyncio.get_running_loop()
        ready = [device for calls, device in self._waiting if calls <= self.moment]
        self._waiting = [(calls, device) for calls, device in self._waiting if calls > self.moment]
        self._devices += [loop.create_task(device()) for device in ready]

    def step(self) -> None:
        """Let one thing happen."""
        heads = list({call.place: call for call in reversed(self.parked) if not self._is_frozen(call)}.values())
        replies = [each for each in self._replies if not self._is_frozen(each[0])]
        if not heads and not replies:
            self._frozen.clear()
            return
        chance = self.rng.randrange(len(heads) + len(replies))
        if chance >= len(heads):
            self._replies.remove(replies[chance - len(heads)])
            self._answer(*replies[chance - len(heads)])
            return
        call = heads[chance]
        if self.faults and self.rng.random() < 0.2:
            self.faults -= 1
            self.rng.choice(FAULTS)(self, call)
        else:
            self.carry_out(call)

    def _is_frozen(self, call: Parked) -> bool:
        return self._frozen.get(call.node, 0) > self.moment

    def carry_out(self, call: Parked) -> None:
        """Carry out a call, and let its caller know."""
        self.parked.remove(call)
        self._answer(call, self.execute(call))

    def execute(self, call: Parked, *, echo: str = "") -> asyncio.Future[Reply]:
        """Carry out a call on the store; its caller does not hear of it yet."""
        args = [call.not_after_ms - call.age_ms, *call.args] if call.script.timed else call.args
        script = clock_ahead(call.script, self.ahead_ms // 1000) if self.ahead_ms else call.script
        reply = self.direct.run(script, call.keys, args)
        error = reply.exception()
        self.say(call.node, call.script.name + echo, "" if error is None else f"! {error}")
        if error is None:
            for watch in self.watchers:
                watch(call, reply.result())
        return reply

    def _answer(self, call: Parked, reply: asyncio.Future[Reply]) -> None:
        error = reply.exception()
        if call.answer.done():
            return
        if error is None:
            call.answer.set_result(reply.result())
        else:
            call.answer.set_exception(error)
            call.answer.exception()  # no caller waits for a repeat

    def _lose(self, call: Parked, cause: StoreCause) -> None:
        if not call.answer.done():
            call.answer.set_exception(StoreUnavailable(cause, outcome_unknown=True))
            call.answer.exception()  # its caller gets it all the same

    def come_late(self, calls: Sequence[Parked]) -> None:
        """Let calls that no caller waits for any more reach the store."""
        for call in calls:
            self.execute(call, echo=" (late)")

    # -- what can go wrong --------------------------------------------------------------------------------------------

    def lose_request(self, call: Parked) -> None:
        self.parked.remove(call)
        self.say(call.node, call.script.name, "request lost")
        self._lose(call, StoreCause.LOST)

    def lose_reply(self, call: Parked) -> None:
        self.parked.remove(call)
        self.execute(call, echo=" (reply lost)")
        self._lose(call, StoreCause.LOST)

    def keep_reply(self, call: Parked) -> None:
        self.parked.remove(call)
        self._replies.append((call, self.execute(call, echo=" (reply kept back)")))

    def repeat(self, call: Parked) -> None:
        self.parked.remove(call)
        replies = [self.execute(call), self.execute(call, echo=" (again)")]
        for each in replies:
            each.exception()
        self._answer(call, replies[self.rng.randrange(2)])

    def echo(self, call: Parked) -> None:
        """The call is carried out, and later once more."""
        self.carry_out(call)
        again = Parked(call.node, call.script, call.keys, call.args, call.not_after_ms, _future())
        self.parked.append(again)

    def delay(self, call: Parked) -> None:
        """The caller stopped waiting, and the call arrives when its time is over."""
        self.parked.remove(call)
        call.age_ms = LATE_MS
        self._adrift.append(call)
        self.say(call.node, call.script.name, "no answer in time")
        self._lose(call, StoreCause.TIMEOUT)

    def pause(self, _call: Parked) -> None:
        self.ahead_ms += PAUSE_MS
        self.say("all", "stand still for a minute")

    def freeze(self, call: Parked) -> None:
        """The node stands still for a minute with its calls carried out, and others go on; their calls are of now.

        Except what they were about to commit: the holds that it relies on are a minute old too, and so it is late.
        """
        self.say(call.node, "freezes")
        for other in self.parked:
            if other.script.name != "commit":
                other.age_ms -= PAUSE_MS
        for each in [parked for parked in self.parked if parked.node == call.node]:
            self.parked.remove(each)
            each.age_ms += PAUSE_MS
            self._replies.append((each, self.execute(each, echo=" (reply kept back)")))
        self.pause(call)
        self._frozen[call.node] = self.moment + self.rng.randrange(10, 40)

    def kill(self, call: Parked) -> None:
        """The node dies: what it asked is carried out or not, and it goes on with nothing."""
        node = call.node
        self.say(node, "dies")
        self.dead.add(node)
        for each in [parked for parked in self.parked if parked.node == node]:
            self.parked.remove(each)
            if self.rng.random() < 0.5:
                self.execute(each)
        self._replies = [(each, reply) for each, reply in self._replies if each.node != node]
        for task, at in self._work.items():
            if at == node:
                task.cancel()


FAULTS: tuple[Callable[[ScheduledWorld, Parked], None], ...] = (
    ScheduledWorld.lose_request,
    ScheduledWorld.lose_reply,
    ScheduledWorld.keep_reply,
    ScheduledWorld.keep_reply,
    ScheduledWorld.repeat,
    ScheduledWorld.echo,
    ScheduledWorld.delay,
    ScheduledWorld.pause,
    ScheduledWorld.freeze,
    ScheduledWorld.freeze,
    ScheduledWorld.kill,
    ScheduledWorld.kill,
)


def _future() -> asyncio.Future[Reply]:
    return asyncio.get_running_loop().create_future()


async def _serve(ask: Ask, context: NodeContext) -> Outcome:
    try:
        return await ask(context)
    except Refused as refused:
        return refused
    except StoreError as error:
        if not isinstance(error, StoreUnavailable):
            raise
        return Gone(str(error))


async def _idle() -> None:
    """Wait until nothing in the loop can go on: every task waits for a parked call, or for another task."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined] # exact, where any number of turns is a guess
    while ready:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)
