"""The decision on a join: which parties it needs, and which newcomers their facts rule out. Pure functions."""

from collections.abc import Mapping

from muster_hub.routing.caller import Caller
from muster_hub.sessions.epochs import Newcomer, Proposal
from muster_hub.sessions.facts import DeviceFacts
from muster_hub.sessions.holds import HoldRequest
from muster_hub.sessions.state import SessionState
from muster_protocol.decision import Call, decide
from muster_protocol.frames import MAX_MEMBERS, InviteResult, Purpose
from muster_protocol.ids import ClientId, TimeMs
from muster_protocol.reasons import Reason


def parties_of(
    caller: Caller, state: SessionState, proposal: Proposal, purposes: Mapping[ClientId, Purpose]
) -> list[HoldRequest]:
    """Return what to hold: the caller, each newcomer, and each member that a newcomer must trust.

    ``purposes`` are those of the invites as they were sent; what the admissions say of it does not count.
    """
    newcomers, clients = proposal.newcomers, proposal.epoch.clients
    uses = {client: each.body.invite for client, each in newcomers.items() if purposes[client] is Purpose.AUTO}
    peers = {client: state.must_trust(client, clients) for client in newcomers}
    members = dict.fromkeys(peer for each in peers.values() for peer in each if peer not in newcomers)
    wanted = [HoldRequest(caller.client, tuple(newcomers), uses, caller.connection)]
    for client in newcomers:
        own_use = {state.creator: uses[client]} if client in uses else {}
        wanted.append(HoldRequest(client, (state.creator, *peers[client]), own_use))
    return wanted + [HoldRequest(client, tuple(newcomers), {}) for client in members]


def rejected(
    state: SessionState,
    proposal: Proposal,
    purposes: Mapping[ClientId, Purpose],
    held: Mapping[ClientId, DeviceFacts],
    now: TimeMs,
) -> tuple[InviteResult, ...]:
    """Decide each newcomer, beside the members and the newcomers before it that passed; return those refused.

    ``now`` is the hub's clock, for the times of grants.
    """
    members = tuple(proposal.kept)
    refused: list[InviteResult] = []
    for newcomer in proposal.newcomers.values():
        call = _call(state, proposal, newcomer, members, purposes[newcomer.client])
        reason = _decide(state, proposal, held, newcomer, call, now)
        if reason is None:
            members = (*members, newcomer.client)
        else:
            refused.append(InviteResult(newcomer.client, reason))
    return tuple(refused)


def _decide(  # noqa: PLR0917 - the decision's own inputs
    state: SessionState,
    proposal: Proposal,
    held: Mapping[ClientId, DeviceFacts],
    newcomer: Newcomer,
    call: Call,
    now: TimeMs,
) -> Reason | None:
    # Presence is not checked again: the answer showed it, and the admission waits for a device that has just left.
    invites = {state.creator: newcomer.body.invite, newcomer.client: newcomer.body.invite}
    parties = {
        client: facts.party(online=None, session=state.session, invites=invites) for client, facts in held.items()
    }
    reason = decide(call, parties, now).reason
    named = (state.creator, newcomer.client, *(call.members or ()))
    if reason is None and any(held[client].fingerprint != proposal.epoch.key_of(client) for client in named):
        return Reason.KEY_MISMATCH
    return reason or held[newcomer.client].not_held


def _call(
    state: SessionState, proposal: Proposal, newcomer: Newcomer, members: tuple[ClientId, ...], purpose: Purpose
) -> Call:
    return Call(
        creator=state.creator,
        target=newcomer.client,
        targets=tuple(proposal.newcomers),
        members=state.must_trust(newcomer.client, members),
        kind=state.kind,
        mode=state.mode,
        profile=state.profile,
        purpose=purpose,
        room=MAX_MEMBERS - len(proposal.kept),
    )
