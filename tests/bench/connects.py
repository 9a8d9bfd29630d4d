"""Connections: what it costs to prove oneself, on both sides, and what an idle device holds."""

import asyncio
import gc
import ssl
from collections.abc import Sequence

from tests.bench.ends import End, closing, dial
from tests.bench.figures import MICRO, Figure
from tests.bench.servers import BenchServer
from tests.bench.swarm import enter_all, make_devices
from tests.integration.hub.device import SigningDevice

DEVICES = 150
"""Devices that connect in one repeat."""
WARM = 300
"""Devices that are connected before memory is counted: what they made the process take is there already."""
IDLE = 1_000
KIB = 1024


async def measure_connects(hub: BenchServer, repeats: int) -> list[Figure]:
    """Measure devices that connect for the first time, and the same once more."""
    first = [make_devices(DEVICES) for _ in range(repeats)]
    await hub.quiet()
    figures = await _measure(hub, "connect", first)
    figures[0].target = 600
    return [*figures, *await _measure(hub, "connect again", first)]


async def _measure(hub: BenchServer, name: str, batches: Sequence[Sequence[SigningDevice]]) -> list[Figure]:
    both = Figure(name=f"{name}, both sides", unit="µs", values=[])
    ours = Figure(name=f"{name}, the hub's side", unit="µs", values=[])
    gc.disable()  # the generator's own garbage is no part of a device's handshake
    try:
        for devices in batches:
            before = hub.moment()
            guests = await enter_all(devices, hub.url)
            used = before.until_now()
            ours.values.append(used.hub_s / len(devices) * MICRO)
            ours.store.append(used.store_s / len(devices) * MICRO)
            both.values.append((used.hub_s + used.load_s) / len(devices) * MICRO)
            both.store.append(ours.store[-1])
            async with closing([guest.end for guest in guests]):
                pass
            await hub.quiet()
    finally:
        gc.enable()
    return [both, ours]


async def measure_idle_devices(hub: BenchServer, tls: ssl.SSLContext | None, name: str, target: float) -> list[Figure]:
    """Measure the memory of idle devices, at the hub and in its store."""
    devices = make_devices(WARM + IDLE)
    warm = await enter_all(devices[:WARM], hub.url, tls)
    await hub.quiet()
    before = hub.resident_bytes()
    idle = await enter_all(devices[WARM:], hub.url, tls)
    await hub.quiet()
    held = (hub.resident_bytes() - before) / IDLE / KIB
    async with closing([guest.end for guest in (*warm, *idle)]):
        return [Figure(name=name, unit="KiB", values=[held], target=target)]


async def measure_idle_relayed(relay: BenchServer, tls: ssl.SSLContext | None, name: str) -> Figure:
    """Measure the memory of connections that the bare relay holds."""
    ends: list[End] = []
    ends += [await dial(relay.url, tls) for _ in range(WARM)]
    await asyncio.sleep(0)
    before = relay.resident_bytes()
    ends += [await dial(relay.url, tls) for _ in range(IDLE)]
    await relay.quiet()
    held = (relay.resident_bytes() - before) / IDLE / KIB
    async with closing(ends):
        return Figure(name=name, unit="KiB", values=[held])
