"""The life of a session: created and closed (SPEC.md section 8)."""

from muster_hub.audit.records import RecordKind, record
from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.delivery.live import tell
from muster_hub.presence.registry import check_current
from muster_hub.rate_limits.costs import PUSH, WRITE
from muster_hub.routing.caller import Caller
from muster_hub.sessions.epochs import first_epoch
from muster_hub.sessions.holds import HeldFor, HoldRequest, hold
from muster_hub.sessions.invite_ends import tell_ends
from muster_hub.sessions.state import read_state
from muster_hub.sessions.updates import update
from muster_hub.store import keys
from muster_hub.store.cells import data, pairs, text
from muster_hub.store.rows import InviteEndRow
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.codec import encode
from muster_protocol.errors import Refused
from muster_protocol.frames import CloseSession, CreateSession, Ok
from muster_protocol.ids import ClientId, InviteId, SessionId, TimeMs, session_id
from muster_protocol.reasons import Reason

_CREATE = script("session_create")
_CLOSE = script("session_close")


async def create_session(context: NodeContext, caller: Caller, request: CreateSession) -> Ok:
    """Create a session; the same request again has the same answer.

    Raises ``Refused``: ``mismatch`` (an id, a seed and an epoch that do not belong together, or a session of that id
    that another request created), ``not_trusted`` (for a device that never trusted any; nothing is stored then),
    ``superseded``, ``overloaded`` (this device is in MAX_INDEXED_SESSIONS open ones), ``rate_limited`` (it made
    SESSIONS_A_DAY, those that ended included), ``malformed``; ``StoreUnavailable``.
    """
    if session_id(caller.client, request.seed) != request.session:
        raise Refused(Reason.MISMATCH, "the session id does not come from its creator and seed")
    epoch = first_epoch(caller, request.epoch, request.session)
    ends_at = TimeMs(await context.store.now_ms() + request.lasts_ms)
    # The creator is held first, so that a restriction of it from now on cuts this session too.
    held_for = HeldFor(request.session, ends_at, caller.client, caller.fingerprint)
    held = await hold(context, caller.payer, held_for, [HoldRequest(caller.client, (), {}, caller.connection)])
    if (prevented := held[caller.client].not_held) is not None:
        raise Refused(prevented)
    if not held[caller.client].acquainted:
        raise Refused(Reason.NOT_TRUSTED, "this device has never trusted another, so it can call none")
    session, bucket = request.session, keys.bucket(request.session)
    touched = [keys.session(session), keys.roster(session), keys.epochs(session), keys.outbox(bucket)]
    row = record(RecordKind.SESSION_CREATED, actor=caller.client, session=session, statement=epoch)
    await change(
        context.store,
        _CREATE,
        touched,
        caller.client,
        caller.fingerprint,
        caller.instance,
        request.seed,
        request.mode,
        request.profile or "",
        request.kind,
        request.lasts_ms,
        ends_at,
        epoch,
        encode(request.epoch),
        row,
    )
    return Ok(re=request.id)


async def close_session(context: NodeContext, caller: Caller, request: CloseSession) -> Ok:
    """Close a session, tell its members, and withdraw its live invites.

    Raises ``Refused``: ``not_a_member`` for all but its creator, ``superseded``; ``StoreUnavailable``.
    """
    await check_current(context.store, caller)
    state = await read_state(context, request.session)
    if state is None or state.creator != caller.client:
        raise Refused(Reason.NOT_A_MEMBER)
    row = record(RecordKind.SESSION_CLOSED, actor=caller.client, session=request.session)
    touched = [
        keys.session(state.session),
        keys.invite_outcomes(state.session),
        keys.outbox(keys.bucket(state.session)),
    ]
    args = (state.session, caller.client, caller.fingerprint, row)
    ends = [_end(caller, state.session, *named) for named in pairs(await change(context.store, _CLOSE, touched, *args))]
    others = [client for client in state.present if client != caller.client]
    context.charge(caller.payer, PUSH * len(others) + (WRITE + PUSH) * len(ends))
    closed = update(state.session, None, "closed", Reason.SESSION_CLOSED)
    await together(tell_ends(context, ends), tell(context, others, closed))
    return Ok(re=request.id)


def _end(caller: Caller, session: SessionId, client: object, invite: object) -> InviteEndRow:
    target, name = ClientId(text(client)), InviteId(data(invite))
    return InviteEndRow(session, target, name, caller.client, caller.fingerprint, Reason.SESSION_CLOSED)
