"""What a device reads of sessions: one session, a list of them, and its session index (SPEC.md section 8)."""

import msgspec

from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.routing.caller import Caller
from muster_hub.sessions.state import SessionState, read_state, state_for_member
from muster_hub.store import keys
from muster_hub.store.adapter import Word
from muster_hub.store.cells import data, items, text
from muster_hub.store.scripts import script
from muster_protocol.frames import (
    MAX_EPOCHS_SHOWN,
    GetSession,
    ListSessions,
    SessionReply,
    SessionsReply,
    SessionSummary,
)
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.signed import Signed

MAX_SESSIONS_LISTED = 64
"""Sessions in one list, those that end last: as many as fit one message with all their members."""
EPOCHS_BYTES = 8 * 1024
"""Bytes of epochs in one reply, unless the first alone has more, so that the whole reply fits one message. The device
asks for the rest."""

_SHOW = script("session_show")
_SESSION_INDEX = script("session_index")

_read_signed = msgspec.msgpack.Decoder(Signed).decode


async def get_session(context: NodeContext, caller: Caller, request: GetSession) -> SessionReply:
    """Return a session to a current or former member.

    Epochs come oldest first, at most MAX_EPOCHS_SHOWN and EPOCHS_BYTES; ``epoch`` shows whether there are more. Raises
    ``Refused(not_a_member)`` for any other device, also where there is no such session; ``StoreUnavailable``.
    """
    state = await state_for_member(context, request.session, caller.client)
    touched = [keys.epochs(state.session), keys.sealed(state.session)]
    args: list[Word] = [caller.client, request.after, MAX_EPOCHS_SHOWN, EPOCHS_BYTES, *state.present]
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
        joined=tuple(_read_signed(data(statement)) for statement in items(joined) if statement),
        sealed=data(sealed) or None,
        admission=_read_signed(data(admission)) if admission else None,
    )


async def read_admission(context: NodeContext, session: SessionId, client: ClientId) -> Signed | None:
    """Return the admission of a member that has not joined yet, or None. Raises ``StoreUnavailable``."""
    touched = [keys.epochs(session), keys.sealed(session)]
    _, _, admission, _ = items(await context.store.run(_SHOW, touched, [client, 0, 0, 0]))
    return _read_signed(data(admission)) if admission else None


async def list_sessions(context: NodeContext, caller: Caller, request: ListSessions) -> SessionsReply:
    """Return the sessions that the caller is a member of, at most MAX_SESSIONS_LISTED. Raises ``StoreUnavailable``."""
    index = await read_session_index(context, caller.client)
    states = await together(*(read_state(context, session) for session in index))
    found = [state for state in states if state is not None and caller.client in state.present]
    return SessionsReply(re=request.id, sessions=tuple(_summary(state) for state in found[:MAX_SESSIONS_LISTED]))


async def read_session_index(context: NodeContext, client: ClientId) -> list[SessionId]:
    """Return the sessions that a device was held for, the one that ends last first. Raises ``StoreUnavailable``."""
    index = items(await context.store.run(_SESSION_INDEX, [keys.session_index(client)], [await context.store.now_ms()]))
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
