"""Automatic joins, every word of them signed and sealed before the measuring begins."""

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Self

from tests.bench.figures import MICRO, Figure, percentile
from tests.bench.servers import BenchServer
from tests.bench.swarm import Guest, begin_session, enter_all, make_devices
from tests.integration.hub.device import now_ms
from tests.own_store import StoredData

from muster_protocol.cards import ProtocolRange
from muster_protocol.frames import Ack, Admit, Purpose, SealedFor, SendAnswer, SendInvites, SendJoined, encode_frame
from muster_protocol.ids import InviteId, TimeMs
from muster_protocol.joining import Joining, read_invite
from muster_protocol.sealing import EpochKey, ReceiveKey

IN_FLIGHT = 64
JOINS_EACH = 5
"""Joins of each pair in one repeat, one after the other."""
LATENCIES_EACH = 3
PASSES_S = 12.0
"""After this long the hub has come back to all that a join left in its outboxes, and found it done."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The requests of one join, each with the number that it has on its connection."""

    create: tuple[int, bytes]
    invite: tuple[int, bytes]
    answer: tuple[int, bytes]
    admit: tuple[int, bytes]
    joined: tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class GrantedPair:
    """Two devices that trust each other and grant each other everything."""

    creator: Guest
    target: Guest

    @classmethod
    async def befriend(cls, creator: Guest, target: Guest) -> Self:
        """Publish what it takes."""
        for one, other in ((creator, target), (target, creator)):
            await one.put(one.device.trust(other.device), one.device.grant(other.device))
        return cls(creator, target)

    def prepare(self) -> Prepared:
        """Run both machines in memory, and keep what they would send."""
        ann, bob, now = self.creator.device, self.target.device, now_ms()
        create = self.creator.end.next_number()
        inviting, created = begin_session(ann, create, bob)
        session = inviting.plan.session
        name, until = InviteId(os.urandom(16)), TimeMs(now + 3_600_000)
        invite = inviting.invite(
            bob.client, bob.key.public, invite=name, purpose=Purpose.AUTO, expires_at=until, now=now
        )
        received = read_invite(invite, ann.key.public, bob.client, bob.fingerprint)
        own = StoredData(bob.client, bob.fingerprint).agree({ann.client: ann.fingerprint})
        joining = Joining(bob.key, received, ProtocolRange(1, 1), own)
        answer = joining.accept(ReceiveKey.from_seed(os.urandom(96)), now)
        inviting.on_answer(answer, bob.client, now)
        made = inviting.admit(EpochKey(os.urandom(32)), now)
        if made is None:
            raise RuntimeError("no device to admit")
        admissions = tuple(signed for _, signed in made.admissions)
        joining.on_admission(admissions[0], now)
        joined = joining.joined_statement(ReceiveKey.from_seed(os.urandom(96)), now)
        sealed = tuple(SealedFor(client, data) for client, data in made.sealed)
        ours, theirs = self.creator.end, self.target.end
        one, two, three, four = ours.next_number(), theirs.next_number(), ours.next_number(), theirs.next_number()
        return Prepared(
            create=(create, created),
            invite=(one, encode_frame(SendInvites(id=one, session=session, invites=(invite,)))),
            answer=(two, encode_frame(SendAnswer(id=two, answer=answer))),
            admit=(
                three,
                encode_frame(Admit(id=three, session=session, epoch=made.epoch, sealed=sealed, admissions=admissions)),
            ),
            joined=(four, encode_frame(SendJoined(id=four, joined=joined))),
        )

    async def join(self, prepared: Prepared) -> float:
        """Join as agents do, acknowledging what waited in the end; returns how long it took, in seconds."""
        began = time.perf_counter()
        ours, theirs = self.creator.end, self.target.end
        replies = [ours.ask(*prepared.invite)]
        invite = await theirs.push("invite")
        replies.append(theirs.ask(*prepared.answer))
        answer = await ours.push("answer")
        replies.append(ours.ask(*prepared.admit))
        await theirs.push("admission")
        replies.append(theirs.ask(*prepared.joined))
        await ours.push("joined")
        took_s = time.perf_counter() - began
        # An agent acknowledges together what it handled within a moment; a join takes less.
        replies += [_acknowledge(self.target, invite), _acknowledge(self.creator, answer)]
        said = await asyncio.gather(*replies)
        if "error" in said:
            raise RuntimeError(f"a join failed: {said}")
        return took_s


def _acknowledge(guest: Guest, push: str | None) -> "asyncio.Future[str]":
    number = guest.end.next_number()
    return guest.end.ask(number, encode_frame(Ack(id=number, pushes=(push or "",))))


async def make_pairs(url: str) -> list[GrantedPair]:
    """Connect the devices and let them trust each other."""
    guests = await enter_all(make_devices(2 * IN_FLIGHT), url)
    return list(
        await asyncio.gather(*(GrantedPair.befriend(*both) for both in zip(guests[::2], guests[1::2], strict=True)))
    )


async def measure_joins(hub: BenchServer, repeats: int) -> list[Figure]:
    """Measure what a join costs with 64 in flight, and how long one alone takes."""
    pairs = await make_pairs(hub.url)
    rounds = [[[pair.prepare() for _ in range(JOINS_EACH)] for pair in pairs] for _ in range(repeats)]
    alone = [[pair.prepare() for _ in range(LATENCIES_EACH)] for pair in pairs]
    await hub.quiet()
    made = await _measure_sessions(hub, pairs, rounds, alone)
    await hub.quiet()
    figures = await _measure_rounds(hub, pairs, rounds)
    return [*figures, made, *await _measure_alone(hub, pairs, alone)]


async def _measure_sessions(
    hub: BenchServer, pairs: list[GrantedPair], rounds: list[list[list[Prepared]]], alone: list[list[Prepared]]
) -> Figure:
    async def create(pair: GrantedPair, batch: list[Prepared]) -> None:
        for each in batch:
            await pair.creator.must("ok", *each.create)

    values, store = [], []
    for batches in [*rounds, alone]:
        before = hub.moment()
        await asyncio.gather(*(create(pair, batch) for pair, batch in zip(pairs, batches, strict=True)))
        used, count = before.until_now(), sum(map(len, batches))
        values.append(used.hub_s / count * MICRO)
        store.append(used.store_s / count * MICRO)
    return Figure(name="session made", unit="µs", values=values, store=store)


async def _measure_rounds(
    hub: BenchServer, pairs: list[GrantedPair], rounds: list[list[list[Prepared]]]
) -> list[Figure]:
    async def join_all(pair: GrantedPair, batch: list[Prepared]) -> None:
        for each in batch:
            await pair.join(each)

    values, store, shares = [], [], []
    everything = hub.moment()
    for batches in rounds:
        before = hub.moment()
        await asyncio.gather(*(join_all(pair, batch) for pair, batch in zip(pairs, batches, strict=True)))
        used, count = before.until_now(), sum(map(len, batches))
        values.append(used.hub_s / count * MICRO)
        store.append(used.store_s / count * MICRO)
        shares.append(used.load_share)
    await asyncio.sleep(PASSES_S)
    whole, count = everything.until_now(), sum(map(len, (batch for batches in rounds for batch in batches)))
    await asyncio.sleep(PASSES_S)
    idle_from = hub.moment()
    await asyncio.sleep(PASSES_S)
    idle = idle_from.until_now()
    hub_s = whole.hub_s - idle.hub_s / idle.wall_s * whole.wall_s
    store_s = whole.store_s - idle.store_s / idle.wall_s * whole.wall_s
    return [
        Figure(
            name=f"automatic join, {IN_FLIGHT} in flight",
            unit="µs",
            values=values,
            store=store,
            target=400,
            load_share=max(shares),
        ),
        Figure(
            name="the same with the passes behind it",
            unit="µs",
            values=[hub_s / count * MICRO],
            store=[store_s / count * MICRO],
        ),
        Figure(
            name="a node that does nothing, a second",
            unit="µs",
            values=[idle.hub_s / idle.wall_s * MICRO],
            store=[idle.store_s / idle.wall_s * MICRO],
        ),
    ]


async def _measure_alone(hub: BenchServer, pairs: list[GrantedPair], alone: list[list[Prepared]]) -> list[Figure]:
    before = hub.moment()
    took = [await pair.join(each) for pair, batch in zip(pairs, alone, strict=True) for each in batch]
    used = before.until_now()
    return [
        Figure(
            name="automatic join, one alone",
            unit="µs",
            values=[used.hub_s / len(took) * MICRO],
            store=[used.store_s / len(took) * MICRO],
        ),
        Figure(name="latency of a join, p50", unit="ms", values=[percentile(took, 0.5) * 1000]),
        Figure(name="latency of a join, p99", unit="ms", values=[percentile(took, 0.99) * 1000]),
    ]
