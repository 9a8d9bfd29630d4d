"""Requests that end in one reply: refused invites, and ``who``."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence

from tests.bench.figures import MICRO, Figure, percentile
from tests.bench.servers import BenchServer
from tests.bench.swarm import Guest, begin_session, enter_all, make_devices
from tests.integration.hub.device import SigningDevice, now_ms

from muster_protocol.frames import Purpose, SendInvites, Who, encode_frame
from muster_protocol.ids import InviteId, TimeMs

ASKERS = 64
BATCH = 8
BATCHES_EACH = 4
"""Batches of each device in one repeat; more would run into the limit of what one device may ask."""
WHO_EACH = 20
LATENCIES = 64

Request = tuple[int, bytes]


async def measure_refusals(hub: BenchServer, repeats: int) -> list[Figure]:
    """Measure refused targets: those that trust the caller and granted nothing, and those that never heard of it."""
    guests = await enter_all(make_devices(ASKERS), hub.url)
    others = await enter_all(make_devices(ASKERS), hub.url)
    circles = [guests[at : at + BATCH] + guests[(at + BATCH) % ASKERS :][:1] for at in range(0, ASKERS, BATCH)]
    known: dict[str, list[SigningDevice]] = {}
    for circle in circles:
        for guest in circle[:BATCH]:
            known[guest.device.client] = [other.device for other in circle if other is not guest]
    for guest in guests:
        named = known[guest.device.client]
        await guest.put(*(guest.device.trust(other) for other in named))
    for circle in circles:
        # The one from the next circle trusts back too, so that everybody has as many as a batch names.
        await circle[-1].put(*(circle[-1].device.trust(other.device) for other in circle[:BATCH]))
    strangers = make_devices(BATCH)
    for guest in others:
        await guest.put(*(guest.device.trust(other) for other in strangers))
    granted = await _measure_batches(
        hub, repeats, "refused: no grant", guests, lambda guest: known[guest.device.client]
    )
    unknown = await _measure_batches(hub, repeats, "refused: not trusted back", others, lambda _: strangers)
    return [*granted, *unknown]


async def _measure_batches(
    hub: BenchServer, repeats: int, name: str, guests: list[Guest], targets: Callable[[Guest], Sequence[SigningDevice]]
) -> list[Figure]:
    prepared = []
    for guest in guests:
        number = guest.end.next_number()
        inviting, created = begin_session(guest.device, number, *targets(guest))
        await guest.must("ok", number, created)
        now = now_ms()
        invites = tuple(
            inviting.invite(
                target.client,
                target.key.public,
                invite=InviteId(os.urandom(16)),
                purpose=Purpose.AUTO,
                expires_at=TimeMs(now + 3_600_000),
                now=now,
            )
            for target in targets(guest)
        )
        prepared.append((guest, inviting.plan.session, invites))

    async def ask(guest: Guest, session: object, invites: object, times: int) -> None:
        for _ in range(times):
            number = guest.end.next_number()
            frame = SendInvites(id=number, session=session, invites=invites)  # type: ignore[arg-type] # made above
            await guest.must("invites", number, encode_frame(frame))

    async def all_ask() -> int:
        await asyncio.gather(*(ask(*each, BATCHES_EACH) for each in prepared))
        return len(prepared) * BATCHES_EACH * BATCH

    figure = await _measured(hub, repeats, f"{name}, per target in a batch of {BATCH}", all_ask)
    figure.target = 40
    took = []
    for each in prepared[:LATENCIES]:
        began = time.perf_counter()
        await ask(*each, 1)
        took.append((time.perf_counter() - began) * 1000)
    return [
        figure,
        Figure(name=f"latency of {BATCH} {name}, p50", unit="ms", values=[percentile(took, 0.5)]),
        Figure(name=f"latency of {BATCH} {name}, p99", unit="ms", values=[percentile(took, 0.99)]),
    ]


async def measure_who(hub: BenchServer, repeats: int) -> list[Figure]:
    """Measure ``who`` about one device that is there and trusts the asker."""
    guests = await enter_all(make_devices(ASKERS), hub.url)
    pairs = list(zip(guests, [*guests[1:], guests[0]], strict=True))
    for guest, seen in pairs:
        await seen.put(seen.device.trust(guest.device))

    async def ask(guest: Guest, seen: Guest) -> None:
        for _ in range(WHO_EACH):
            number = guest.end.next_number()
            await guest.must("presence", number, encode_frame(Who(id=number, clients=(seen.device.client,))))

    async def all_ask() -> int:
        await asyncio.gather(*(ask(*both) for both in pairs))
        return len(pairs) * WHO_EACH

    return [await _measured(hub, repeats, "who, about one device", all_ask)]


async def _measured(hub: BenchServer, repeats: int, name: str, work: Callable[[], Awaitable[int]]) -> Figure:
    """Measure some work, which returns how many times it did what is measured."""
    figure = Figure(name=name, unit="µs", values=[], load_share=0.0)
    await hub.quiet()
    for _ in range(repeats):
        before = hub.moment()
        count = await work()
        used = before.until_now()
        figure.values.append(used.hub_s / count * MICRO)
        figure.store.append(used.store_s / count * MICRO)
        figure.load_share = max(figure.load_share or 0.0, used.load_share)
    return figure
