"""Records of what a stranger does, by which it drives out those of another device in the same part of the outbox."""

import asyncio
import copy
from collections import Counter

import pytest
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor

from muster_hub.audit.records import RecordKind, record_refusals
from muster_hub.node import outbox
from muster_hub.store import keys
from muster_hub.store.cells import data, items
from muster_hub.store.rows import RecordRow, read
from muster_protocol.errors import Refused
from muster_protocol.ids import SessionId
from muster_protocol.reasons import Reason

OWN = 3
KEPT, AT_ONCE = keys.MAX_RECORDS_KEPT, keys.RECORDS_TRIMMED_AT_ONCE
PASSES = 2
"""One pass drains fewer entries than are made here."""
SESSION = SessionId("s" * 32)


def neighbours(count: int) -> list[SigningDevice]:
    """Return devices whose records are kept in one part: identities are free, so a stranger looks for some."""
    found: dict[int, list[SigningDevice]] = {}
    while True:
        device = SigningDevice()
        near = found.setdefault(keys.bucket(device.client), [])
        near.append(device)
        if len(near) == count:
            return near


async def refused(desk: Desk, device: SigningDevice, times: int) -> None:
    """Record that this device's invites were refused, as each of its requests does."""
    for start in range(0, times, AT_ONCE):
        listed = [(device.client, Reason.NOT_TRUSTED)]
        some = [record_refusals(desk.hub, device.client, SESSION, listed) for _ in range(min(AT_ONCE, times - start))]
        await asyncio.gather(*some)


async def kept(desk: Desk, device: SigningDevice) -> list[RecordRow]:
    """Drain the part and return the records that are left, oldest first."""
    for _ in range(PASSES):
        await asyncio.gather(*(outbox.run_once(each.hub, min_age_ms=0) for each in desk.all))
    entries = items(await desk.store.ask(b"XRANGE", keys.outbox(keys.bucket(device.client)), b"-", b"+"))
    fields = [[data(cell) for cell in items(items(entry)[1])] for entry in entries]
    return [read(row, RecordRow) for _, kind, _, row in fields if kind == b"record"]


@pytest.mark.parametrize("strangers", [1, 2])
async def test_the_records_of_strangers_drive_out_none_of_a_device_that_has_few(desk: Desk, strangers: int) -> None:
    device, *others = neighbours(1 + strangers)
    owner = Actor(device, await desk.seat(device))
    for _ in range(OWN):
        await owner.say(device.trust(SigningDevice()))
    for other in others:
        await refused(desk, other, KEPT + AT_ONCE)
    left = Counter(row.actor for row in await kept(desk, device))
    assert left[device.client] == OWN
    assert left.total() < KEPT + AT_ONCE
    assert min(left[other.client] for other in others) >= (KEPT - OWN) // strangers


async def test_of_one_actor_the_newest_records_stay(desk: Desk) -> None:
    [device] = neighbours(1)
    owner = Actor(device, await desk.seat(device))
    await owner.say(device.trust(SigningDevice()))
    await refused(desk, device, KEPT + AT_ONCE)
    left = await kept(desk, device)
    assert KEPT <= len(left) < KEPT + AT_ONCE
    assert {row.kind for row in left} == {RecordKind.INVITE_REFUSED}


async def test_retired_keys_of_a_stranger_drive_out_no_record_of_another_device(desk: Desk) -> None:
    device, other = neighbours(2)
    for one, times in ((device, 1), (other, KEPT + AT_ONCE)):
        retired = copy.copy(one)
        one.rotate()
        await desk.seat(retired)
        await desk.seat(one)
        for _ in range(times):
            with pytest.raises(Refused):
                await desk.seat(retired)
    left = Counter(row.subject for row in await kept(desk, device) if row.kind == RecordKind.KEY_RETIRED)
    assert left[device.client] == 1
    assert left[other.client] < KEPT + AT_ONCE
