"""What a node answers about itself, for each thing that keeps it from taking devices."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from typing_extensions import override

from muster_hub.config.settings import Settings
from muster_hub.context import NodeContext, WallClock
from muster_hub.node.bus_link import BusLink
from muster_hub.node.health import JSON, NOT_READY, READY, Readiness
from muster_hub.presence.record import AgentLocations
from muster_hub.presence.watches import PresenceWatches
from muster_hub.routing.router import Router
from muster_hub.store.adapter import Store
from muster_hub.store.bus import Bus
from muster_hub.store.durability import Durability
from muster_hub.store.urls import Address
from muster_protocol.keys import SigningKey

KEPT = Durability("8.1", "everysec", "noeviction", 0, unverified=False, sentence="It keeps all but the last second.")


class Away(Store):
    """A store that is connected or not, and full or not, as the test says."""

    up = True
    lacks_memory = False

    def __init__(self) -> None:
        super().__init__(Address("unix", "", 0, "unused", 0, None, None))

    @property
    @override
    def connected(self) -> bool:
        return self.up

    @property
    @override
    def full(self) -> bool:
        return self.lacks_memory


class OneNode:
    """A node whose lease is fresh or not, as the test says."""

    node = "one"
    incarnation = "incarnation"
    fresh = True

    def live(self, node: str, incarnation: str) -> bool:
        return True

    def live_nodes(self) -> list[str]:
        return ["one"]

    def acting(self) -> bool:
        return self.fresh

    async def until_acting(self) -> bool:
        return self.acting()


class NothingReceived:
    """The handler of a bus that carries nothing."""

    async def receive(self, payload: bytes) -> None:
        raise AssertionError("nothing is sent")

    def recovered(self) -> None:
        raise AssertionError("it never subscribes")


class QuietBus(Bus):
    """A bus that is subscribed or not, as the test says."""

    lost_it = False

    @property
    @override
    def unsubscribed(self) -> bool:
        return self.lost_it


@pytest_asyncio.fixture
async def store() -> Away:
    return Away()


@pytest.fixture
def nodes() -> OneNode:
    return OneNode()


@pytest.fixture
def bus(store: Away) -> QuietBus:
    return QuietBus(store, "one", NothingReceived())


@pytest_asyncio.fixture
async def readiness(store: Away, nodes: OneNode, bus: QuietBus) -> Readiness:
    context = NodeContext(
        store=store,
        router=Router("one", BusLink(), AgentLocations(store), PresenceWatches()),
        nodes=nodes,
        clock=WallClock(),
        settings=Settings(data_dir=Path("unused")),
        key=SigningKey.from_secret(os.urandom(32)),
    )
    return Readiness(context, bus, KEPT)


def report(readiness: Readiness) -> dict[str, Any]:
    answer = readiness.answer("/readyz")
    assert answer.content_type == JSON
    body: dict[str, Any] = msgspec.json.decode(answer.body)
    assert answer.status == (READY if body["ready"] else NOT_READY)
    assert body["ready"] is not bool(body["reasons"])
    return body


async def test_a_node_that_lacks_nothing_is_ready_and_says_what_its_store_keeps(readiness: Readiness) -> None:
    assert report(readiness) == {
        "ready": True,
        "reasons": [],
        "node": "one",
        "connections": 0,
        "store": {
            "version": "8.1",
            "appendfsync": "everysec",
            "replicas": 0,
            "verified": True,
            "full": False,
            "keeps": KEPT.sentence,
        },
    }


async def test_a_full_store_is_shown_and_keeps_no_node_from_serving(readiness: Readiness, store: Away) -> None:
    store.lacks_memory = True
    answer = readiness.answer("/readyz")
    assert (answer.status, msgspec.json.decode(answer.body)["store"]["full"]) == (READY, True)


async def test_each_thing_that_is_wrong_is_a_reason_of_its_own(
    readiness: Readiness, store: Away, nodes: OneNode, bus: QuietBus
) -> None:
    found = []
    for part, name, wrong, right in (
        (readiness, "stopping", True, False),
        (store, "up", False, True),
        (nodes, "fresh", False, True),
        (bus, "lost_it", True, False),
    ):
        setattr(part, name, wrong)
        found += report(readiness)["reasons"]
        setattr(part, name, right)
        assert report(readiness)["ready"]
    assert len(set(found)) == len(found) == 4


async def test_a_node_tells_all_that_is_wrong_at_once(readiness: Readiness, store: Away, nodes: OneNode) -> None:
    store.up = nodes.fresh = False
    assert len(report(readiness)["reasons"]) == 2


async def test_the_process_lives_also_while_it_is_not_ready(readiness: Readiness, store: Away) -> None:
    store.up = False
    assert readiness.answer("/healthz").status == READY
    assert readiness.answer("/healthz").body == b"ok\n"
