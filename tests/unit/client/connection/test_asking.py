"""How often a request is sent for a refusal."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from muster_client import Device
from muster_client.connection.connection import MAX_PAUSE_MS, MAX_TRIES, HubConnection
from muster_client.connection.statement_sync import publish
from muster_client.connection.transport import Socket
from muster_client.errors import HubRefused
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


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    with Device.create(tmp_path / "device", hub_url="ws://127.0.0.1:1") as device:
        yield device


async def published(device: Device, hub: RefusingHub) -> Reason:
    connection = HubConnection(cast("Socket", hub), cast("Welcome", None), cast("HubKey", None))
    reading = asyncio.create_task(connection.read(lambda _: None))
    try:
        with pytest.raises(HubRefused) as caught:
            await publish(connection, device)
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    return caught.value.reason


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


@pytest.mark.parametrize(("retry_after_ms", "tries"), [(0, MAX_TRIES), (MAX_PAUSE_MS + 1, 1)])
async def test_a_pause_longer_than_is_waited_ends_the_tries(device: Device, retry_after_ms: int, tries: int) -> None:
    device.peers.trust(ClientId("a" * 32), Fingerprint(bytes(32)), "friend")
    hub = RefusingHub(Reason.RATE_LIMITED, retry_after_ms)
    assert await published(device, hub) is Reason.RATE_LIMITED
    assert len(hub.asked) == tries
