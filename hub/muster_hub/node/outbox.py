"""Replay outbox entries that a crashed node left unfinished; each bucket has one node that does so.

The node that causes an effect carries it out at once. A pass every PASS_EVERY_S repeats, from the outbox, what is
older than MIN_AGE_MS: cuts, admissions, ends of invites and notifications, all harmless to repeat. Records stay,
bounded, until the audit chains take them.
The same pass takes back seats whose ``joined`` did not come in time.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha256

import structlog

from muster_hub.context import NodeContext
from muster_hub.delivery import inbox
from muster_hub.sessions.cuts import Cut, CutCause, cut
from muster_hub.sessions.membership import remove_unjoined
from muster_hub.sessions.views import read_admission
from muster_hub.store import keys
from muster_hub.store.cells import data, items
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.rows import AdmissionRow, CutRow, DueRow, InviteEndRow, NotifyRow, read
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.errors import Refused
from muster_protocol.frames import AdmissionPush, encode_frame
from muster_protocol.ids import ClientId, SessionId

PASS_EVERY_S = 5.0
MIN_AGE_MS = 2_000
"""Minimum age of an entry that a pass repeats: its author had that long to finish it."""
MAX_ENTRIES = 64
"""Entries, and overdue joins, of one bucket in one call."""
MAX_PAGES = 32
"""Calls per bucket in one pass; the next pass continues."""

_CONSUMER = "effects"
_RECORD = b"record"
_DRAIN = script("drain")
_DRAINED = script("drained")
_log = structlog.get_logger(__name__)


async def run(context: NodeContext) -> None:
    """Pass over this node's buckets periodically until cancelled."""
    while True:
        await asyncio.sleep(PASS_EVERY_S)
        if context.nodes.acting():
            await run_once(context)


async def run_once(context: NodeContext, *, min_age_ms: int = MIN_AGE_MS) -> None:
    """Pass once over all buckets of this node; a later pass does what fails now."""
    live = context.nodes.live_nodes()
    mine = [bucket for bucket in range(keys.BUCKETS) if owner(bucket, live) == context.nodes.node]
    try:
        async with asyncio.TaskGroup() as group:
            for bucket in mine:
                group.create_task(drain(context, bucket, min_age_ms=min_age_ms))
    except* StoreUnavailable as errors:
        _log.warning("outbox_pass_failed", failed=len(errors.exceptions))


def owner(bucket: int, nodes: Sequence[str]) -> str | None:
    """Return the live node that drains a bucket, by rendezvous hashing, so that few buckets move with each node."""
    return max(nodes, key=lambda node: (sha256(f"{bucket} {node}".encode()).digest(), node), default=None)


async def drain(context: NodeContext, bucket: int, *, min_age_ms: int) -> None:
    """Carry out the entries of one bucket's outbox, and take back its seats that are overdue.

    Entries younger than ``min_age_ms`` are left to their author. Raises ``StoreUnavailable``.
    """
    for _ in range(MAX_PAGES):
        if await _drain_page(context, bucket, min_age_ms) < MAX_ENTRIES:
            return


async def _drain_page(context: NodeContext, bucket: int, min_age_ms: int) -> int:
    """Carry out the oldest entries; return how many there were."""
    touched = [keys.outbox(bucket), keys.drained(bucket), keys.due(bucket)]
    entries, overdue = items(await context.store.run(_DRAIN, touched, [_CONSUMER, min_age_ms, MAX_ENTRIES]))
    for packed in items(overdue):
        seat = read(data(packed), DueRow)
        await remove_unjoined(context, seat.session, seat.client, seat.invite)
    done = [[data(cell) for cell in items(entry)] for entry in items(entries)]
    effects = [each for each in done if each[1] != _RECORD]
    # A device has many notifications in a row; the same effect is carried out once.
    for kind, row in dict.fromkeys((kind, row) for _, kind, row in effects):
        await _finish(context, kind.decode(), row)
    if done:
        await change(context.store, _DRAINED, touched[:2], _CONSUMER, done[-1][0], *(entry for entry, _, _ in effects))
    return len(done)


async def _finish(context: NodeContext, kind: str, row: bytes) -> None:
    match kind:
        case "cut":
            pending = read(row, CutRow)
            restriction = Cut(pending.device, pending.ver, CutCause(pending.why), pending.about)
            await cut(context, [pending.session], restriction)
        case "admission":
            admission = read(row, AdmissionRow)
            await _push_admission(context, admission.session, admission.client)
        case "invite_end":
            await _put_invite_end(context, read(row, InviteEndRow))
        case "notify":
            await inbox.notify_again(context, read(row, NotifyRow).client)


async def _push_admission(context: NodeContext, session: SessionId, client: ClientId) -> None:
    """Push an admission once more where no ``joined`` followed; a device that is away reads it from the session."""
    admission = await read_admission(context, session, client)
    if admission is not None:
        await context.router.push_live(client, encode_frame(AdmissionPush(admission=admission)))


async def _put_invite_end(context: NodeContext, end: InviteEndRow) -> None:
    """Put the end of an invite again; its target may have handled it already, and then nothing happens."""
    try:
        await inbox.put_invite_end(context, end)
    except Refused:
        # Its inbox is full. An answer to the invite is refused, and the invite expires.
        _log.info("invite_end_not_put", client=end.client[:8])
