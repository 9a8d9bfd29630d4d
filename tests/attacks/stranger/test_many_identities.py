"""Identities, which cost nothing, by which a stranger at one address causes and leaves more than one device may."""

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from msgspec.structs import replace
from tests.attacks.stranger.decoding import count_decoded
from tests.attacks.stranger.test_places import OTHER, STRANGER
from tests.attacks.stranger.test_unreadable_messages import UNKNOWN_TYPE, admitted
from tests.integration.hub.conftest import Eventually, NodeSettings
from tests.integration.hub.device import DeviceLink, RefusedByHubError, SigningDevice, dial

from muster_hub.connections import connection, dispatch
from muster_hub.node.node import Node, open_node
from muster_hub.presence import watch_table, watches
from muster_hub.presence.lookup import Asker, Observation, hidden
from muster_hub.presence.watch_table import DeviceWatch, WatchTable
from muster_hub.rate_limits import spending
from muster_hub.rate_limits.costs import KEPT_DEVICE, arrival_cost, cost
from muster_hub.rate_limits.token_bucket import Rate
from muster_hub.store.adapter import Store
from muster_protocol.frames import MAX_WATCHED, Error, Ok, Watch, Who, encode_frame
from muster_protocol.ids import ClientId, Fingerprint, GrantId
from muster_protocol.reasons import Reason

BURST = 400
"""What an address may cause at once here, as much as one device."""
KEPT = 6 * KEPT_DEVICE
"""What an address may leave here."""
PAUSE_S = 0.01
WATCHED = 4
"""Devices that each watches here."""
WATCHES = 20
BYTES_PER_WATCHED = 256
"""An id, and its place in two tables."""
NAMED = tuple(SigningDevice().client for _ in range(MAX_WATCHED))
ALL = Who(id=0, clients=NAMED)
SERVED = int(BURST // (arrival_cost(len(encode_frame(ALL))) + cost(ALL)))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count, by asker, how many devices are read in the store for another one."""
    counted: Counter[str] = Counter()
    begin = Store.begin

    def counting(self: Store, script, keys, args=(), **named):
        if script.name == "look":
            counted[args[0]] += 1
        return begin(self, script, keys, args, **named)

    monkeypatch.setattr(Store, "begin", counting)
    return counted


@pytest_asyncio.fixture
async def links() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest_asyncio.fixture
async def node(hub_settings: NodeSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    """Start a node whose limits by address are met soon, and of which next to nothing comes back while a test runs."""
    monkeypatch.setattr(spending, "ADDRESS_BURST_S", BURST)
    monkeypatch.setattr(spending, "MIB", KEPT)
    monkeypatch.setattr(watches, "PUSH_EVERY_S", 0.01)
    async with open_node(replace(hub_settings("one"), units_per_address=1, store_mib_per_address=1)) as node:
        yield node


async def strangers(node: Node, links: AsyncExitStack, count: int) -> list[DeviceLink]:
    return [await links.enter_async_context(SigningDevice().connect(node.url, source=STRANGER)) for _ in range(count)]


async def asked(some: Sequence[DeviceLink], request: Who | Watch) -> int:
    """Ask with each; return how often the hub served, and else it says when to come back."""
    replies = [await link.ask_any(request) for link in some]
    refused = [reply for reply in replies if isinstance(reply, Error)]
    assert all(reply.reason is Reason.RATE_LIMITED and reply.retry_after_ms for reply in refused)
    return len(replies) - len(refused)


async def left(link: DeviceLink) -> int:
    """State something about one device after the other until the hub refuses; return how often it did not."""
    for served in range(KEPT):
        reply = await link.put(link.device.trust(SigningDevice()))
        if isinstance(reply, Error):
            assert reply.reason is Reason.RATE_LIMITED
            assert reply.retry_after_ms
            return served
    raise AssertionError("never refused")


async def test_the_identities_of_one_address_cause_together_what_it_may(node: Node, links: AsyncExitStack) -> None:
    some = await strangers(node, links, 5)
    assert await asked([*some, *some], ALL) == SERVED
    other = await links.enter_async_context(SigningDevice().connect(node.url, source=OTHER))
    assert await asked([other], ALL) == 1


async def test_the_messages_of_one_address_wait_for_each_other(
    node: Node, links: AsyncExitStack, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_PAUSE_S", PAUSE_S)
    monkeypatch.setattr(spending, "LOOK_AGAIN_S", PAUSE_S)
    decoded, cost_of_each = count_decoded(monkeypatch, dispatch), arrival_cost(len(UNKNOWN_TYPE))
    other = await links.enter_async_context(SigningDevice().connect(node.url, source=OTHER))
    for _ in range(5):
        socket = await links.enter_async_context(dial(node.url, source=STRANGER))
        links.callback(socket.transport.abort)  # the hub reads no more of it, also no close
        await admitted(SigningDevice(), node.url, socket)
        for _ in range(10):
            await socket.send(UNKNOWN_TYPE)
    await eventually(lambda: decoded[len(UNKNOWN_TYPE)] * cost_of_each >= BURST)
    await asyncio.sleep(20 * PAUSE_S)
    assert await asked([other], ALL) == 1
    assert decoded[len(UNKNOWN_TYPE)] * cost_of_each <= BURST + 2 * cost_of_each


async def test_the_identities_of_one_address_watch_together_what_it_may(
    node: Node, links: AsyncExitStack, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_table, "MAX_WATCHED_PER_ADDRESS", 3 * WATCHED)
    some, watching = await strangers(node, links, 4), Watch(id=0, clients=NAMED[:WATCHED])
    assert await asked(some, watching) == 3
    assert await asked(some[:3], watching) == 3  # in the place of their own
    other = await links.enter_async_context(SigningDevice().connect(node.url, source=OTHER))
    assert await asked([other], watching) == 1
    await some[0].socket.close()
    await eventually(lambda: not node.context.router.local(some[0].device.client, some[0].welcome.connection))
    assert await asked(some[3:], watching) == 1


def test_a_device_that_is_made_up_takes_little_memory_of_a_watch() -> None:
    table = WatchTable()
    tracemalloc.start()
    try:
        for number in range(WATCHES):
            made_up = [Observation(hidden(ClientId(f"{number:016}{device:016}"))) for device in range(MAX_WATCHED)]
            table.add(DeviceWatch(Asker(NAMED[0], Fingerprint(bytes(32))), number, made_up))
            del made_up
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held <= WATCHES * MAX_WATCHED * BYTES_PER_WATCHED


async def test_a_look_because_of_a_change_is_paid_by_the_address_of_the_watch(
    node: Node, links: AsyncExitStack, looks: Counter[str], eventually: Eventually
) -> None:
    some = await strangers(node, links, 3)
    watched = await links.enter_async_context(SigningDevice().connect(node.url, source=OTHER))
    honest = await links.enter_async_context(SigningDevice().connect(node.url, source=OTHER))
    clients = (*NAMED[1:], watched.device.client)
    assert await asked(some, Watch(id=0, clients=clients)) == len(some)
    assert await asked([*some, *some], ALL) == SERVED - len(some)
    assert await asked([honest], Watch(id=0, clients=clients[-1:])) == 1
    assert isinstance(await honest.put(honest.device.trust(watched.device)), Ok)
    before = Counter(looks)
    for statement in (watched.device.trust, watched.device.untrust, watched.device.trust):
        assert isinstance(await watched.put(statement(honest.device)), Ok)
        await eventually(lambda: looks[honest.device.client] > before[honest.device.client])
        before[honest.device.client] = looks[honest.device.client]
    assert {link.device.client: looks[link.device.client] for link in some} == {
        link.device.client: before[link.device.client] for link in some
    }


async def test_the_identities_of_one_address_leave_together_what_it_may(node: Node, links: AsyncExitStack) -> None:
    first, second = await strangers(node, links, 2)
    assert await left(first)
    assert await left(second) == 0
    other = await links.enter_async_context(SigningDevice().connect(node.url, source=OTHER))
    assert await left(other)


async def test_no_neighbour_makes_the_hub_refuse_what_a_device_takes_back(
    node: Node, links: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.context.spending._addresses, "_rate", Rate(per_s=1, burst=BURST, debt_limit=BURST))
    [honest, *others], friend, grant = await strangers(node, links, 3), SigningDevice(), GrantId(bytes(16))
    device = honest.device
    assert isinstance(await honest.put(device.trust(friend)), Ok)
    assert isinstance(await honest.put(device.grant(friend, grant=grant)), Ok)
    await left(others[0])
    while await asked(others, Who(id=0, clients=NAMED[:WATCHED])):
        pass
    assert isinstance(await honest.put(device.trust(SigningDevice())), Error)
    assert isinstance(await honest.put(device.revocation(friend, grant)), Ok)
    assert isinstance(await honest.put(device.untrust(friend)), Ok)


async def test_what_is_taken_back_and_was_never_given_leaves_no_more_than_an_address_may(
    node: Node, links: AsyncExitStack
) -> None:
    one, other = await strangers(node, links, 2)
    await left(one)
    for link, statement in ((one, one.device.untrust), (other, other.device.untrust)):
        replies = [await link.put(statement(SigningDevice())) for _ in range(3)]
        assert {type(reply) for reply in replies[1:]} == {Error}
    refused = await other.put(other.device.revocation(SigningDevice(), GrantId(bytes(16))))
    assert isinstance(refused, Error)
    assert (refused.reason, bool(refused.retry_after_ms)) == (Reason.RATE_LIMITED, True)


async def test_where_an_address_left_what_it_may_only_known_devices_come_in(node: Node, links: AsyncExitStack) -> None:
    [known] = await strangers(node, links, 1)
    assert isinstance(await known.put(known.device.trust(SigningDevice())), Ok)
    with pytest.raises(RefusedByHubError) as caught:
        await strangers(node, links, KEPT // KEPT_DEVICE)
    refused = caught.value.refused
    assert (refused.reason, bool(refused.retry_after_ms)) == (Reason.OVERLOADED, True)
    await links.enter_async_context(known.device.connect(node.url, source=STRANGER))
    await links.enter_async_context(SigningDevice().connect(node.url, source=OTHER))


async def test_where_the_operator_says_so_nothing_is_limited_by_address(
    hub_settings: NodeSettings, links: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spending, "MIB", KEPT)
    settings = replace(hub_settings("one"), max_per_address=0, units_per_address=1, store_mib_per_address=1)
    node = await links.enter_async_context(open_node(settings))
    some = await strangers(node, links, 2 * KEPT // KEPT_DEVICE)
    assert await asked(some, ALL) == len(some)
