"""A start that does not come to its end leaves no socket and no task behind."""

import asyncio
import socket
from itertools import count

import pytest
from tests.integration.hub.listener.conftest import EchoService

from muster_hub.listener import HttpAnswer, Listener, ListenerSettings


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def listener(port):
    return Listener(ListenerSettings(port=port), EchoService, lambda _: HttpAnswer(200, b""))


async def nothing_is_left(port):
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_start_that_is_cancelled_ends_whatever_it_has_begun():
    """At each turn of the event loop that a start takes."""
    for turns in count(1):
        port = free_port()
        starting = asyncio.ensure_future(listener(port).__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        if starting.done():
            await starting.result().__aexit__(None, None, None)
            break
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await nothing_is_left(port)
    assert turns > 1
