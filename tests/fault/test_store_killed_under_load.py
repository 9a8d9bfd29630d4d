"""A store that is killed again and again while devices work: what was acknowledged is there, and written down once."""

import asyncio
import os
import random
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import msgpack
import pytest
from tests.fault.nodes import Cluster, NodeProcess
from tests.fault.patience import PatientLine
from tests.fault.server import StoreServer
from tests.integration.hub.desk import Line
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor, befriend, invite_and_answer

from muster_hub.audit.records import RecordKind
from muster_hub.store import keys
from muster_protocol.frames import ListStatements, MemberState, Statements
from muster_protocol.governance import Grant
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read, statement_hash

KILLS_FOR_S = 30.0
UP_FOR_S = (0.2, 2.5)
DOWN_FOR_S = (0.0, 0.4)
PAIRS = 3
POLL_S = 0.05


@dataclass
class Acknowledged:
    """What the hub acknowledged to one pair."""

    statements: list[tuple[ClientId, Kind, Signed]] = field(default_factory=list)
    joins: list[SessionId] = field(default_factory=list)
    cut: set[SessionId] = field(default_factory=set)


class CallingPair:
    """Two devices, on two nodes, that call each other in, take everything back, and begin again."""

    def __init__(self, creator: Actor, member: Actor) -> None:
        self.creator = creator
        self.member = member
        self.ledger = Acknowledged()

    async def say(self, who: Actor, statement: tuple[Kind, Signed]) -> None:
        await who.say(statement)
        self.ledger.statements.append((who.client, *statement))

    async def cycle(self) -> None:
        """Grant, call in, revoke; then take the trust back, which takes the member out, and trust again."""
        creator, member = self.creator, self.member
        grants = [(one, one.device.grant(other.device)) for one, other in ((creator, member), (member, creator))]
        for who, grant in grants:
            await self.say(who, grant)
        session = await creator.create()
        await invite_and_answer(creator, member)
        assert not (await creator.admit()).rejected
        self.ledger.joins.append(session)
        await member.join()
        who, (_, signed) = random.choice(grants)  # noqa: S311 # it spreads the cases
        other = member if who is creator else creator
        await self.say(who, who.device.revocation(other.device, read(signed, Grant).grant))
        await self.say(creator, creator.device.untrust(member.device))
        self.ledger.cut.add(session)
        await self.say(creator, creator.device.trust(member.device))

    async def work(self, until: asyncio.Event) -> None:
        while not until.is_set():
            await self.cycle()


async def kill_again_and_again(store: StoreServer, seed: int, done: asyncio.Event) -> int:
    """Kill the store at random moments; return how often."""
    dice = random.Random(seed)  # noqa: S311 # a schedule, not a secret
    loop = asyncio.get_running_loop()
    end_s, kills = loop.time() + KILLS_FOR_S, 0
    while loop.time() < end_s:
        await asyncio.sleep(dice.uniform(*UP_FOR_S))
        await store.kill()
        await asyncio.sleep(dice.uniform(*DOWN_FOR_S))
        await store.start()
        kills += 1
    done.set()
    return kills


async def pair(stack: AsyncExitStack, one: NodeProcess, two: NodeProcess) -> CallingPair:
    actors = []
    for node in (one, two):
        device = SigningDevice()
        link = await stack.enter_async_context(device.connect(node.url))
        actors.append(Actor(device, PatientLine(link)))
    await befriend(*actors, grants=False)
    return CallingPair(*actors)


async def records(store: StoreServer) -> list[tuple[RecordKind, bytes, bytes, bytes, bytes]]:
    """Read all records: kind, actor, subject, session, and hash of the statement."""
    found = []
    for number in range(keys.BUCKETS):
        entries: Any = await store.say(b"XRANGE", keys.outbox(number), b"-", b"+")
        for _, flat in entries:
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            if fields[b"kind"] == b"record":
                row = msgpack.unpackb(fields[b"data"], raw=True)
                found.append((RecordKind(row[0].decode()), row[1], row[2], row[3], row[6]))
    return found


async def held(line: Line) -> dict[Kind, Signed]:
    """Return what the hub holds of a device that spoke of one peer only."""
    said = await line.ask_any(ListStatements(id=0, after=0))
    assert isinstance(said, Statements), said
    return {one.kind: one.statement for one in said.statements}


async def check_statements(one: CallingPair, written: Counter[tuple[RecordKind, bytes, bytes]]) -> None:
    """What stands is the last word of each device about its peer, and every word was written down once."""
    for actor in (one.creator, one.member):
        mine = [(kind, signed) for client, kind, signed in one.ledger.statements if client == actor.client]
        about_grants = [entry for entry in mine if entry[0] in {Kind.GRANT, Kind.REVOCATION, Kind.UNTRUST}]
        found = await held(actor.line)
        last_kind, last = about_grants[-1]
        if last_kind is not Kind.UNTRUST:  # that one leaves no statement about the grant
            assert found[last_kind] == last
        for kind, signed in mine:
            entry = (RecordKind(kind), actor.client.encode(), statement_hash(kind, signed.body))
            assert written[entry] == 1, f"{kind} is written down {written[entry]} times"
        for kind, signed in found.items():
            if kind is not Kind.CARD:
                assert written[RecordKind(kind), actor.client.encode(), statement_hash(kind, signed.body)] == 1


async def check_joins(one: CallingPair, all_records: list[tuple[RecordKind, bytes, bytes, bytes, bytes]]) -> None:
    """Every join that was acknowledged stands in its session, and was written down once; so was its end."""
    for session in one.ledger.joins:
        shown = await one.creator.show(session)
        (member,) = [member for member in shown.members if member.client == one.member.client]
        joins = [
            record
            for record in all_records
            if (record[0], record[2], record[3])
            == (RecordKind.JOIN_COMMITTED, one.member.client.encode(), session.encode())
        ]
        assert len(joins) == 1
        ends = [
            record for record in all_records if record[0] is RecordKind.MEMBER_OUT and record[3] == session.encode()
        ]
        assert len(ends) == (member.state is MemberState.OUT)
        if session in one.ledger.cut:
            assert (member.state, member.reason) == (MemberState.OUT, Reason.NOT_TRUSTED)


async def test_store_killed_under_load(
    hub_nodes: Cluster, stack: AsyncExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    store = hub_nodes.store
    one, two = await hub_nodes.node("one"), await hub_nodes.node("two")
    pairs = [await pair(stack, one, two) for _ in range(PAIRS)]
    seed = int(os.environ.get("SEED") or random.randrange(2**32))  # noqa: S311 # a schedule, not a secret
    sys.stdout.write(f"SEED={seed}\n")
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        killing = group.create_task(kill_again_and_again(store, seed, done))
        for each in pairs:
            group.create_task(each.work(done))
    kills = killing.result()
    joins = sum(len(each.ledger.joins) for each in pairs)
    repeats = sum(actor.line.repeats for each in pairs for actor in (each.creator, each.member))  # type: ignore[attr-defined]
    with capsys.disabled():
        sys.stdout.write(f" {kills} kills, {joins} joins, {repeats} requests again ")
    assert kills > 1
    assert joins > PAIRS

    found = await records(store)
    written = Counter((kind, actor, digest) for kind, actor, _, _, digest in found if digest)
    for each in pairs:
        await check_statements(each, written)
        await check_joins(each, found)
