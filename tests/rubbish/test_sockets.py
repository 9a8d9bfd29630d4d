"""Sockets without end: thousands that say nothing, and some that say it very slowly."""

import asyncio
import contextlib
import socket
from collections import Counter

import pytest
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.listener.raw_frames import frame
from tests.rubbish.peers import FEW_FILES, upgrade
from websockets.frames import Opcode

from muster_hub.listener.settings import MAX_REFUSALS_AT_ONCE, MAX_UNAUTHENTICATED, MAX_UNAUTHENTICATED_PER_ADDRESS
from muster_protocol.closes import CloseCode

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOCKETS = 10_000
ADDRESSES = [f"127.0.{net}.{host}" for net in (1, 2) for host in range(1, 51)]
"""So many that the limit for one address does not hide the limit for all."""
AT_ONCE = 200
IDLE_LIMIT_BYTES = 16 * 1024
"""What an idle socket may cost the hub while it is there."""

MANY_GROWTH_BYTES = 6 * 1024 * 1024
"""What two more rounds may leave behind: half of what as many forgotten sockets would."""


def _connected(hub, source: str) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind((source, 0))
    with contextlib.suppress(BlockingIOError):
        sock.connect((hub.door.host, hub.door.port))
    return sock


async def _open_many(hub) -> list[socket.socket]:
    """Open the sockets in batches, each of which the hub has seen before the next begins."""
    sockets: list[socket.socket] = []
    for start in range(0, SOCKETS, AT_ONCE):
        sockets += [_connected(hub, ADDRESSES[number % len(ADDRESSES)]) for number in range(start, start + AT_ONCE)]
        await hub.unharmed()
    return sockets


def _open_still(sockets: list[socket.socket]) -> int:
    """Count the sockets that the hub has not ended."""
    still = 0
    for sock in sockets:
        try:
            still += sock.recv(1) != b""
        except BlockingIOError:
            still += 1
        except ConnectionError:
            pass
    return still


def _close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


async def _closed_at_the_hub(hub) -> None:
    """Wait until the hub has room again for a stranger."""
    while not (await hub.door.answer(upgrade(protocol="none"))).startswith(b"HTTP/1.1 400 "):
        await hub.unharmed()


async def test_ten_thousand_idle_sockets_cost_little_and_harm_no_device(hub, many_files, figure):
    before, files_before = hub.memory(), hub.open_files()
    peak = 0

    async def attack():
        nonlocal peak
        sockets = await _open_many(hub)
        try:
            peak = max(peak, hub.memory())
            # Room is made for an address that holds fewer sockets than another. Each of these holds as many.
            answer = await hub.door.answer(upgrade(), source=ADDRESSES[-1])
            assert not answer or answer.startswith(b"HTTP/1.1 503 "), "there is room, so this was no test"
            # Besides these, a batch that the hub has just accepted may be open until the next turn of its loop.
            assert hub.open_files() - files_before <= MAX_UNAUTHENTICATED + MAX_REFUSALS_AT_ONCE + AT_ONCE
        finally:
            _close(sockets)
        await _closed_at_the_hub(hub)

    await hub.stays_flat(attack, rounds=2, limit=MANY_GROWTH_BYTES)
    figure(f"{SOCKETS} idle sockets at once, {(peak - before) / 2**20:+.1f} MiB at the height")
    assert peak - before < IDLE_LIMIT_BYTES * (MAX_UNAUTHENTICATED + MAX_REFUSALS_AT_ONCE)
    async with SigningDevice().connect(hub.url):
        pass


async def test_a_hub_that_was_let_open_few_files_sees_to_more(hub, many_files):
    sockets = [_connected(hub, ADDRESSES[number % len(ADDRESSES)]) for number in range(FEW_FILES + 300)]
    try:
        await hub.unharmed()
        await hub.unharmed()
        assert _open_still(sockets) == len(sockets)
    finally:
        _close(sockets)
    await _closed_at_the_hub(hub)


async def test_one_address_cannot_take_the_places_of_others(hub, many_files):
    sockets = [_connected(hub, "127.0.3.1") for _ in range(2 * MAX_UNAUTHENTICATED_PER_ADDRESS)]
    try:
        await hub.unharmed()
        async with SigningDevice().connect(hub.url):
            pass
    finally:
        _close(sockets)
    await _closed_at_the_hub(hub)


async def _dribble(peer, data: bytes) -> None:
    """Send one byte again and again, until the hub closes."""
    with contextlib.suppress(ConnectionError):
        for byte in data:
            peer.send(bytes([byte]))
            await peer.writer.drain()
            await asyncio.sleep(0.25)


async def _slow_request(hub, data: bytes) -> str:
    async with hub.door.peer("127.0.4.1") as peer, asyncio.TaskGroup() as tasks:
        talk = tasks.create_task(_dribble(peer, data))
        answer = await peer.to_the_end()
        talk.cancel()
    return str(answer[:12], "ascii")


async def _slow_hello(hub, data: bytes) -> str:
    async with hub.door.websocket("127.0.4.2") as peer, asyncio.TaskGroup() as tasks:
        talk = tasks.create_task(_dribble(peer, data))
        ending = await peer.ending()
        talk.cancel()
    return str(ending.code)


async def test_slow_handshakes_are_ended_by_their_deadline(hub):
    head, hello = upgrade("X: " + "a" * 500), frame(Opcode.BINARY, bytes(500))
    slow = [
        *(_slow_request(hub, data) for data in (b"", head, head * 2) for _ in range(10)),
        *(_slow_hello(hub, data) for data in (b"", hello, frame(Opcode.PING, b"") * 100) for _ in range(10)),
    ]
    endings = Counter(await asyncio.gather(*slow))
    assert endings == {"HTTP/1.1 408": 30, str(int(CloseCode.HANDSHAKE_TIMEOUT)): 30}


async def test_a_peer_that_ends_its_half_is_let_go(hub):
    async with hub.door.peer() as idle, hub.door.websocket() as greeted:
        idle.half_close()
        greeted.half_close()
        assert await idle.to_the_end() == b""
        assert (await greeted.ending()).code is None
