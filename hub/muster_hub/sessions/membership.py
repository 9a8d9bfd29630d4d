"""A member's time in a session: joined, resumed, left, or removed because it never joined (SPEC.md section 8)."""

from muster_hub.audit.records import RecordKind, record
from muster_hub.context import NodeContext
from muster_hub.delivery.live import tell
from muster_hub.presence.registry import check_current
from muster_hub.rate_limits.costs import CALL_AGAIN, PUSH
from muster_hub.routing.caller import Caller
from muster_hub.sessions.state import read_members, read_state
from muster_hub.sessions.updates import push_member_out, update
from muster_hub.store import keys
from muster_hub.store.cells import items, pack
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.codec import encode
from muster_protocol.errors import Refused
from muster_protocol.exchange import Joined, Leave, hash_of
from muster_protocol.frames import JoinedPush, LeavePush, Ok, ResumeSession, SendJoined, SendLeave
from muster_protocol.ids import ClientId, InviteId, SessionId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import verify

_JOINED = script("joined")
_OUT = script("member_out")
_LEFT = script("invites_left")


async def send_joined(context: NodeContext, caller: Caller, request: SendJoined) -> Ok:
    """Store a member's ``joined`` and push it to the other members.

    Raises ``Refused``: ``bad_signature``, ``not_a_member``, ``session_closed``, ``mismatch`` (another epoch, key or
    admission), ``superseded``; ``StoreUnavailable``.
    """
    body = verify(request.joined, caller.card.card.current, Joined)
    if (body.member, body.member_key) != (caller.client, caller.fingerprint):
        raise Refused(Reason.MISMATCH, "the joined statement is of another device or key")
    await check_current(context.store, caller)
    session, bucket = body.session, keys.bucket(body.session)
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
        body.epoch,
        body.admission or b"",
        caller.instance,
        encode(request.joined),
        row,
    )
    others = [row.client for row in read_members(reply).values() if row.present and row.client != caller.client]
    context.charge(caller.payer, PUSH * len(others))
    await tell(context, others, JoinedPush(joined=request.joined))
    return Ok(re=request.id)


async def send_leave(context: NodeContext, caller: Caller, request: SendLeave) -> Ok:
    """Remove a member by its own statement and push that to the other members, once.

    The creator takes no ``leave`` that does not verify or is of an earlier membership: it could make no epoch. Raises
    ``Refused``: ``bad_signature``, ``not_a_member``, ``mismatch``, ``replayed`` (it is older than the answer for which
    the member was admitted), ``superseded``; ``StoreUnavailable``.
    """
    body = verify(request.leave, caller.card.card.current, Leave)
    if (body.member, body.member_key) != (caller.client, caller.fingerprint):
        raise Refused(Reason.MISMATCH, "the leave statement is of another device or key")
    await check_current(context.store, caller)
    statement = hash_of(Kind.LEAVE, request.leave)
    row = record(
        RecordKind.MEMBER_OUT, actor=caller.client, subject=caller.client, session=body.session, statement=statement
    )
    reply = await change(
        context.store,
        _OUT,
        _out_keys(body.session),
        body.session,
        caller.client,
        caller.fingerprint,
        "",
        b"",
        pack(Kind.LEAVE, encode(request.leave)),
        body.at,
        row,
    )
    removed, roster = items(reply)
    if removed:  # one who is out already wakes no member
        others = [row.client for row in read_members(roster).values() if row.present]
        context.charge(caller.payer, PUSH * len(others))
        await tell(context, others, LeavePush(leave=request.leave))
    return Ok(re=request.id)


async def remove_unjoined(context: NodeContext, session: SessionId, client: ClientId, invite: InviteId) -> None:
    """Remove a member whose ``joined`` did not come in time, and tell the others; harmless to repeat.

    Raises ``StoreUnavailable``.
    """
    reason = Reason.JOIN_FAILED
    row = record(RecordKind.MEMBER_OUT, actor=client, subject=client, session=session, reason=reason)
    try:
        reply = await change(context.store, _OUT, _out_keys(session), session, client, b"", reason, invite, b"", 0, row)
    except Refused:
        return  # the session has expired, and the deadline with it
    removed, roster = items(reply)
    if removed:
        await push_member_out(context, session, client, reason, read_members(roster))


async def resume_session(context: NodeContext, caller: Caller, request: ResumeSession) -> Ok:
    """Ask the creator, if it is online, to admit this member again: its process is new and holds no key.

    The member is charged for the invite that its creator then sends. Raises ``Refused``: ``not_a_member`` (also to the
    creator, to whom no member could seal the key), ``session_closed``, ``too_many_targets`` (the session takes no more
    invites to this member), ``superseded``; ``StoreUnavailable``.
    """
    await check_current(context.store, caller)
    state = await read_state(context, request.session)
    if state is None or caller.client not in state.present or caller.client == state.creator:
        raise Refused(Reason.NOT_A_MEMBER)
    if not state.open:
        raise Refused(Reason.SESSION_CLOSED)
    if not await context.store.run(_LEFT, [keys.invite_outcomes(state.session)], [caller.client]):
        raise Refused(Reason.TOO_MANY_TARGETS, "this device was invited to the session too often")
    if state.creator in state.present:
        context.charge(caller.payer, CALL_AGAIN)
        await tell(context, [state.creator], update(state.session, caller.client, "resume"))
    return Ok(re=request.id)


def _out_keys(session: SessionId) -> list[bytes]:
    bucket = keys.bucket(session)
    return [
        keys.session(session),
        keys.roster(session),
        keys.sealed(session),
        keys.due(bucket),
        keys.outbox(bucket),
    ]
