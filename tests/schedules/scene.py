"""What schedules start from, made once by real devices: a state of the store, and requests that are signed already.

All that is random in a scene comes from one fixed seed, so that a schedule meets the same ids in every run.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from tests.integration.hub.desk import Desk, DeskSeat, P
from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.stage import Actor
from tests.schedules.direct import Direct, Snapshot
from tests.schedules.world import ScheduledStore, ScheduledWorld

from muster_hub.connections.request_table import use_cases
from muster_hub.context import NodeContext
from muster_hub.node import outbox
from muster_hub.presence.registry import ConnectingDevice, connect
from muster_hub.presence.watches import PresenceWatches
from muster_hub.routing.caller import Caller
from muster_hub.store import keys
from muster_hub.store.adapter import Reply as StoreReply
from muster_hub.store.rows import InstanceRow
from muster_protocol.cards import VerifiedCard, verify_card
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.frames import Admitted, Error, InviteResults, Reply, Request
from muster_protocol.ids import ClientId, InstanceId

TOKEN = 1_000_000
"""A continuity counter ahead of all that a scene issues: a device that shows it is no clone."""
ROUNDS = 10
"""How often a node drains the same outboxes at most, until nothing is left: an effect may leave another one."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A device as it connects."""

    card: VerifiedCard
    instance: InstanceId

    @property
    def client(self) -> ClientId:
        return self.card.card.client


@dataclass(frozen=True, slots=True)
class RequestScript:
    """What devices send one after the other, once each of them has connected again."""

    entrants: tuple[Entrant, ...]
    said: tuple[tuple[ClientId, Request], ...]


@dataclass(frozen=True, slots=True)
class Take:
    """One request by one caller, and the store as it was before."""

    snapshot: Snapshot
    caller: Caller
    request: Request


class RecordingLine:
    """An actor's way to the hub, which lets the studio know what the actor says."""

    def __init__(self, seat: DeskSeat, keep: Callable[[Caller, Request], None]) -> None:
        self.seat = seat
        self._keep = keep

    async def ask_any(self, request: Request) -> Reply:
        self._keep(self.seat.caller, request)
        return await self.seat.ask_any(request)

    async def next_push(self, expected: type[P]) -> P:
        return await self.seat.next_push(expected)

    def waiting(self, expected: type[P]) -> list[P]:
        return self.seat.waiting(expected)


class Studio:
    """Where scenes are made: one node, on which calls are carried out at once."""

    def __init__(self, direct: Direct, group: asyncio.TaskGroup) -> None:
        self.direct = direct
        self.world = calm_world(direct)
        self.desk = Desk(ScheduledStore(self.world, "one"), group, "one", {})  # type: ignore[arg-type] # it counts nothing
        self.takes: list[Take] | None = None
        self._said: list[tuple[ClientId, Request]] = []
        self.direct.restore(Snapshot(()))

    @property
    def hub(self) -> NodeContext:
        return self.desk.hub

    async def actor(self, name: str) -> Actor:
        device = SigningDevice(name)
        return Actor(device, RecordingLine(await self.seat(device, token=0), self._keep))

    async def seat(self, device: SigningDevice, *, token: int) -> DeskSeat:
        caller = await enter(self.hub, Entrant(verify_card(device.card()), InstanceId(os.urandom(16))), token=token)
        seat = DeskSeat(self.desk, caller)
        self.desk.router.add(seat)
        seat.deliver_inbox()
        return seat

    async def seat_again(self, *actors: Actor) -> None:
        """Connect actors once more, as the newest agents of their devices; what they say is kept from here on."""
        for each in actors:
            each.line = RecordingLine(await self.seat(each.device, token=TOKEN), self._keep)
        self._said.clear()

    async def snapshot(self, *names: str) -> Snapshot:
        """Return what the store holds once the outboxes of these devices and sessions are drained.

        So no schedule has to do again what was left of making its scene.
        """
        await finish_all(self.world, names)
        return self.direct.snapshot()

    def _keep(self, caller: Caller, request: Request) -> None:
        self._said.append((caller.client, request))
        if self.takes is not None:
            self.takes.append(Take(self.direct.snapshot(), caller, request))

    def script(self, *actors: Actor) -> RequestScript:
        """Return what was sent since all these were seated again."""
        callers = [caller_of(each) for each in actors]
        return RequestScript(tuple(Entrant(each.card, each.instance) for each in callers), tuple(self._said))


@asynccontextmanager
async def studio(direct: Direct, seed: int = 0) -> AsyncIterator[Callable[[], Studio]]:
    """Yield what makes studios, in which all that is random comes from the seed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "urandom", random.Random(seed).randbytes)  # noqa: S311 - nothing here is secret
        async with asyncio.TaskGroup() as group:
            yield lambda: Studio(direct, group)


def calm_world(direct: Direct) -> ScheduledWorld:
    world = ScheduledWorld(direct, 0)
    world.calm = True
    return world


def caller_of(actor: Actor) -> Caller:
    """Return the connection under which an actor asks."""
    assert isinstance(actor.line, RecordingLine)
    return actor.line.seat.caller


async def enter(context: NodeContext, entrant: Entrant, *, token: int) -> Caller:
    """Connect an agent that shows a continuity token with this counter; 0: none."""
    row = InstanceRow(entrant.instance, Role.AGENT, context.nodes.node, context.nodes.incarnation, now_ms())
    newcomer = ConnectingDevice(entrant.card, Role.AGENT, entrant.instance, token, now_ms())
    connected = await connect(context.store, newcomer, row)
    card = entrant.card
    return Caller(
        client=entrant.client,
        fingerprint=card.fingerprint,
        fingerprints=card.fingerprints,
        connection=connected.number,
        role=Role.AGENT,
        instance=entrant.instance,
        card=card,
        token_counter=token,
    )


async def ask(context: NodeContext, caller: Caller, request: Request) -> Reply:
    """Carry a request into its use case, bare: refusals and failures are raised."""
    return await use_cases(PresenceWatches())[type(request)](context, caller, request)


async def perform(context: NodeContext, script: RequestScript) -> None:
    """Send all requests again, to a store in another state; each must succeed."""
    callers = {each.client: await enter(context, each, token=TOKEN) for each in script.entrants}
    for client, request in script.said:
        try:
            reply = await ask(context, callers[client], request)
        except Refused as refused:
            raise AssertionError(f"{type(request).__name__} again: {refused}") from refused
        assert not isinstance(reply, Error)
        if isinstance(reply, InviteResults):
            assert [each.reason for each in reply.results] == [None] * len(reply.results), reply
        if isinstance(reply, Admitted):
            assert not reply.rejected, reply


async def finish(context: NodeContext, names: Sequence[str]) -> None:
    """Finish from the outboxes of these devices and sessions what others left half done."""
    for bucket in buckets(names):
        await outbox.drain(context, bucket, min_age_ms=0)


async def finish_all(world: ScheduledWorld, names: Sequence[str]) -> None:
    """Have a node that lives on drain these outboxes until nothing is left but records."""
    for _ in range(ROUNDS):
        left = _with_effects(world.direct, names)
        if not left:
            return
        for bucket in left:
            await outbox.drain(world.hubs["three"], bucket, min_age_ms=0)
    raise AssertionError("the outbox is never empty")


def buckets(names: Sequence[str]) -> list[int]:
    return sorted({keys.bucket(name) for name in names})


def _with_effects(direct: Direct, names: Sequence[str]) -> list[int]:
    outboxes = direct.ask_all([(b"XRANGE", keys.outbox(bucket), b"-", b"+") for bucket in buckets(names)])
    return [bucket for bucket, entries in zip(buckets(names), outboxes, strict=True) if _has_effect(entries)]


def _has_effect(entries: StoreReply) -> bool:
    assert isinstance(entries, list)
    return any(b"record" not in entry[1] for entry in entries)  # type: ignore[index,operator]
