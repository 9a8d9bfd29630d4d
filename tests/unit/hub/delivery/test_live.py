"""Live pushes, of which any may be lost."""

from typing import cast

import pytest
from structlog.testing import capture_logs
from tests.unit.hub.routing.test_router import RecordedConnection
from typing_extensions import override

from muster_hub.config.settings import Settings
from muster_hub.context import NodeContext, Nodes, WallClock
from muster_hub.delivery.live import tell
from muster_hub.node.bus_link import BusLink
from muster_hub.routing.router import Router
from muster_hub.store.adapter import Store
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_hub.store.rows import Location
from muster_protocol.frames import PresencePush, encode_frame
from muster_protocol.ids import ClientId
from muster_protocol.keys import SigningKey

HERE, AWAY, LOST, OFFLINE = (ClientId(letter * 32) for letter in "abcd")
PUSH = PresencePush(devices=())


class SomeAgents:
    """One agent is on another node, one cannot be looked up, and any other is offline."""

    def __init__(self) -> None:
        self.asked: list[ClientId] = []

    async def find_agent(self, client: ClientId) -> Location | None:
        self.asked.append(client)
        if client == LOST:
            raise StoreUnavailable(StoreCause.TIMEOUT, outcome_unknown=False)
        return Location("other", "i", 7) if client == AWAY else None


class UnwatchedDevices:
    """No device is watched here."""

    def changed(self, client: ClientId) -> None:
        raise AssertionError(client)


class SentPayloads(BusLink):
    """A bus that writes down for which nodes it gets messages."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[str] = []

    @override
    def publish(self, node: str, payload: bytes) -> None:
        self.nodes.append(node)


@pytest.fixture
def agents() -> SomeAgents:
    return SomeAgents()


@pytest.fixture
def bus() -> SentPayloads:
    return SentPayloads()


@pytest.fixture
def context(agents: SomeAgents, bus: SentPayloads) -> NodeContext:
    router = Router("here", bus, agents, UnwatchedDevices())
    unused = cast("Store", None), cast("Nodes", None)
    return NodeContext(unused[0], router, unused[1], WallClock(), cast("Settings", None), cast("SigningKey", None))


async def test_an_agent_on_this_node_gets_a_push_without_a_look_into_the_store(
    context: NodeContext, agents: SomeAgents, bus: SentPayloads
) -> None:
    here = RecordedConnection(1, client=HERE)
    context.router.add(here)
    await tell(context, [HERE, OFFLINE, AWAY], PUSH)
    assert here.done == [encode_frame(PUSH)]
    assert sorted(agents.asked) == [AWAY, OFFLINE]
    assert bus.nodes == ["other"]


async def test_a_device_that_cannot_be_looked_up_holds_no_other_push_back(
    context: NodeContext, bus: SentPayloads
) -> None:
    with capture_logs() as logs:
        await tell(context, [LOST, AWAY], PUSH)
    assert bus.nodes == ["other"]
    assert [(log["event"], log["client"]) for log in logs] == [("push_not_sent", LOST[:8])]
