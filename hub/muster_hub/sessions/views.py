"""What a device reads of sessions: one session, a list of them, and its session index (SPEC.md section 8)."""

import random
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.rate_limits.costs import LISTED
from muster_hub.routing.caller import Caller
from muster_hub.sessions.state import RosterMember, SessionState, parse_state, read_state
from muster_hub.store import keys
from muster_hub.store.cells import data, items, pairs, signed, text, unpack
from muster_hub.store.scripts import script
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    MAX_EPOCHS_SHOWN,
    MAX_SESSIONS_LISTED,
    Departure,
    GetSession,
    ListSessions,
    SessionReply,
    SessionsReply,
    SessionSummary,
)
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

EPOCHS_BYTES = 8 * 1024
"""Bytes of epochs in one reply, unless the first alone has more, so that the whole reply fits one message. The device
asks for the rest."""
DEPARTURES_BYTES = 8 * 1024
"""Bytes of departures in one reply, unless the first alone has more: a card with a long chain of keys."""
READ_TOGETHER = MAX_SESSIONS_LISTED + 1
"""Sessions that are read at once for a list: a page, and one that shows that there are more."""

_SHOW = script("session_show")
_SESSION_INDEX = script("session_index")


class HeldForMember(Struct, frozen=True):
    """What the hub holds of a session for one current or former member, as the store had it at one moment.

    ``epochs`` are those behind the number asked, lowest first; for one who is out none after its end.
    ``left`` are the statements by which members went, with their kinds.
    """

    state: SessionState
    epochs: tuple[Signed, ...]
    sealed: bytes | None
    admission: Signed | None
    joined: Mapping[ClientId, Signed]
    left: Mapping[ClientId, bytes]


async def get_session(context: NodeContext, caller: Caller, request: GetSession) -> SessionReply:
    """Return a session to a current or former member.

    Epochs come oldest first, at most MAX_EPOCHS_SHOWN and EPOCHS_BYTES; ``epoch`` shows whether there are more. Raises
    ``Refused(not_a_member)`` for any other device, also where there is no such session; ``StoreUnavailable``.
    """
    held = await _read_held(context, request.session, caller.client, request.after, MAX_EPOCHS_SHOWN)
    if held is None:
        raise Refused(Reason.NOT_A_MEMBER)
    reply = shown_to(caller.client, held, request.id)
    if caller.client != held.state.creator or not reply.open:
        return reply
    return msgspec.structs.replace(reply, departures=_departures(held))


def _departures(held: HeldForMember) -> tuple[Departure, ...]:
    """Return the statements by which members of the newest epoch went, as many as fit.

    They come in random order, so that long ones do not always keep the same others out.
    """
    state = held.state
    out = [row.client for row in state.members.values() if not row.present and row.last_epoch == state.epoch]
    said = [client for client in out if client in held.left]
    shown: list[Departure] = []
    room = DEPARTURES_BYTES
    for client in random.sample(said, len(said)):
        room -= len(held.left[client])
        if shown and room < 0:
            break
        kind, statement = unpack(held.left[client])
        shown.append(Departure(client, Kind(text(kind)), signed(statement)))
    return tuple(shown)


def shown_to(client: ClientId, held: HeldForMember, re: int) -> SessionReply:
    """Return the reply to one who is or was a member: all to a member, and nothing later than its end to a former one.

    A former member sees its own row alone: the rows of others tell what became of them since.
    """
    state, mine = held.state, held.state.members[client]
    if mine.present:
        joined = tuple(held.joined[member] for member in state.present if member in held.joined)
        reply = _reply(state, re, open_=state.open, epoch=state.epoch, members=tuple(state.members.values()))
        return msgspec.structs.replace(
            reply, epochs=held.epochs, joined=joined, sealed=held.sealed, admission=held.admission
        )
    reply = _reply(state, re, open_=False, epoch=mine.last_epoch, members=(mine,))
    return msgspec.structs.replace(reply, epochs=held.epochs)


def _reply(state: SessionState, re: int, *, open_: bool, epoch: int, members: tuple[RosterMember, ...]) -> SessionReply:
    return SessionReply(
        re=re,
        session=state.session,
        creator=state.creator,
        mode=state.mode,
        profile=state.profile,
        kind=state.kind,
        open=open_,
        created_at=state.created_at,
        ends_at=state.ends_at,
        epoch=epoch,
        members=tuple(row.shown() for row in members),
        epochs=(),
        joined=(),
        departures=(),
        sealed=None,
        admission=None,
    )


async def read_admission(context: NodeContext, session: SessionId, client: ClientId) -> Signed | None:
    """Return the admission of a member that has not joined yet, or None. Raises ``StoreUnavailable``."""
    held = await _read_held(context, session, client, 0, 0)
    return held.admission if held else None


async def _read_held(
    context: NodeContext, session: SessionId, client: ClientId, after: int, max_epochs: int
) -> HeldForMember | None:
    touched = [keys.session(session), keys.roster(session), keys.epochs(session), keys.sealed(session)]
    reply = await context.store.run(_SHOW, touched, [client, after, max_epochs, EPOCHS_BYTES])
    if reply is None:
        return None
    fields, roster, epochs, sealed, admission, joined, left = items(reply)
    state = parse_state(session, fields, roster, await context.store.now_ms())
    return HeldForMember(
        state=state,
        epochs=tuple(signed(epoch) for epoch in items(epochs)),
        sealed=data(sealed) or None,
        admission=signed(admission) if admission and state.open else None,
        joined=_statements(joined),
        left={ClientId(text(client)): data(said) for client, said in pairs(left)},
    )


def _statements(cells: object) -> dict[ClientId, Signed]:
    return {ClientId(text(member)): signed(said) for member, said in pairs(cells)}


async def list_sessions(context: NodeContext, caller: Caller, request: ListSessions) -> SessionsReply:
    """Return the sessions that the caller is a member of, in the order of their ids, MAX_SESSIONS_LISTED in a page.

    Raises ``StoreUnavailable``.
    """
    index = sorted(await read_session_index(context, caller.client))
    behind = [session for session in index if session > (request.after or "")]
    found: list[SessionState] = []
    for start in range(0, len(behind), READ_TOGETHER):
        if len(found) > MAX_SESSIONS_LISTED:
            break
        found += await _read_present(context, caller, behind[start : start + READ_TOGETHER])
    page = tuple(_summary(state) for state in found[:MAX_SESSIONS_LISTED])
    return SessionsReply(re=request.id, sessions=page, more=len(found) > len(page))


async def _read_present(context: NodeContext, caller: Caller, sessions: Sequence[SessionId]) -> list[SessionState]:
    """Return those sessions that the caller is a member of; it pays for all."""
    context.charge(caller.payer, LISTED * len(sessions))
    states = await together(*(read_state(context, session) for session in sessions))
    return [state for state in states if state is not None and caller.client in state.present]


async def read_session_index(context: NodeContext, client: ClientId) -> list[SessionId]:
    """Return the sessions that a device was held for, the one that ends last first. Raises ``StoreUnavailable``."""
    index = items(await context.store.run(_SESSION_INDEX, [keys.session_index(client)]))
    return [SessionId(text(name)) for name in index]


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
