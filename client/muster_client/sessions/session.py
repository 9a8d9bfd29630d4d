"""A session as an application sees it, created by this device or by another one (SPEC.md section 8)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from muster_client.errors import UnknownSession
from muster_client.events import (
    Broadcast,
    MembersChanged,
    MemberView,
    SessionEnded,
    SessionJoined,
    SessionUpdate,
    Stream,
    Target,
    TargetChanged,
)
from muster_client.sessions.context import SessionContext
from muster_client.views import SessionView
from muster_protocol.cards import Mode
from muster_protocol.epochs import KnownEpoch
from muster_protocol.export import export_key
from muster_protocol.frames import MemberState, Purpose, SessionKind
from muster_protocol.ids import ClientId, SessionId, TimeMs
from muster_protocol.inviting import Inviting
from muster_protocol.joining import Joining
from muster_protocol.reasons import Reason, Sayer


class Session(ABC):
    """A session whose key this process holds. Its properties change over time; ``updates`` reports each change."""

    _machine: Inviting | Joining
    """Holds the epoch and its key: the creator's side of the four messages, or a member's."""

    def __init__(
        self,
        context: SessionContext,
        *,
        session: SessionId,
        creator: ClientId,
        mode: Mode,
        profile: str | None,
        kind: SessionKind,
        created_at: TimeMs | None,
        ends_at: TimeMs,
    ) -> None:
        self._context = context
        self.id = session
        self.creator = creator
        self.mode = mode
        self.profile = profile
        self.kind = kind
        self.created_at = created_at
        """By the creator's clock; None in a session of another device, since only the hub says it."""
        self.ends_at = ends_at
        """When this device ends the session by its own clock. The hub may end one of another device sooner."""
        self._left: dict[ClientId, Reason | None] = {}
        self._denied: dict[ClientId, Reason | None] = {}
        self._shown: tuple[MemberView, ...] = ()
        self._ended: SessionEnded | None = None
        self._updates: Broadcast[SessionUpdate] = Broadcast()

    # -- state -------------------------------------------------------------------------------------------------------

    @property
    def _known(self) -> KnownEpoch:
        """The newest epoch that this device accepted."""
        return self._machine.epoch

    @abstractmethod
    def _has_joined(self, member: ClientId) -> bool:
        """Return whether a member of this epoch joined, by its own verified statement."""

    def _blocks(self, member: ClientId) -> Reason | None:  # noqa: ARG002
        """Return the reason for which the hub commits no epoch with a member that this device, the creator, keeps."""
        return None

    @property
    def epoch(self) -> int:
        """The number of the newest epoch that this device accepted."""
        return self._known.epoch.number

    @property
    def members(self) -> tuple[MemberView, ...]:
        """The members of that epoch, the creator first. Those that left since are marked as out."""
        clients = sorted(self._known.epoch.clients, key=lambda client: client != self.creator)
        return tuple(self._member(client) for client in clients)

    def _member(self, client: ClientId) -> MemberView:
        if client in self._left:
            return MemberView(client=client, state=MemberState.OUT, reason=self._left[client])
        mine = client in {self._context.device.client, self.creator}
        state = MemberState.JOINED if mine or self._has_joined(client) else MemberState.SEATED
        blocked = self._blocks(client)
        if blocked is None and client not in self._denied:
            return MemberView(client=client, state=state)
        reason = blocked or self._denied[client]
        return MemberView(client=client, state=state, reason=reason, denied=True, blocks=blocked is not None)

    @property
    def targets(self) -> Mapping[ClientId, Target]:
        """The devices that this one called, with the state of each; empty for a session of another device."""
        return {}

    @property
    def ended(self) -> SessionEnded | None:
        """How the session ended for this device, or None."""
        return self._ended

    def view(self) -> SessionView:
        """Return a snapshot of the session."""
        return SessionView(
            id=self.id,
            creator=self.creator,
            mode=self.mode,
            profile=self.profile,
            kind=self.kind,
            epoch=self.epoch,
            created_at=self.created_at,
            ends_at=self.ends_at,
            members=self.members,
            targets=tuple(self.targets.values()),
        )

    def export_key(self, label: str, length: int = 32) -> bytes:
        """Derive a key of 16 to 64 bytes from this epoch's key, for one use of the application.

        All members of the epoch derive the same key; each epoch has another (SPEC.md section 7.6). Raises ``Refused``:
        ``malformed`` for another length, or a label that has not 1 to 64 characters; ``not_a_member`` or
        ``session_closed`` where this device does not hold the epoch's key.
        """
        return export_key(self._machine.epoch_key, self._known.hash, label, length)

    # -- calls and members -------------------------------------------------------------------------------------------

    def updates(self) -> Stream[SessionUpdate]:
        """Return a stream of the events from now on, until the session ends."""
        return self._updates.listen()

    async def wait(self) -> tuple[Target, ...]:
        """Wait until every target joined or refused, or the session ended."""
        updates = self.updates()
        while self._ended is None and not all(target.state.final for target in self.targets.values()):
            if await anext(updates, None) is None:
                break
        return tuple(self.targets.values())

    async def invite(self, targets: Sequence[ClientId], *, purpose: Purpose = Purpose.AUTO) -> None:  # noqa: ARG002
        """Call more devices; only the creator may. Raises ``UnknownSession``."""
        raise UnknownSession(self.id)

    async def cancel(self) -> None:
        """Withdraw the invites that are open."""
        return

    @abstractmethod
    async def leave(self) -> None:
        """Leave. When its creator leaves, the session is closed: only the creator can admit and remove members."""

    async def close(self) -> None:
        """End the session; only its creator may. Raises ``UnknownSession``."""
        raise UnknownSession(self.id)

    # -- events -------------------------------------------------------------------------------------------------------

    def _tell(self, update: SessionJoined | TargetChanged | MembersChanged | SessionEnded) -> None:
        self._updates.tell(update)
        self._context.tell(update)

    def _tell_joined(self) -> None:
        self._tell(SessionJoined(session=self.id, creator=self.creator, mode=self.mode, profile=self.profile))

    def _tell_members(self) -> None:
        """Report the members if any changed since the last report."""
        members = self.members
        if members != self._shown:
            self._shown = members
            self._tell(MembersChanged(session=self.id, epoch=self.epoch, members=members))

    def _went_out(self, member: ClientId, reason: Reason | None) -> None:
        """Show that a member went, by its own word."""
        if self._known.epoch.key_of(member) is not None:
            self._left[member] = reason
            self._tell_members()

    def _heard_of(self, member: ClientId, state: MemberState, reason: Reason | None) -> None:
        """Show the hub's word on a member as the hub's."""
        if state is not MemberState.OUT:
            self._denied.pop(member, None)
        elif self._known.epoch.key_of(member) is not None:
            self._denied[member] = reason
        self._tell_members()

    def end(self, reason: Reason | None, sayer: Sayer) -> None:
        """End the session for this device; only the first end counts."""
        if self._ended is None:
            self._ended = SessionEnded(session=self.id, reason=reason, sayer=sayer)
            self._tell(self._ended)
            self._updates.end()
