"""Enrolled devices: admitted by the operator or an invitation, until the operator ends it (SPEC.md section 4.6)."""

from dataclasses import dataclass

from muster_hub.context import NodeContext
from muster_hub.enrolment.codes import OPERATOR, use_code
from muster_hub.presence.record import instances
from muster_hub.presence.registry import words
from muster_hub.store import keys
from muster_hub.store.adapter import Store, all_of
from muster_hub.store.cells import data, items, pairs
from muster_hub.store.rows import EnrolledRow, location, read
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.closes import CloseCode
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, EnrolmentCode, TimeMs
from muster_protocol.reasons import Reason

_ENROL = script("enrol")
_UNENROL = script("unenrol")
_LIST = script("enrolled")


@dataclass(frozen=True, slots=True)
class EnrolledDevice:
    """An enrolled device: since when (store's clock), and which device invited it; empty: the operator."""

    client: ClientId
    since: TimeMs
    by: str


async def enrol(store: Store, client: ClientId, by: str = OPERATOR) -> bool:
    """Enrol a device; return whether it is new.

    Raises ``Refused`` (``overloaded``) where too many are enrolled; ``StoreUnavailable``.
    """
    where = [keys.enrolled(keys.bucket(client)), keys.outbox(keys.bucket(client))]
    return await change(store, _ENROL, where, client, by) == 1


async def enrol_by_code(store: Store, client: ClientId, code: EnrolmentCode) -> None:
    """Enrol the first device that shows a code.

    The code remembers the device before that is enrolled: one whose hub or connection ends in between comes again with
    the same code. Raises ``Refused`` as ``use_code`` and ``enrol``, and ``not_enrolled`` for a code of a device that is
    enrolled no more; ``StoreUnavailable``.
    """
    by = await use_code(store, code, client)
    if by != OPERATOR and not await _is_enrolled(store, by):
        raise Refused(Reason.NOT_ENROLLED, "who invited this device is enrolled no more")
    await enrol(store, client, by)


async def _is_enrolled(store: Store, client: str) -> bool:
    rows = pairs(await store.run(_LIST, [keys.enrolled(keys.bucket(client))]))
    return any(data(enrolled).decode() == client for enrolled, _ in rows)


async def unenrol(context: NodeContext, client: ClientId) -> bool:
    """End the enrolment of a device and its connections on all nodes; return whether it was enrolled.

    Raises ``StoreUnavailable``.
    """
    number = keys.bucket(client)
    where = [keys.enrolled(number), keys.instances(client), keys.watchers(client), keys.outbox(number)]
    removed, rows, watching = items(await change(context.store, _UNENROL, where, client))
    for connection, row in instances(items(rows)):
        context.router.close(client, location(connection, row), CloseCode.NOT_ENROLLED)
    context.router.notify_presence(client, words(items(watching)))
    return removed == 1


async def enrolled_devices(store: Store) -> list[EnrolledDevice]:
    """Return all enrolled devices, the newest first. Raises ``StoreUnavailable``."""
    await store.reached()
    replies = await all_of(store.begin(_LIST, [keys.enrolled(number)]) for number in range(keys.BUCKETS))
    found = [
        EnrolledDevice(ClientId(data(client).decode()), enrolled.since_ms, enrolled.by)
        for reply in replies
        for client, row in pairs(reply)
        for enrolled in [read(data(row), EnrolledRow)]
    ]
    return sorted(found, key=lambda device: -device.since)
