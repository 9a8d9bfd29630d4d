"""Identities that a stranger makes once and never uses again: what is kept of them ends, statements included."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.integration.hub.conftest import StartNode
from tests.integration.hub.device import SigningDevice

from muster_hub.config.settings import Settings
from muster_hub.node.node import Node
from muster_hub.presence.reregistration import register_all
from muster_hub.store import keys
from muster_hub.store.wire import Wire
from muster_protocol.cards import MAX_APP_CHARS, MAX_ROTATIONS
from muster_protocol.frames import Ok
from muster_protocol.ids import GrantId
from muster_protocol.labels import Kind

OF_A_DEVICE = (keys.device, keys.instances, keys.peers, keys.grants, keys.uses, keys.stated)
Shown = Callable[[SigningDevice, Node], Awaitable[None]]
LONG_APP = "\N{GRINNING FACE}" * MAX_APP_CHARS
MIB = Settings(data_dir=Path()).store_mib_per_address * 2**20
SLACK_MS = 3_600_000


async def ask(node: Node, *words: bytes) -> object:
    wire = Wire(node.context.store.address)
    await wire.connect()
    try:
        return await wire.ask(*words)
    finally:
        await wire.close()


async def left_ms(node: Node, device: SigningDevice) -> dict[str, int]:
    """Return in how many ms each key of a device expires; -1 is never."""
    found = {each.__name__: await ask(node, b"PTTL", each(device.client)) for each in OF_A_DEVICE}
    return {name: left for name, left in found.items() if isinstance(left, int) and left != -2}


async def kept_bytes(node: Node, device: SigningDevice) -> int:
    found = [await ask(node, b"MEMORY", b"USAGE", each(device.client), b"SAMPLES", b"0") for each in OF_A_DEVICE]
    return sum(size for size in found if isinstance(size, int))


def charged_bytes(node: Node) -> float:
    """Return what the one address of a test paid for; none of it comes back."""
    [bucket] = node.context.spending._kept._buckets.values()
    return MIB - bucket._left


async def connect_and_trust(device: SigningDevice, node: Node) -> None:
    async with device.connect(node.url) as link:
        assert isinstance(await link.put(device.trust(SigningDevice())), Ok)


async def with_its_hello(device: SigningDevice, node: Node) -> None:
    device.app = LONG_APP
    await connect_and_trust(device, node)


async def with_a_later_hello(device: SigningDevice, node: Node) -> None:
    await connect_and_trust(device, node)
    device.app = LONG_APP
    device.card(new=True)
    async with device.connect(node.url):
        pass


async def by_a_statement(device: SigningDevice, node: Node) -> None:
    await connect_and_trust(device, node)
    device.app = LONG_APP
    async with device.connect(node.url) as link:
        assert isinstance(await link.put((Kind.CARD, device.card(new=True))), Ok)


@pytest.mark.parametrize("shown", [with_its_hello, with_a_later_hello, by_a_statement])
@pytest.mark.parametrize("rotations", [0, MAX_ROTATIONS])
async def test_a_card_and_its_keys_are_paid_by_what_they_take(
    start_node: StartNode, shown: Shown, rotations: int
) -> None:
    node, device = await start_node("paid"), SigningDevice()
    for _ in range(rotations):
        device.rotate()
    await shown(device, node)
    assert await kept_bytes(node, device) <= charged_bytes(node)


def assert_kept(left: dict[str, int], kept_ms: int) -> None:
    assert {"device", "instances"} <= left.keys()
    assert all(kept_ms - SLACK_MS < each <= kept_ms for each in left.values()), left


async def test_a_device_that_states_nothing_leaves_nothing_that_outlives_a_day(node: Node) -> None:
    stranger = SigningDevice()
    async with stranger.connect(node.url):
        assert_kept(await left_ms(node, stranger), keys.DAY_MS)


@pytest.mark.parametrize("statement", ["trust", "untrust", "grant", "revocation"])
async def test_no_statement_keeps_a_device_for_ever(node: Node, statement: str) -> None:
    stranger, named = SigningDevice(), SigningDevice()
    async with stranger.connect(node.url) as link:
        said = {
            "trust": [stranger.trust(named)],
            "untrust": [stranger.untrust(named)],
            "grant": [stranger.trust(named), stranger.grant(named, once=True)],
            "revocation": [stranger.trust(named), stranger.revocation(named, GrantId(bytes(16)))],
        }
        for each in said[statement]:
            assert isinstance(await link.put(each), Ok)
        left = await left_ms(node, stranger)
        assert "peers" in left
        assert_kept(left, keys.DEVICE_KEPT_MS)


async def test_a_grant_alone_keeps_a_device_no_longer(node: Node) -> None:
    stranger = SigningDevice()
    async with stranger.connect(node.url) as link:
        assert isinstance(await link.put(stranger.grant(SigningDevice())), Ok)
        assert_kept(await left_ms(node, stranger), keys.DAY_MS)


async def test_a_chain_with_a_rotation_is_kept_so_that_the_retired_key_stays_refused(node: Node) -> None:
    device = SigningDevice()
    async with device.connect(node.url):
        pass
    device.rotate()
    for _ in range(2):
        async with device.connect(node.url):
            assert_kept(await left_ms(node, device), keys.DEVICE_KEPT_MS)


async def test_each_connection_and_a_connection_that_lasts_renew_what_is_kept(start_node: StartNode) -> None:
    node = await start_node()
    device, peer = SigningDevice(), SigningDevice()
    async with device.connect(node.url) as link:
        for statement in (device.trust(peer), device.grant(peer, once=True)):
            assert isinstance(await link.put(statement), Ok)
        await ask(node, b"HSET", keys.uses(device.client), b"grant", b"spent")

        async def age() -> None:
            for each in OF_A_DEVICE:
                await ask(node, b"PEXPIRE", each(device.client), str(keys.DAY_MS).encode())

        await age()
        await register_all(node.context)
        left = await left_ms(node, device)
        assert left.keys() == {each.__name__ for each in OF_A_DEVICE}
        assert_kept(left, keys.DEVICE_KEPT_MS)
        await age()
    async with device.connect(node.url):
        assert_kept(await left_ms(node, device), keys.DEVICE_KEPT_MS)
