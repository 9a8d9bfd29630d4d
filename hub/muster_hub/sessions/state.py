"""A session as the store has it: what it is, who is in it, which invites are live."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from muster_hub.context import NodeContext
from muster_hub.store import keys
from muster_hub.store.cells import data, items, number, pairs, text, unpack
from muster_hub.store.rows import ROWS_CACHED
from muster_hub.store.scripts import script
from muster_protocol.cards import Mode
from muster_protocol.frames import Member, MemberState, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, Hash, InviteId, Seed, SessionId, TimeMs
from muster_protocol.reasons import Reason

_STATE = script("session_state")
_MODES = {mode.encode(): mode for mode in Mode}
_KINDS = {kind.encode(): kind for kind in SessionKind}


class RosterMember(Struct, frozen=True):
    """One row of the roster. ``invite`` is None for the creator; ``order`` is the epoch in which it came in."""

    client: ClientId
    state: MemberState
    fingerprint: Fingerprint
    since: TimeMs
    reason: Reason | None
    invite: InviteId | None
    order: int

    @property
    def present(self) -> bool:
        """Tell whether it is a member now, seated or joined."""
        return self.state is not MemberState.OUT

    def shown(self) -> Member:
        """Give what the wire shows of it."""
        return Member(self.client, self.state, self.since, self.reason)


class LiveInvite(Struct, frozen=True):
    """An invite that has led to nothing yet."""

    invite: InviteId
    answered: bool
    expires_at: TimeMs


class SessionState(Struct, frozen=True):
    """A session at one moment: ``members`` has all who ever were, most senior first; ``live`` who was asked for."""

    session: SessionId
    creator: ClientId
    seed: Seed
    mode: Mode
    profile: str | None
    kind: SessionKind
    open: bool
    created_at: TimeMs
    ends_at: TimeMs
    epoch: int
    epoch_hash: Hash
    members: Mapping[ClientId, RosterMember]
    live: Mapping[ClientId, LiveInvite]

    @property
    def present(self) -> tuple[ClientId, ...]:
        """The members now, most senior first."""
        return tuple(client for client, row in self.members.items() if row.present)


async def read_state(context: NodeContext, session: SessionId, clients: Sequence[ClientId] = ()) -> SessionState | None:
    """Read a session, with the live invites of these clients; None when there is none. Raises ``StoreUnavailable``."""
    touched = [keys.session(session), keys.roster(session), keys.invite_outcomes(session)]
    reply = await context.store.run(_STATE, touched, clients)
    if reply is None:
        return None
    fields, members, live = items(reply)
    creator, seed, mode, profile, kind, is_open, created, ends, epoch, epoch_hash = items(fields)
    ends_at = TimeMs(number(ends))
    return SessionState(
        session=session,
        creator=ClientId(text(creator)),
        seed=Seed(data(seed)),
        mode=_MODES[data(mode)],
        profile=text(profile) or None,
        kind=_KINDS[data(kind)],
        open=is_open == b"1" and ends_at > await context.store.now_ms(),
        created_at=TimeMs(number(created)),
        ends_at=ends_at,
        epoch=number(epoch),
        epoch_hash=Hash(data(epoch_hash)),
        members=read_members(members),
        live={client: _live(data(row)) for client, row in zip(clients, items(live), strict=True) if row},
    )


def read_members(roster: object) -> dict[ClientId, RosterMember]:
    """Read a roster as the scripts return it: most senior first."""
    seated = [_seated(data(client), data(row)) for client, row in pairs(roster)]
    return {row.client: row for row in sorted(seated, key=lambda row: (row.order, row.client))}


@lru_cache(maxsize=ROWS_CACHED)
def _seated(client: bytes, packed: bytes) -> RosterMember:
    state, fingerprint, since, reason, invite, order, _ = unpack(packed)
    return RosterMember(
        client=ClientId(client.decode()),
        state=MemberState(text(state)),
        fingerprint=Fingerprint(data(fingerprint)),
        since=TimeMs(number(since)),
        reason=Reason(text(reason)) if reason else None,
        invite=InviteId(data(invite)) if invite else None,
        order=number(order),
    )


def _live(packed: bytes) -> LiveInvite:
    invite, state, expires, *_ = unpack(packed)
    return LiveInvite(InviteId(data(invite)), state == b"answered", TimeMs(number(expires)))
