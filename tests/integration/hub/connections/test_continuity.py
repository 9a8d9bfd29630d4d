"""The counter that only one copy of a device's data can keep up with."""

import asyncio
import os

import pytest
from tests.integration.hub.conftest import Ask, Links, Records
from tests.integration.hub.device import DeviceLink, SigningDevice, dial, receive

from muster_hub.node.node import Node
from muster_hub.store import keys
from muster_hub.store.wire import Wire
from muster_protocol.closes import CloseCode
from muster_protocol.connect import RefusedBody, Role
from muster_protocol.continuity import Token, prove
from muster_protocol.frames import ClearSuspicion, ConfirmToken, Error, Ok
from muster_protocol.ids import Nonce
from muster_protocol.reasons import Reason

ROUNDING_MS = 3
"""Each of the times that are compared is rounded down to a millisecond."""


async def keep(link: DeviceLink) -> Token:
    """Do what an agent does: write the token down, then say so."""
    token = link.welcome.token
    assert token is not None
    link.device.token = token
    assert isinstance(await link.ask_any(ConfirmToken(id=0, counter=token.counter)), Ok)
    return token


async def come_and_go(device: SigningDevice, node: Node) -> Token:
    """Connect, keep the token and leave; then wait until a challenge of this node counts as later than all that."""
    async with device.connect(node.url) as link:
        assert link.welcome.standing is None
        token = await keep(link)
    await pass_by(node)
    return token


async def pass_by(node: Node) -> None:
    """Wait until the node's estimate of the store's clock, which is behind it, is later than that clock is now.

    The hub takes a token that turned in the same millisecond as the challenge for one that turned since.
    """
    wire = Wire(node.context.store.address)
    await wire.connect()
    reply = await wire.ask(b"TIME")
    await wire.close()
    assert isinstance(reply, list)
    seconds, micros = (int(part) for part in reply if isinstance(part, bytes))
    behind_ms = seconds * 1000 + micros // 1000 - await node.context.store.now_ms()
    await asyncio.sleep((max(0, behind_ms) + ROUNDING_MS) / 1000)


async def test_an_agent_that_keeps_its_token_is_never_suspected(node: Node) -> None:
    device = SigningDevice()
    counters = [(await come_and_go(device, node)).counter for _ in range(4)]
    assert counters == sorted(set(counters))


async def test_a_token_whose_confirmation_got_lost_is_good(node: Node) -> None:
    device = SigningDevice()
    await come_and_go(device, node)
    async with device.connect(node.url) as link:
        device.token = link.welcome.token  # on disk, and then the process dies
    async with device.connect(node.url) as link:
        assert link.welcome.standing is None


async def test_a_token_that_never_reached_the_disk_is_not_missed(node: Node) -> None:
    device = SigningDevice()
    await come_and_go(device, node)
    for _ in range(3):
        async with device.connect(node.url) as link:
            assert link.welcome.standing is None


async def test_an_older_copy_of_a_devices_data_is_suspected(node: Node, records: Records) -> None:
    device = SigningDevice()
    old = await come_and_go(device, node)
    await come_and_go(device, node)
    async with device.connect(node.url, token=old) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED  # and the connection stays
        assert isinstance(await link.put(device.trust(SigningDevice())), Ok)
    # Neither copy is blamed: the suspicion stands, whichever of them comes.
    async with device.connect(node.url) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED
    assert [row[0] for row in await records(node, device)].count(b"clone_suspected") == 1


async def test_two_copies_that_both_connect_twice_are_suspected(node: Node) -> None:
    """Whichever of them comes first, and though the first to come confirms nothing."""
    device = SigningDevice()
    copied = await come_and_go(device, node)
    tokens = {"original": copied, "copy": copied}
    standings = []
    for name in ("copy", "original", "copy", "original"):
        async with device.connect(node.url, token=tokens[name]) as link:
            standings.append(link.welcome.standing)
            tokens[name] = await keep(link)
    assert Reason.CLONE_SUSPECTED in standings


async def test_a_copy_without_its_token_is_suspected(node: Node) -> None:
    device = SigningDevice()
    await come_and_go(device, node)
    device.token = None
    async with device.connect(node.url) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED


async def test_a_forged_proof_shows_no_token(node: Node) -> None:
    device = SigningDevice()
    token = await come_and_go(device, node)
    async with device.connect(node.url, token=Token(token.counter + 100, token.mac)) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED


async def test_a_command_line_shows_the_token_and_gets_none(node: Node, links: Links) -> None:
    device = SigningDevice()
    await come_and_go(device, node)
    for _ in range(3):
        async with device.connect(node.url, role=Role.CLI) as link:
            assert (link.welcome.token, link.welcome.standing) == (None, None)
    link = await links.enter_async_context(device.connect(node.url, role=Role.CLI))
    refused = await link.ask_any(ConfirmToken(id=0, counter=1))
    assert isinstance(refused, Error)
    assert refused.reason is Reason.SUPERSEDED
    await come_and_go(device, node)


async def test_a_command_line_without_an_agent_has_no_token_to_show(node: Node) -> None:
    device = SigningDevice()
    for _ in range(2):
        async with device.connect(node.url, role=Role.CLI) as link:
            assert link.welcome.standing is None


async def test_a_command_line_of_an_older_copy_is_suspected(node: Node, records: Records) -> None:
    device = SigningDevice()
    old = await come_and_go(device, node)
    async with device.connect(node.url, role=Role.CLI, token=old) as link:
        assert link.welcome.standing is None, "the newest token is good from either disk"
    await come_and_go(device, node)
    async with device.connect(node.url, role=Role.CLI, token=old) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED
    assert [row[0] for row in await records(node, device)].count(b"clone_suspected") == 1


async def test_a_command_line_without_its_token_is_suspected(node: Node) -> None:
    device = SigningDevice()
    await come_and_go(device, node)
    device.token = None
    async with device.connect(node.url, role=Role.CLI) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED


async def test_a_command_line_that_connects_while_the_token_turns_reads_it_again(node: Node, records: Records) -> None:
    """It got its challenge, and read the token, before the agent had the next one on its disk."""
    device = SigningDevice()
    old = await come_and_go(device, node)
    shake = device.handshake(node.url, role=Role.CLI)
    async with dial(node.url) as socket:
        challenge = shake.on_challenge(await receive(socket))
        newest = await come_and_go(device, node)
        nonce = Nonce(os.urandom(32))
        await socket.send(shake.hello(nonce, prove(old, challenge.nonce, nonce)))
        refused = shake.on_reply(await receive(socket))
    assert isinstance(refused, RefusedBody)
    assert (refused.reason, refused.code) == (Reason.EXPIRED, CloseCode.HANDSHAKE_TIMEOUT)
    assert b"clone_suspected" not in [row[0] for row in await records(node, device)]
    async with device.connect(node.url, role=Role.CLI, token=newest) as link:
        assert link.welcome.standing is None


async def test_a_hub_that_was_restored_accepts_and_records_it(node: Node, ask_store: Ask, records: Records) -> None:
    device = SigningDevice()
    first = await come_and_go(device, node)
    await come_and_go(device, node)
    # What a backup taken after the first connection holds.
    counter = str(first.counter).encode()
    await ask_store(node, b"HSET", keys.device(device.client), b"confirmed", counter, b"issued", counter)
    later = await come_and_go(device, node)
    assert later.counter > first.counter + 1
    assert b"hub_restored" in [row[0] for row in await records(node, device)]


async def test_a_counter_that_was_never_issued_is_not_confirmed(node: Node) -> None:
    device = SigningDevice()
    async with device.connect(node.url) as link:
        token = await keep(link)
        refused = await link.ask_any(ConfirmToken(id=0, counter=token.counter + 1))
        assert isinstance(refused, Error)
        assert refused.reason is Reason.MISMATCH


@pytest.mark.parametrize("role", list(Role))
async def test_the_person_decides(node: Node, records: Records, role: Role) -> None:
    device = SigningDevice()
    await come_and_go(device, node)
    device.token = None
    async with device.connect(node.url) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED
        await keep(link)
    async with device.connect(node.url, role=role) as link:
        if role is Role.AGENT:
            await keep(link)
        assert isinstance(await link.ask_any(ClearSuspicion(id=0)), Ok)
        assert isinstance(await link.ask_any(ClearSuspicion(id=0)), Ok)
    await come_and_go(device, node)
    assert [row[0] for row in await records(node, device)].count(b"suspicion_cleared") == 1


@pytest.mark.parametrize("role", list(Role))
async def test_only_the_newest_copy_decides(node: Node, role: Role) -> None:
    """An agent that came with an older token decides once it confirmed the newest, which its hub gave it."""
    device = SigningDevice()
    old = await come_and_go(device, node)
    newest = await come_and_go(device, node)
    async with device.connect(node.url, role=role, token=old) as link:
        assert link.welcome.standing is Reason.CLONE_SUSPECTED
        reply = await link.ask_any(ClearSuspicion(id=0))
        assert isinstance(reply, Error)
        assert reply.reason is Reason.CLONE_SUSPECTED
        if role is Role.AGENT:
            await keep(link)
            assert isinstance(await link.ask_any(ClearSuspicion(id=0)), Ok)
            return
    async with device.connect(node.url, role=role, token=newest) as link:
        assert isinstance(await link.ask_any(ClearSuspicion(id=0)), Ok)


async def test_a_command_line_that_stayed_while_the_token_turned_decides_nothing(node: Node) -> None:
    """A thief's command line that was opened while the copied token was the newest."""
    device = SigningDevice()
    old = await come_and_go(device, node)
    async with device.connect(node.url, role=Role.CLI, token=old) as stayed:
        await come_and_go(device, node)
        async with device.connect(node.url, role=Role.CLI, token=old) as link:
            assert link.welcome.standing is Reason.CLONE_SUSPECTED
        reply = await stayed.ask_any(ClearSuspicion(id=0))
    assert isinstance(reply, Error)
    assert reply.reason is Reason.CLONE_SUSPECTED


async def test_a_suspicion_restricts(node: Node, ask_store: Ask) -> None:
    """Automatic joins that were checked before it are checked again: ``ver`` has risen."""
    device = SigningDevice()
    await come_and_go(device, node)
    before = await ask_store(node, b"HGET", keys.device(device.client), b"ver")
    device.token = None
    async with device.connect(node.url):
        pass
    after = await ask_store(node, b"HGET", keys.device(device.client), b"ver")
    assert isinstance(before, bytes)
    assert isinstance(after, bytes)
    assert int(after) > int(before)
