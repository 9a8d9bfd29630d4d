"""Calling devices in: each invite judged alone, all results in one reply (SPEC.md section 7).

The hub reads an invite and verifies no signature on it: the device that it is for does. What the hub decides by are its
own facts, and the fields must agree with the session that the caller made.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from muster_hub.audit.records import record_refusals
from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.delivery import inbox
from muster_hub.presence.registry import check_current
from muster_hub.routing.caller import Caller
from muster_hub.sessions.facts import DeviceFacts, is_online, read_facts
from muster_hub.sessions.holds import settle_left_behind
from muster_hub.sessions.state import SessionState, read_state
from muster_hub.store import keys
from muster_hub.store.cells import items, text
from muster_hub.store.scripts import script
from muster_hub.store.steps import change, reason_of
from muster_protocol.decision import Call, decide
from muster_protocol.errors import Refused
from muster_protocol.exchange import MAX_INVITE_MS, Invite
from muster_protocol.frames import (
    MAX_MEMBERS,
    CancelInvite,
    InviteResult,
    InviteResults,
    Ok,
    SendInvites,
    SessionKind,
)
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read

_LIVE = script("invite_live")
_CANCEL = script("invite_cancel")


class _Invite(Struct, frozen=True):
    """An invite as it came, and what it says."""

    signed: Signed
    body: Invite

    @property
    def target(self) -> ClientId:
        return self.body.recipient


async def send_invites(context: NodeContext, caller: Caller, request: SendInvites) -> InviteResults:
    """Deliver each invite that the hub's facts allow, and answer with one result for each, in the order sent.

    Four round trips to the store whatever their number: session, facts, live, inboxes. Raises ``Refused`` for what
    is wrong with all: ``empty_targets``, ``malformed``, ``mismatch``, ``not_a_member``, ``session_closed``,
    ``superseded``.
    """
    invites = [_read(caller, request.session, signed) for signed in request.invites]
    if not invites:
        raise Refused(Reason.EMPTY_TARGETS)
    targets = tuple(dict.fromkeys(invite.target for invite in invites))
    state = await open_session(context, request.session, caller.client)
    for invite in invites:
        _check(invite.body, state)
    facts = await _read_facts(context, caller, state, targets)
    refused = _Batch(context, state, invites, facts).refused()
    good = [invite for position, invite in enumerate(invites) if position not in refused]
    outcome = await _deliver(context, state, good)
    results = tuple(
        InviteResult(invite.target, refused[position] if position in refused else outcome[invite.target])
        for position, invite in enumerate(invites)
    )
    named = [(result.client, result.reason) for result in results if result.reason is not None]
    if named and facts[caller.client].acquainted:
        await record_refusals(context, caller.client, state.session, named)
    return InviteResults(re=request.id, results=results)


async def open_session(context: NodeContext, session: SessionId, creator: ClientId) -> SessionState:
    """Read a session that this device created and that is open; raises ``not_a_member`` or ``session_closed``."""
    state = await read_state(context, session)
    if state is None or state.creator != creator:
        raise Refused(Reason.NOT_A_MEMBER, "not the creator of such a session")
    if not state.open:
        raise Refused(Reason.SESSION_CLOSED)
    return state


def _read(caller: Caller, session: SessionId, signed: Signed) -> _Invite:
    body = read(signed, Invite)
    named = (body.sender, body.sender_key, signed.signer, body.session)
    if named != (caller.client, caller.fingerprint, caller.fingerprint, session):
        raise Refused(Reason.MISMATCH, "an invite of another device, key or session")
    return _Invite(signed, body)


def _check(invite: Invite, state: SessionState) -> None:
    said = (invite.kind, invite.mode, invite.profile, invite.seed)
    if said != (state.kind, state.mode, state.profile, state.seed):
        raise Refused(Reason.MISMATCH, "an invite to a session of another kind, mode, profile or seed")
    if not 0 < invite.expires_at - invite.at <= MAX_INVITE_MS:
        raise Refused(Reason.MALFORMED, "an invite lasts more than nothing and a day at most")


async def _read_facts(
    context: NodeContext, caller: Caller, state: SessionState, targets: tuple[ClientId, ...]
) -> dict[ClientId, DeviceFacts]:
    """Read the creator, the targets and, in a mesh, the members: each with what it says about the others."""
    others = _others(state, targets)
    asked = dict.fromkeys(targets, (caller.client, *others)) | dict.fromkeys(others, targets)
    asked[caller.client] = targets
    facts = await read_facts(context, asked)
    # A target that does not trust the caller is not looked at closer: its grants are none of the caller's business.
    mutual = [target for target in targets if caller.client in facts[target].pins]
    met = [pair for target in mutual for pair in ((facts[caller.client], target), (facts[target], caller.client))]
    if await settle_left_behind(context, met):
        return await _read_facts(context, caller, state, targets)
    if caller.connection not in facts[caller.client].connections:
        raise Refused(Reason.SUPERSEDED)
    return facts


def _others(state: SessionState, targets: Sequence[ClientId]) -> tuple[ClientId, ...]:
    """Give the members whom a newcomer must trust besides the creator."""
    if state.kind is SessionKind.STAR:
        return ()
    return tuple(client for client in state.present if client != state.creator and client not in targets)


class _Batch(Struct, frozen=True):
    """Invites that came together, and what they are judged over."""

    context: NodeContext
    state: SessionState
    invites: Sequence[_Invite]
    facts: Mapping[ClientId, DeviceFacts]

    def refused(self) -> dict[int, Reason]:
        """Decide each invite; returns the reason of every one that is refused, by its place."""
        targets = tuple(invite.target for invite in self.invites)
        room = MAX_MEMBERS - len([client for client in self.state.present if client not in targets])
        if room < 1:
            return dict.fromkeys(range(len(targets)), Reason.SESSION_FULL)
        parties = {client: each.party(online=is_online(self.context, each)) for client, each in self.facts.items()}
        now = self.context.clock.now_ms()
        reasons = [decide(self._call(invite.body, targets, room), parties, now).reason for invite in self.invites]
        return {position: reason for position, reason in enumerate(reasons) if reason is not None}

    def _call(self, invite: Invite, targets: tuple[ClientId, ...], room: int) -> Call:
        return Call(
            creator=self.state.creator,
            target=invite.recipient,
            targets=targets,
            members=_others(self.state, targets),
            kind=self.state.kind,
            mode=self.state.mode,
            profile=self.state.profile,
            purpose=invite.purpose,
            room=room,
        )


async def _deliver(context: NodeContext, state: SessionState, good: Sequence[_Invite]) -> dict[ClientId, Reason | None]:
    """Make invites live and let them wait for their devices; returns what stands in the way of each, or None."""
    if not good:
        return {}
    now = await context.store.now_ms()
    expires = [now + invite.body.expires_at - invite.body.at for invite in good]
    named = [word for invite, at in zip(good, expires, strict=True) for word in (invite.target, invite.body.invite, at)]
    words = await change(context.store, _LIVE, _slot(state.session), state.creator, *named)
    waits = [
        _put(context, state, invite, at, text(word))
        for invite, at, word in zip(good, expires, items(words), strict=True)
    ]
    return dict(zip((invite.target for invite in good), await together(*waits), strict=True))


async def _put(context: NodeContext, state: SessionState, invite: _Invite, expires_ms: int, word: str) -> Reason | None:
    if word != "ok":
        return reason_of(word)
    name = invite.body.invite
    try:
        await inbox.put_invite(context, invite.target, name, invite.signed, expires_ms)
    except Refused as refused:
        # What could not be delivered must not stay live.
        await change(context.store, _CANCEL, _slot(state.session), state.creator, invite.target, name)
        return refused.reason
    return None


async def cancel_invite(context: NodeContext, caller: Caller, request: CancelInvite) -> Ok:
    """Withdraw an invite, and tell its device. Raises ``Refused`` with how the invite ended if it ended otherwise."""
    await check_current(context.store, caller)
    word = await change(context.store, _CANCEL, _slot(request.session), caller.client, request.client, request.invite)
    if word != b"cancelled":
        raise Refused(reason_of(text(word)), "the invite ended before")
    await inbox.put_invite_end(context, request.client, request.session, request.invite, Reason.CANCELLED)
    return Ok(re=request.id)


def _slot(session: SessionId) -> list[bytes]:
    return [keys.session(session), keys.invite_outcomes(session)]
