"""The decision on the invites of one request, by the facts of the devices concerned. Pure functions."""

from collections.abc import Mapping, Sequence

from muster_hub.sessions.state import SessionState
from muster_protocol.decision import Call, Party, decide
from muster_protocol.exchange import Invite
from muster_protocol.frames import MAX_MEMBERS
from muster_protocol.ids import ClientId, TimeMs
from muster_protocol.reasons import Reason


def members_to_trust(state: SessionState, target: ClientId, targets: Sequence[ClientId]) -> tuple[ClientId, ...]:
    """Return the members, besides the creator and the other targets, that a target must trust."""
    return state.must_trust(target, [client for client in state.present if client not in targets])


def refusals(
    state: SessionState, invites: Sequence[Invite], parties: Mapping[ClientId, Party], now: TimeMs
) -> dict[int, Reason]:
    """Decide each invite; return the reason of each that is refused, by its position.

    ``now`` is the hub's clock, for the times of grants.
    """
    targets = tuple(invite.recipient for invite in invites)
    room = MAX_MEMBERS - len([client for client in state.present if client not in targets])
    if room < 1:
        return dict.fromkeys(range(len(targets)), Reason.SESSION_FULL)
    reasons = [decide(_call(state, invite, targets, room), parties, now).reason for invite in invites]
    return {position: reason for position, reason in enumerate(reasons) if reason is not None}


def _call(state: SessionState, invite: Invite, targets: tuple[ClientId, ...], room: int) -> Call:
    return Call(
        creator=state.creator,
        target=invite.recipient,
        targets=targets,
        members=members_to_trust(state, invite.recipient, targets),
        kind=state.kind,
        mode=state.mode,
        profile=state.profile,
        purpose=invite.purpose,
        room=room,
    )
