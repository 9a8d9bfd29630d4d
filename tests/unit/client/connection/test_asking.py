"""How often a request is sent for a refusal."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from muster_client import Device
from muster_client.connection.connection import HubConnection
from muster_client.connection.statement_sync import publish
from muster_client.connection.transport import Socket
from muster_client.connection.tries import MAX_WAIT_S
from muster_client.errors import HubBusy, HubRefused
from muster_protocol.connect import Welcome
from muster_protocol.frames import Error, PutStatement, Request, decode_frame, encode_frame
from muster_protocol.hub_keys import HubKey
from muster_protocol.ids import ClientId, Fingerprint
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason


class RefusingHub:
    """A socket whose hub refuses every request, and records it."""

    def __init__(self, reason: Reason, retry_after_ms: int | None) -> None:
        self.asked: list[Request] = []
        self.closed = False
        self._replies = asyncio.Queue[bytes]()
        self._reason, self._retry_after_ms = reason, retry_after_ms

    async def send(self, data: bytes) -> None:
        request = decode_frame(data)
        assert isinstance(request, Request)
        self.asked.append(request)
        refusal = Error(re=request.id, reason=self._reason, retry_after_ms=self._retry_after_ms)
        self._replies.put_nowait(encode_frame(refusal))

    async def receive(self) -> bytes:
        return await self._replies.get()

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    with Device.create(tmp_path / "device", hub_url="ws://127.0.0.1:1") as device:
        yield device


async def published(device: Device, hub: RefusingHub) -> Reason:
    connection = HubConnection(cast("Socket", hub), cast("Welcome", None), cast("HubKey", None))
    reading = asyncio.create_task(connection.read(lambda _: None))
    try:
        await publish(connection, device)
    except (HubRefused, HubBusy) as error:
        return error.reason
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    raise AssertionError("the hub refuses everything")


async def test_a_full_store_is_asked_once_after_what_ends_trust(device: Device) -> None:
    friend, foe = ClientId("a" * 32), ClientId("b" * 32)
    for peer in (friend, foe):
        device.peers.trust(peer, Fingerprint(bytes(32)), peer[:4])
    device.peers.untrust(foe)
    hub = RefusingHub(Reason.STORE_FULL, 1_000)
    assert await published(device, hub) is Reason.STORE_FULL
    (asked,) = hub.asked
    assert isinstance(asked, PutStatement)
    assert asked.kind is Kind.UNTRUST


async def test_a_hub_that_is_busy_for_long_is_asked_once(device: Device) -> None:
    device.peers.trust(ClientId("a" * 32), Fingerprint(bytes(32)), "friend")
    hub = RefusingHub(Reason.RATE_LIMITED, int(MAX_WAIT_S * 1000) + 1)
    assert await published(device, hub) is Reason.RATE_LIMITED
    assert (len(hub.asked), hub.closed) == (1, False)


async def test_a_hub_that_stays_busy_is_left_so_that_the_next_connect_sends_all_that_is_due(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster_client.connection.tries.MAX_WAIT_S", 0.5)
    device.peers.trust(ClientId("a" * 32), Fingerprint(bytes(32)), "friend")
    hub = RefusingHub(Reason.RATE_LIMITED, 0)
    assert await published(device, hub) is Reason.RATE_LIMITED
    assert (len(hub.asked), hub.closed) == (3, True)
