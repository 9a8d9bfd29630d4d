"""Sessions: made, read, joined, left, closed (SPEC.md section 8)."""

import msgspec

from muster_hub.audit.records import RecordKind, record
from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.delivery import inbox
from muster_hub.delivery.live import tell
from muster_hub.presence.registry import check_current
from muster_hub.routing.caller import Caller
from muster_hub.sessions.epochs import first_epoch
from muster_hub.sessions.holds import HoldRequest, hold
from muster_hub.sessions.state import SessionState, read_members, read_state
from muster_hub.sessions.updates import tell_out, update
from muster_hub.store import keys
from muster_hub.store.adapter import Word
from muster_hub.store.cells import data, items, pairs, text
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.codec import encode
from muster_protocol.errors import Refused
from muster_protocol.exchange import Joined, Leave, hash_of
from muster_protocol.frames import (
    MAX_EPOCHS_SHOWN,
    CloseSession,
    CreateSession,
    GetSession,
    JoinedPush,
    LeavePush,
    ListSessions,
    Ok,
    ResumeSession,
    SendJoined,
    SendLeave,
    SessionReply,
    SessionsReply,
    SessionSummary,
)
from muster_protocol.ids import ClientId, InviteId, SessionId, TimeMs, session_id
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read

MAX_SESSIONS_LISTED = 64
"""Sessions in one list, those that end last: as many as fit one message with all their members."""
EPOCHS_BYTES = 8 * 1024
"""Bytes of epochs in one reply, unless the first alone has more: with all else in it the reply fits one message. The
device asks on from the last."""

_CREATE = script("session_create")
_SHOW = script("session_show")
_SESSION_INDEX = script("session_index")
_JOINED = script("joined")
_OUT = script("member_out")
_CLOSE = script("session_close")

_read_signed = msgspec.msgpack.Decoder(Signed).decode


async def create_session(context: NodeContext, caller: Caller, request: CreateSession) -> Ok:
    """Make a session; the same request again answers the same.

    Raises ``Refused``: ``mismatch`` (an id, a seed and an epoch that do not belong together, or a name that is taken),
    ``not_trusted`` (by a device that never trusted anybody, which leaves nothing here), ``superseded``, ``overloaded``
    (this device is in MAX_NOTED sessions), ``malformed``; ``StoreUnavailable``.
    """
    if session_id(caller.client, request.seed) != request.session:
        raise Refused(Reason.MISMATCH, "the session is not named after its creator and seed")
    epoch = first_epoch(caller, request.epoch, request.session)
    ends_at = TimeMs(await context.store.now_ms() + request.lasts_ms)
    # The creator is held first, so that whatever restricts it from now on cuts this session too.
    held = await hold(context, request.session, ends_at, [HoldRequest(caller.client, (), {}, caller.connection)])
    if not held[caller.client].acquainted:
        raise Refused(Reason.NOT_TRUSTED, "a device that trusts nobody has nobody to call")
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
        ends_at,
        epoch,
        encode(request.epoch),
        row,
    )
    return Ok(re=request.id)


async def get_session(context: NodeContext, caller: Caller, request: GetSession) -> SessionReply:
    """Show a session to one who is or was in it; else ``Refused(not_a_member)``, as if there were none.

    Epochs come oldest first, at most MAX_EPOCHS_SHOWN and EPOCHS_BYTES; ``epoch`` tells whether there are more.
    """
    state = await _of_member(context, request.session, caller.client)
    present = state.present
    touched = [keys.epochs(state.session), keys.sealed(state.session)]
    args: list[Word] = [caller.client, request.after, MAX_EPOCHS_SHOWN, EPOCHS_BYTES, *present]
    epochs, sealed, admission, joined = items(await context.store.run(_SHOW, touched, args))
    return SessionReply(
        re=request.id,
        session=state.session,
        creator=state.creator,
        mode=state.mode,
        profile=state.profile,
        kind=state.kind,
        open=state.open,
        created_at=state.created_at,
        ends_at=state.ends_at,
        epoch=state.epoch,
        members=tuple(row.shown() for row in state.members.values()),
        epochs=tuple(_read_signed(data(epoch)) for epoch in items(epochs)),
        joined=tuple(_read_signed(data(said)) for said in items(joined) if said),
        sealed=data(sealed) or None,
        admission=_read_signed(data(admission)) if admission else None,
    )


async def read_admission(context: NodeContext, session: SessionId, client: ClientId) -> Signed | None:
    """Read the admission that waits for a member's ``joined``, None when there is none. Raises ``StoreUnavailable``."""
    touched = [keys.epochs(session), keys.sealed(session)]
    _, _, admission, _ = items(await context.store.run(_SHOW, touched, [client, 0, 0, 0]))
    return _read_signed(data(admission)) if admission else None


async def _of_member(context: NodeContext, session: SessionId, client: ClientId) -> SessionState:
    state = await read_state(context, session)
    if state is None or client not in state.members:
        raise Refused(Reason.NOT_A_MEMBER)
    return state


async def list_sessions(context: NodeContext, caller: Caller, request: ListSessions) -> SessionsReply:
    """List the sessions that the caller is in, at most MAX_SESSIONS_LISTED. Raises ``StoreUnavailable``."""
    states = await together(*(read_state(context, session) for session in await noted_sessions(context, caller.client)))
    found = [state for state in states if state is not None and caller.client in state.present]
    return SessionsReply(re=request.id, sessions=tuple(_summary(state) for state in found[:MAX_SESSIONS_LISTED]))


async def noted_sessions(context: NodeContext, client: ClientId) -> list[SessionId]:
    """Name the sessions that a device was held for, the one that ends last first. Raises ``StoreUnavailable``."""
    noted = items(await context.store.run(_SESSION_INDEX, [keys.session_index(client)], [await context.store.now_ms()]))
    return [SessionId(text(name)) for name in noted]


def _summary(state: SessionState) -> SessionSummary:
    return SessionSummary(
        session=state.session,
        creator=state.creator,
        mode=state.mode,
        profile=state.profile,
        open=state.open,
        created_at=state.created_at,
        ends_at=state.ends_at,
        members=state.present,
    )


async def send_joined(context: NodeContext, caller: Caller, request: SendJoined) -> Ok:
    """Take a member's ``joined`` and push it to the others.

    Raises ``Refused``: ``not_a_member``, ``session_closed``, ``mismatch`` (another epoch, key or admission),
    ``superseded``.
    """
    said = read(request.joined, Joined)
    if (said.member, said.member_key) != (caller.client, caller.fingerprint):
        raise Refused(Reason.MISMATCH, "joined by another device or key")
    await check_current(context.store, caller)
    session, bucket = said.session, keys.bucket(said.session)
    touched = [
        keys.session(session),
        keys.roster(session),
        keys.epochs(session),
        keys.sealed(session),
        keys.due(bucket),
        keys.outbox(bucket),
    ]
    statement = hash_of(Kind.JOINED, request.joined)
    row = record(RecordKind.JOINED, actor=caller.client, session=session, statement=statement)
    reply = await change(
        context.store,
        _JOINED,
        touched,
        session,
        caller.client,
        caller.fingerprint,
        said.epoch,
        said.admission or b"",
        caller.instance,
        encode(request.joined),
        row,
    )
    others = [row.client for row in read_members(reply).values() if row.present and row.client != caller.client]
    await tell(context, others, JoinedPush(joined=request.joined))
    return Ok(re=request.id)


async def send_leave(context: NodeContext, caller: Caller, request: SendLeave) -> Ok:
    """Take a member out by its own word and pass the word on.

    Raises ``Refused``: ``not_a_member``, ``mismatch``, ``superseded``.
    """
    said = read(request.leave, Leave)
    if (said.member, said.member_key) != (caller.client, caller.fingerprint):
        raise Refused(Reason.MISMATCH, "a leave of another device or key")
    await check_current(context.store, caller)
    statement = hash_of(Kind.LEAVE, request.leave)
    row = record(
        RecordKind.MEMBER_OUT, actor=caller.client, subject=caller.client, session=said.session, statement=statement
    )
    reply = await change(
        context.store, _OUT, _out_keys(said.session), said.session, caller.client, caller.fingerprint, "", b"", row
    )
    _, roster = items(reply)
    others = [row.client for row in read_members(roster).values() if row.present]
    await tell(context, others, LeavePush(leave=request.leave))
    return Ok(re=request.id)


async def take_back_seat(context: NodeContext, session: SessionId, client: ClientId, invite: InviteId) -> None:
    """Take out a member whose ``joined`` did not come in time, and tell the others; again is harmless.

    Raises ``StoreUnavailable``.
    """
    reason = Reason.JOIN_FAILED
    row = record(RecordKind.MEMBER_OUT, actor=client, subject=client, session=session, reason=reason)
    try:
        reply = await change(context.store, _OUT, _out_keys(session), session, client, b"", reason, invite, row)
    except Refused:
        return  # The session ended and is gone, and with it whatever was due.
    went, roster = items(reply)
    if went:
        await tell_out(context, session, client, reason, read_members(roster))


def _out_keys(session: SessionId) -> list[bytes]:
    bucket = keys.bucket(session)
    return [
        keys.session(session),
        keys.roster(session),
        keys.sealed(session),
        keys.due(bucket),
        keys.outbox(bucket),
    ]


async def close_session(context: NodeContext, caller: Caller, request: CloseSession) -> Ok:
    """End a session, tell its members, and withdraw its open invites.

    Raises ``Refused``: ``not_a_member`` for all but its creator, ``superseded``.
    """
    await check_current(context.store, caller)
    state = await _of_member(context, request.session, caller.client)
    row = record(RecordKind.SESSION_CLOSED, actor=caller.client, session=request.session)
    touched = [
        keys.session(state.session),
        keys.invite_outcomes(state.session),
        keys.outbox(keys.bucket(state.session)),
    ]
    ended = pairs(await change(context.store, _CLOSE, touched, caller.client, row))
    withdrawn = [_withdraw(context, state.session, ClientId(text(client)), InviteId(data(at))) for client, at in ended]
    others = [client for client in state.present if client != caller.client]
    await together(*withdrawn, tell(context, others, update(state.session, None, "closed", Reason.SESSION_CLOSED)))
    return Ok(re=request.id)


async def _withdraw(context: NodeContext, session: SessionId, client: ClientId, invite: InviteId) -> None:
    try:
        await inbox.put_invite_end(context, client, session, invite, Reason.SESSION_CLOSED)
    except (Refused, StoreUnavailable):
        return  # The session is closed all the same: an answer hears that, and the invite expires.


async def resume_session(context: NodeContext, caller: Caller, request: ResumeSession) -> Ok:
    """Ask the creator, if it is there, to admit this member anew: its process is new and holds no key.

    Raises ``Refused``: ``not_a_member``, ``session_closed``.
    """
    state = await _of_member(context, request.session, caller.client)
    if not state.open:
        raise Refused(Reason.SESSION_CLOSED)
    if caller.client not in state.present:
        raise Refused(Reason.NOT_A_MEMBER)
    await tell(context, [state.creator], update(state.session, caller.client, "resume"))
    return Ok(re=request.id)
