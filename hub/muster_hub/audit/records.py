"""Audit records, which wait in the outbox until an audit chain takes them (SPEC.md section 10).

A record is a packed row: kind, actor, subject, session, outcome, reason, hash of the statement that caused it; a cell
that does not apply is empty. Its time is that of the outbox entry.
"""

from collections.abc import Sequence
from enum import StrEnum

from muster_hub.context import NodeContext
from muster_hub.store import keys
from muster_hub.store.rows import RecordRow, pack
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.ids import ClientId, Hash, SessionId
from muster_protocol.reasons import Reason

_RECORD = script("record")


class RecordKind(StrEnum):
    """The kinds of records. The first thirteen are written by the scripts that make the change."""

    CARD = "card"
    TRUST = "trust"
    UNTRUST = "untrust"
    GRANT = "grant"
    REVOCATION = "revocation"
    KEY_ROTATED = "key_rotated"
    KEY_FORKED = "key_forked"
    KEY_RETIRED = "key_retired"
    CLONE_SUSPECTED = "clone_suspected"
    SUSPICION_CLEARED = "suspicion_cleared"
    HUB_RESTORED = "hub_restored"
    ENROLLED = "enrolled"
    UNENROLLED = "unenrolled"

    SESSION_CREATED = "session_created"
    SESSION_CLOSED = "session_closed"
    INVITE_REFUSED = "invite_refused"
    JOIN_COMMITTED = "join_committed"
    JOINED = "joined"
    MEMBER_OUT = "member_out"


class Outcome(StrEnum):
    """Whether the action was done or refused."""

    DONE = "done"
    REFUSED = "refused"


def record(
    kind: RecordKind,
    *,
    actor: ClientId,
    subject: ClientId | str = "",
    session: SessionId | str = "",
    outcome: Outcome = Outcome.DONE,
    reason: Reason | str = "",
    statement: Hash | bytes = b"",
) -> bytes:
    """Return the packed record."""
    return pack(RecordRow(kind, actor, subject, session, outcome, reason, statement))


async def record_refusals(
    context: NodeContext, actor: ClientId, session: SessionId, refused: Sequence[tuple[ClientId, Reason]]
) -> None:
    """Record the refusals of one request as one record in the caller's bucket. Raises ``StoreUnavailable``.

    The subject is empty; the reason lists each refused device with its own.
    """
    listed = " ".join(f"{client}={reason}" for client, reason in refused)
    row = record(RecordKind.INVITE_REFUSED, actor=actor, session=session, outcome=Outcome.REFUSED, reason=listed)
    await change(context.store, _RECORD, [keys.outbox(keys.bucket(actor))], row)
