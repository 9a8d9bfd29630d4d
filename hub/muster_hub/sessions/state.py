"""The state of a session in the store: its properties and its roster."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from msgspec import Struct

from muster_hub.context import NodeContext
from muster_hub.store import keys
from muster_hub.store.cells import data, items, number, pairs, text
from muster_hub.store.rows import ROWS_CACHED, MemberRow, read
from muster_hub.store.scripts import script
from muster_protocol.cards import Mode
from muster_protocol.decision import must_trust_each_other
from muster_protocol.frames import Member, MemberState, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, Hash, InviteId, Seed, SessionId, TimeMs
from muster_protocol.reasons import Reason

_STATE = script("session_state")
_MODES = {mode.encode(): mode for mode in Mode}
_KINDS = {kind.encode(): kind for kind in SessionKind}


class RosterMember(Struct, frozen=True):
    """One row of the roster. ``invite`` is None for the creator.

    ``last_epoch`` is the session's newest epoch when a former member went out, and 0 for a member.
    """

    client: ClientId
    state: MemberState
    fingerprint: Fingerprint
    since: TimeMs
    reason: Reason | None
    invite: InviteId | None
    last_epoch: int

    @property
    def present(self) -> bool:
        """Whether the device is a member now, seated or joined."""
        return self.state is not MemberState.OUT

    def shown(self) -> Member:
        """Return the member as the wire shows it."""
        return Member(self.client, self.state, self.since, self.reason)


class SessionState(Struct, frozen=True):
    """A session at one moment. ``members`` are all current and former members, the creator first."""

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

    @property
    def present(self) -> tuple[ClientId, ...]:
        """The current members, the creator first."""
        return tuple(client for client, row in self.members.items() if row.present)

    def must_trust(self, newcomer: ClientId, members: Iterable[ClientId]) -> tuple[ClientId, ...]:
        """Return those of the members, besides the creator, that a newcomer must trust and that must trust it."""
        others = [client for client in members if client not in {self.creator, newcomer}]
        return tuple(client for client in others if must_trust_each_other(self.kind, self.creator, newcomer, client))


async def read_state(context: NodeContext, session: SessionId) -> SessionState | None:
    """Return a session, or None if there is no such session. Raises ``StoreUnavailable``."""
    reply = await context.store.run(_STATE, [keys.session(session), keys.roster(session)])
    if reply is None:
        return None
    fields, members = items(reply)
    return parse_state(session, fields, members, await context.store.now_ms())


def parse_state(session: SessionId, fields: object, roster: object, now_ms: int) -> SessionState:
    """Return the session in the reply of the script ``session_state`` or ``session_show``."""
    creator, seed, mode, profile, kind, is_open, created, ends, epoch, epoch_hash = items(fields)
    ends_at = TimeMs(number(ends))
    return SessionState(
        session=session,
        creator=ClientId(text(creator)),
        seed=Seed(data(seed)),
        mode=_MODES[data(mode)],
        profile=text(profile) or None,
        kind=_KINDS[data(kind)],
        open=is_open == b"1" and ends_at > now_ms,
        created_at=TimeMs(number(created)),
        ends_at=ends_at,
        epoch=number(epoch),
        epoch_hash=Hash(data(epoch_hash)),
        members=read_members(roster),
    )


def read_members(roster: object) -> dict[ClientId, RosterMember]:
    """Return the members in a roster as the scripts return it: the creator first, then by ClientId."""
    found = [_member(data(client), data(row)) for client, row in pairs(roster)]
    return {row.client: row for row in sorted(found, key=lambda row: (row.invite is not None, row.client))}


@lru_cache(maxsize=ROWS_CACHED)
def _member(client: bytes, packed: bytes) -> RosterMember:
    row = read(packed, MemberRow)
    return RosterMember(
        client=ClientId(client.decode()),
        state=row.state,
        fingerprint=row.fingerprint,
        since=row.since_ms,
        reason=Reason(row.reason) if row.reason else None,
        invite=InviteId(row.invite) if row.invite else None,
        last_epoch=row.last_epoch,
    )
