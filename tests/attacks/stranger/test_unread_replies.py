"""Replies that a stranger does not read, and messages that it sends ahead, by which it fills the node's memory."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.integration.hub.conftest import Eventually, StartNode
from tests.integration.hub.device import DeviceLink, SigningDevice

from muster_hub.connections import connection
from muster_hub.connections.connection import MAX_QUEUED_BYTES, DeviceConnection
from muster_hub.listener.connection import WebSocketConnection
from muster_hub.listener.settings import UNREAD_BYTES
from muster_hub.node.node import Node, Tuning
from muster_hub.rate_limits.token_bucket import Rate
from muster_protocol.frames import MAX_WATCHED, ListSessions, PresenceReply, SessionsReply, Who

FREE = Tuning(request_rate=Rate(per_s=1e9, burst=1e9))
SMALL_BUFFER = 4_096
ALL = Who(id=0, clients=tuple(SigningDevice().client for _ in range(MAX_WATCHED)))
"""What is answered in some 20 KiB."""
REQUESTS = 20
TURNS = 50
"""Requests of another device, in whose time the hub would go on with those of the stranger."""
REPLY = 16 * 1024
"""More than one answer."""
LARGE = bytes(60 * 1024)
ONE_READ = 256 * 1024
"""What an event loop reads at once, at most; it is taken even where reading then pauses."""


@pytest_asyncio.fixture
async def node(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(connection, "UNREAD_POLL_S", 0.01)
    return await start_node(tuning=FREE)


@pytest_asyncio.fixture
async def stranger(node: Node) -> AsyncIterator[DeviceLink]:
    """Connect a device that stops to read, over buffers as small as the system allows."""
    async with SigningDevice().connect(node.url) as link:
        link.socket.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock = peer_of(node, link)._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        link.socket.transport.pause_reading()
        yield link
        link.socket.transport.abort()


def at_hub(node: Node, link: DeviceLink) -> DeviceConnection:
    [found] = [each for each in node.context.router if each.client == link.device.client]
    assert isinstance(found, DeviceConnection)
    return found


def peer_of(node: Node, link: DeviceLink) -> WebSocketConnection:
    peer = at_hub(node, link)._peer
    assert isinstance(peer, WebSocketConnection)
    return peer


async def test_no_more_is_answered_than_a_device_reads(
    node: Node, stranger: DeviceLink, eventually: Eventually
) -> None:
    peer = peer_of(node, stranger)
    replies = [asyncio.ensure_future(stranger.ask_any(ALL)) for _ in range(REQUESTS)]
    await eventually(lambda: peer.behind)
    async with SigningDevice().connect(node.url) as other:
        for _ in range(TURNS):
            await other.ask(ListSessions(id=0), SessionsReply)
            assert peer._transport.get_write_buffer_size() <= UNREAD_BYTES + REPLY
    stranger.socket.transport.resume_reading()
    assert all(isinstance(each, PresenceReply) for each in await asyncio.gather(*replies))


async def test_what_a_device_sends_ahead_is_bounded_in_bytes(
    node: Node, stranger: DeviceLink, eventually: Eventually
) -> None:
    device, peer = at_hub(node, stranger), peer_of(node, stranger)
    replies = [asyncio.ensure_future(stranger.ask_any(ALL)) for _ in range(REQUESTS)]
    await eventually(lambda: peer.behind)
    sending = [asyncio.ensure_future(stranger.socket.send(LARGE)) for _ in range(REQUESTS)]
    async with SigningDevice().connect(node.url) as other:
        for _ in range(TURNS):
            await other.ask(ListSessions(id=0), SessionsReply)
            assert sum(map(len, device._queue or ())) <= MAX_QUEUED_BYTES + ONE_READ
    stranger.socket.transport.abort()
    for task in (*replies, *sending):
        task.cancel()
    await asyncio.gather(*replies, *sending, return_exceptions=True)


async def test_a_device_that_never_reads_is_closed(
    node: Node, stranger: DeviceLink, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "UNREAD_LIMIT_S", 0.0)
    replies = [asyncio.ensure_future(stranger.ask_any(ALL)) for _ in range(REQUESTS)]
    await eventually(lambda: not list(node.context.router))
    stranger.socket.transport.abort()
    for task in replies:
        task.cancel()
    await asyncio.gather(*replies, return_exceptions=True)
