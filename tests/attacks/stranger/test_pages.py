"""Pages of its own statements, by which a stranger that stated much makes the store read all of it each time."""

import re
from collections import Counter
from typing import Any

from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor, actor

from muster_protocol.cards import Card
from muster_protocol.frames import MAX_PAGE, KindAndStatement, ListStatements, Ok, PutStatement, Statements
from muster_protocol.governance import GOVERNANCE
from muster_protocol.labels import Kind
from muster_protocol.signed import read

BODIES: dict[Kind, type[Any]] = {**GOVERNANCE, Kind.CARD: Card}
PEERS = 2 * MAX_PAGE
CALLS = re.compile(rb"cmdstat_(\w+):calls=(\d+)")


async def calls(desk: Desk) -> dict[str, int]:
    """Return how often the store has carried out each command, those of scripts too."""
    found = await desk.store.ask(b"INFO", b"commandstats")
    assert isinstance(found, bytes)
    return {name.decode(): int(count) for name, count in CALLS.findall(found)}


async def state_about(one: Actor, peers: int) -> None:
    for _ in range(peers):
        peer = SigningDevice()
        for kind, signed in (one.device.trust(peer), one.device.grant(peer)):
            assert isinstance(await one.line.ask_any(PutStatement(id=0, kind=kind, statement=signed)), Ok)


async def test_a_page_of_statements_reads_no_others(desk: Desk) -> None:
    one = await actor(desk)
    await state_about(one, PEERS)
    await one.ask(ListStatements(id=0, after=0), Statements)
    before = await calls(desk)
    page = await one.ask(ListStatements(id=0, after=0), Statements)
    after = await calls(desk)
    assert len(page.statements) == MAX_PAGE
    assert page.more
    assert after["hget"] - before["hget"] <= MAX_PAGE
    for of_all_rows in ("hvals", "hgetall", "hscan"):
        assert after.get(of_all_rows, 0) == before.get(of_all_rows, 0)


async def test_the_pages_show_each_statement_that_stands_once(desk: Desk) -> None:
    one, peer = await actor(desk), SigningDevice()
    await state_about(one, PEERS)
    for kind, signed in (one.device.grant(peer), one.device.trust(peer), one.device.untrust(peer)):
        assert isinstance(await one.line.ask_any(PutStatement(id=0, kind=kind, statement=signed)), Ok)
    shown: list[KindAndStatement] = []
    after, more = 0, True
    while more:
        page = await one.ask(ListStatements(id=0, after=after), Statements)
        shown += page.statements
        after, more = len(shown), page.more
    serials = [read(said.statement, BODIES[said.kind]).serial for said in shown]
    assert serials == sorted(serials)
    assert Counter(said.kind for said in shown) == {"card": 1, "untrust": 1, "trust": PEERS, "grant": PEERS}
