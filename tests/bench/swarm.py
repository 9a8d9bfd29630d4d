"""Devices at a hub, made before the measuring begins: keys, cards, trust, and all that they will ever sign."""

import asyncio
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.ends import End, dial
from tests.integration.hub.device import RefusedByHubError, SigningDevice, now_ms
from tests.own_store import StoredData

from muster_protocol.calls import Plan
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.connect import RefusedBody
from muster_protocol.frames import CreateSession, PutStatement, SessionKind, encode_frame
from muster_protocol.ids import Nonce, Seed
from muster_protocol.inviting import Inviting
from muster_protocol.sealing import EpochKey
from muster_protocol.signed import Signed

ENTERING = 32
"""Devices that connect at the same time."""


@dataclass(frozen=True, slots=True)
class Guest:
    """A device and its connection."""

    device: SigningDevice
    end: End

    async def put(self, *statements: tuple[Any, Signed]) -> None:
        """Publish statements."""
        for kind, signed in statements:
            number = self.end.next_number()
            await self.must("ok", number, encode_frame(PutStatement(id=number, kind=kind, statement=signed)))

    async def must(self, expected: str, number: int, data: bytes) -> None:
        """Send a request whose reply must be of this type."""
        got = await self.end.ask(number, data)
        if got != expected:
            raise RuntimeError(f"expected {expected}, got {got}")


def make_devices(count: int) -> list[SigningDevice]:
    """Make devices and sign their cards."""
    devices = [SigningDevice() for _ in range(count)]
    for device in devices:
        device.card()
    return devices


async def enter(device: SigningDevice, url: str, tls: ssl.SSLContext | None = None) -> End:
    """Connect a device and prove who it is."""
    end = await dial(url, tls)
    shake = device.handshake(url)
    shake.on_challenge(await end.message())
    end.send(shake.hello(Nonce(os.urandom(32)), None))
    answer = shake.on_reply(await end.message())
    if isinstance(answer, RefusedBody):
        raise RefusedByHubError(answer)
    end.sort()
    return end


async def enter_all(devices: Sequence[SigningDevice], url: str, tls: ssl.SSLContext | None = None) -> list[Guest]:
    """Connect devices, some at the same time."""
    turns = asyncio.Semaphore(ENTERING)

    async def one(device: SigningDevice) -> Guest:
        async with turns:
            return Guest(device, await enter(device, url, tls))

    return list(await asyncio.gather(*(one(device) for device in devices)))


def begin_session(device: SigningDevice, number: int, *targets: SigningDevice) -> tuple[Inviting, bytes]:
    """Plan a session in memory, and return the request that makes it at the hub."""
    plan = Plan(device.client, Seed(os.urandom(16)), Mode.JOIN, None, SessionKind.STAR, ProtocolRange(1, 1))
    own = StoredData(device.client, device.fingerprint).agree({each.client: each.fingerprint for each in targets})
    inviting = Inviting(device.key, plan, own)
    epoch = inviting.begin(EpochKey(os.urandom(32)), now_ms())
    inviting.committed(now_ms())
    request = CreateSession(
        id=number,
        session=plan.session,
        seed=plan.seed,
        mode=plan.mode,
        profile=plan.profile,
        kind=plan.kind,
        lasts_ms=3_600_000,
        epoch=epoch,
    )
    return inviting, encode_frame(request)
