"""Invites: each is decided by itself, and all results come in one reply (SPEC.md section 7).

The hub decodes an invite and does not verify its signature: the invited device does. The hub decides by its own facts,
and the invite's fields must agree with the session that the caller created.
"""

from collections.abc import Sequence

from msgspec import Struct

from muster_hub.audit.records import record_refusals
from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.delivery import inbox
from muster_hub.presence.registry import check_current
from muster_hub.routing.caller import Caller
from muster_hub.sessions.facts import DeviceFacts, is_online, read_facts
from muster_hub.sessions.holds import settle_stale_holds
from muster_hub.sessions.invite_decision import members_to_trust, refusals
from muster_hub.sessions.invite_ends import tell_ends
from muster_hub.sessions.state import SessionState, read_state
from muster_hub.store import keys
from muster_hub.store.adapter import Word
from muster_hub.store.cells import items, text
from muster_hub.store.rows import InviteEndRow
from muster_hub.store.scripts import script
from muster_hub.store.steps import change, reason_of
from muster_protocol.errors import Refused
from muster_protocol.exchange import MAX_INVITE_MS, Invite, hash_of
from muster_protocol.frames import (
    CancelInvite,
    InviteResult,
    InviteResults,
    Ok,
    SendInvites,
)
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read

_LIVE = script("invite_live")
_CANCEL = script("invite_cancel")


class _Invite(Struct, frozen=True):
    """An invite as received, and decoded."""

    signed: Signed
    body: Invite

    @property
    def target(self) -> ClientId:
        return self.body.recipient


async def send_invites(context: NodeContext, caller: Caller, request: SendInvites) -> InviteResults:
    """Deliver each invite that the hub's facts allow, and return one result for each, in the order sent.

    Four round trips to the store for any number of invites: session, facts, live, inboxes. Raises ``Refused`` for a
    fault of the whole request: ``empty_targets``, ``malformed``, ``mismatch``, ``not_a_member``, ``session_closed``,
    ``superseded``, ``overloaded`` (the caller takes something back meanwhile); ``StoreUnavailable``.
    """
    invites = [_read(caller, request.session, signed) for signed in request.invites]
    if not invites:
        raise Refused(Reason.EMPTY_TARGETS)
    targets = tuple(dict.fromkeys(invite.target for invite in invites))
    state = await open_session(context, request.session, caller.client)
    for invite in invites:
        _check(invite.body, state)
    facts = await _read_facts(context, caller, state, targets)
    parties = {client: each.party(online=is_online(context, each)) for client, each in facts.items()}
    refused = refusals(state, [invite.body for invite in invites], parties, context.clock.now_ms())
    good = [invite for position, invite in enumerate(invites) if position not in refused]
    outcome = await _deliver(context, state, facts[caller.client].ver, good)
    results = tuple(
        InviteResult(invite.target, refused[position] if position in refused else outcome[invite.target])
        for position, invite in enumerate(invites)
    )
    named = [(result.client, result.reason) for result in results if result.reason is not None]
    if named and facts[caller.client].acquainted:
        await record_refusals(context, caller.client, state.session, named)
    return InviteResults(re=request.id, results=results)


async def open_session(context: NodeContext, session: SessionId, creator: ClientId) -> SessionState:
    """Return a session that this device created, is a member of, and that is open.

    Raises ``Refused``: ``not_a_member``, ``session_closed``; ``StoreUnavailable``.
    """
    state = await read_state(context, session)
    if state is None or state.creator != creator or creator not in state.present:
        raise Refused(Reason.NOT_A_MEMBER, "there is no such session of this creator")
    if not state.open:
        raise Refused(Reason.SESSION_CLOSED)
    return state


def _read(caller: Caller, session: SessionId, signed: Signed) -> _Invite:
    body = read(signed, Invite)
    named = (body.sender, body.sender_key, signed.signer, body.session)
    if named != (caller.client, caller.fingerprint, caller.fingerprint, session):
        raise Refused(Reason.MISMATCH, "the invite is of another device, key or session")
    return _Invite(signed, body)


def _check(invite: Invite, state: SessionState) -> None:
    named = (invite.kind, invite.mode, invite.profile, invite.seed)
    if named != (state.kind, state.mode, state.profile, state.seed):
        raise Refused(Reason.MISMATCH, "the invite is to a session of another kind, mode, profile or seed")
    if not 0 < invite.expires_at - invite.at <= MAX_INVITE_MS:
        raise Refused(Reason.MALFORMED, "an invite must last between 1 ms and a day")


async def _read_facts(
    context: NodeContext, caller: Caller, state: SessionState, targets: tuple[ClientId, ...]
) -> dict[ClientId, DeviceFacts]:
    """Read the creator, the targets and the members that they must trust: each with its statements about the others."""
    peers = {target: members_to_trust(state, target, targets) for target in targets}
    asked = {target: (caller.client, *others) for target, others in peers.items()}
    asked |= dict.fromkeys((other for others in peers.values() for other in others), targets)
    asked[caller.client] = targets
    facts = await read_facts(context, asked)
    # Holds of a target that does not trust the caller's current key stay: the time to settle them would show that it
    # has grants.
    mutual = [target for target in targets if facts[target].pins.get(caller.client) == caller.fingerprint]
    grants = [pair for target in mutual for pair in ((facts[caller.client], target), (facts[target], caller.client))]
    if await settle_stale_holds(context, grants):
        return await _read_facts(context, caller, state, targets)
    if caller.connection not in facts[caller.client].connections:
        raise Refused(Reason.SUPERSEDED)
    return facts


async def _deliver(
    context: NodeContext, state: SessionState, ver: int, good: Sequence[_Invite]
) -> dict[ClientId, Reason | None]:
    """Make invites live and put them into their devices' inboxes; return the reason against each, or None.

    ``ver`` is the creator's in the facts by which they were decided.
    """
    if not good:
        return {}
    now = await context.store.now_ms()
    expires = [now + invite.body.expires_at - invite.body.at for invite in good]
    named = [word for invite, at in zip(good, expires, strict=True) for word in _live(invite, at)]
    touched = [*_slot(state.session), keys.minimum_versions(state.session)]
    words = await change(context.store, _LIVE, touched, state.creator, ver, *named)
    waits = [
        _put(context, state, invite, at, text(word))
        for invite, at, word in zip(good, expires, items(words), strict=True)
    ]
    return dict(zip((invite.target for invite in good), await together(*waits), strict=True))


def _live(invite: _Invite, expires_ms: int) -> tuple[Word, ...]:
    body = invite.body
    return invite.target, body.invite, expires_ms, hash_of(Kind.INVITE, invite.signed), body.purpose


async def _put(context: NodeContext, state: SessionState, invite: _Invite, expires_ms: int, word: str) -> Reason | None:
    if word != "ok":
        return reason_of(word)
    try:
        await inbox.put_invite(context, invite.body, invite.signed, expires_ms)
    except Refused as refused:
        # An invite that could not be delivered must not stay live.
        body = invite.body
        end = InviteEndRow(state.session, body.recipient, body.invite, body.sender, body.sender_key, Reason.CANCELLED)
        await _cancel(context, end, told=False)
        return refused.reason
    return None


async def cancel_invite(context: NodeContext, caller: Caller, request: CancelInvite) -> Ok:
    """Withdraw an invite and tell its device, once.

    Raises ``Refused``: ``not_a_member`` (another device created the session), ``mismatch`` (no such invite to that
    client), or the reason why the invite ended, if it had ended before; ``StoreUnavailable``.
    """
    await check_current(context.store, caller)
    end = InviteEndRow(
        request.session, request.client, request.invite, caller.client, caller.fingerprint, Reason.CANCELLED
    )
    word = await _cancel(context, end, told=True)
    if word == "done":
        await tell_ends(context, [end])
    elif word != "cancelled":
        raise Refused(reason_of(word), "the invite had ended before")
    return Ok(re=request.id)


async def _cancel(context: NodeContext, end: InviteEndRow, *, told: bool) -> str:
    touched = [*_slot(end.session), keys.outbox(keys.bucket(end.session))]
    args = (end.session, end.creator, end.creator_key, end.client, end.invite, int(told))
    return text(await change(context.store, _CANCEL, touched, *args))


def _slot(session: SessionId) -> list[bytes]:
    return [keys.session(session), keys.invite_outcomes(session)]
