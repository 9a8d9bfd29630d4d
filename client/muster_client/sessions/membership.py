"""The sessions of one process, and the dispatch of messages to them."""

from collections.abc import Callable
from contextlib import suppress

import structlog

from muster_client.connection.connection import HubConnection
from muster_client.connection.session_list import list_sessions
from muster_client.errors import HubRefused, NoReply, Obstacle
from muster_client.events import SessionEnded
from muster_client.sessions.answering import Answering
from muster_client.sessions.context import SessionContext
from muster_client.sessions.hosted import HostedSession
from muster_client.sessions.joined import DISHONEST, AttendedSession
from muster_client.sessions.session import Session
from muster_protocol.epochs import MAX_EPOCH
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission, Answer, Joined, Leave
from muster_protocol.frames import (
    CloseSession,
    EpochPush,
    GetSession,
    Ok,
    ResumeSession,
    SessionReply,
    SessionSummary,
    SessionUpdatePush,
)
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.keys import PublicKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Signed, read, verify

MAX_ROUNDS = 8
"""Pages of epochs read to resync one session."""
CHANGED = "changed"
"""The hub's word for a session of which a push may have been lost."""

_log = structlog.get_logger("muster.session")


class Membership:
    """Every session whose key this process holds."""

    def __init__(self, context: SessionContext, answering: Answering, on_session: Callable[[Session], None]) -> None:
        self._context = context
        self._answering = answering
        self._on_session = on_session
        self._sessions: dict[SessionId, HostedSession | AttendedSession] = {}

    def sessions(self) -> tuple[Session, ...]:
        """Return the sessions that have not ended for this device."""
        self._forget_ended()
        return tuple(self._sessions.values())

    def add(self, session: HostedSession | AttendedSession) -> None:
        """Add a session."""
        self._forget_ended()
        self._sessions[session.id] = session

    def _forget_ended(self) -> None:
        self._sessions = {name: one for name, one in self._sessions.items() if one.ended is None}

    def end_in_time(self) -> None:
        """End the sessions of other devices that are older than any can be, and destroy the keys of all that ended."""
        attended = [session for session in self._sessions.values() if isinstance(session, AttendedSession)]
        for session in attended:
            session.end_in_time()
        self._answering.forget_ended({session.admitted_by for session in attended if session.ended is None})
        self._forget_ended()

    def end(self) -> None:
        """End every session for its readers; at the hub the sessions go on."""
        for session in self._sessions.values():
            session.end(None, Sayer.DEVICE)

    def hosted(self, session: SessionId) -> HostedSession | None:
        """Return an open session that this device created, or None."""
        found = self._sessions.get(session)
        return found if isinstance(found, HostedSession) and found.ended is None else None

    def attended(self, session: SessionId) -> AttendedSession | None:
        """Return an open session of another device, or None."""
        found = self._sessions.get(session)
        return found if isinstance(found, AttendedSession) and found.ended is None else None

    # -- resync ------------------------------------------------------------------------------------------------------

    async def on_welcome(self, connection: HubConnection) -> None:
        """Say each leave that is due, then resync every session that this process or the hub knows."""
        await self.say_leaves()
        self._forget_ended()
        try:
            listed = {one.session: one for one in await list_sessions(connection)}
        except HubRefused as refused:
            # Sessions wait for the next connect; invites into new ones do not.
            _log.warning("sessions_not_listed", reason=refused.reason)
            return
        for session in list(self._sessions.values()):
            await self._catch_up(connection, session)
        for name, summary in listed.items():
            if name not in self._sessions and name not in self._context.leaves and summary.open:
                await self._on_unheld(connection, summary)
        self._forget_ended()

    async def _catch_up(self, connection: HubConnection, session: HostedSession | AttendedSession) -> None:
        await self._read_missed(connection, session)
        if isinstance(session, AttendedSession) and session.ended is None and not session.holds_key:
            # It followed epochs and did not reach a key: it is as a new process, which the creator admits again.
            await session.resume()
            session.end(Reason.CANNOT_OPEN, Sayer.DEVICE)

    async def _read_missed(self, connection: HubConnection, session: HostedSession | AttendedSession) -> None:
        for _ in range(MAX_ROUNDS):
            before = session.epoch
            try:
                reply = await connection.ask(GetSession(id=0, session=session.id, after=before), SessionReply)
            except HubRefused as refused:
                if refused.reason in {Reason.NOT_A_MEMBER, Reason.SESSION_CLOSED}:
                    session.end(refused.reason, Sayer.HUB)
                return
            if await self._took_admission(reply):
                continue
            await self._take_reply(session, reply)
            if session.ended is not None or session.epoch >= reply.epoch or session.epoch == before:
                return

    async def _take_reply(self, session: HostedSession | AttendedSession, reply: SessionReply) -> None:
        if isinstance(session, HostedSession):
            session.on_reply(reply)
            return
        try:
            await session.on_reply(reply)
        except Refused as refused:
            await self._on_bad_epoch(session, refused.reason)

    async def _took_admission(self, reply: SessionReply) -> bool:
        """Join by the admission in a reply, if its push was lost; return whether it opened. Raises ``NoReply``."""
        if not reply.open or reply.admission is None:
            return False
        try:
            named = read(reply.admission, Admission).session
        except Refused:
            return False
        return named == reply.session and await self.on_admission(reply.admission)

    async def _read_admission(self, connection: HubConnection, session: SessionId) -> bool:
        """Ask for the admission to a session that this process does not hold; return whether one opened."""
        try:
            reply = await connection.ask(GetSession(id=0, session=session, after=MAX_EPOCH), SessionReply)
        except HubRefused as refused:
            _log.info("session_not_read", session=session[:8], reason=refused.reason)
            return False
        return await self._took_admission(reply)

    async def _on_unheld(self, connection: HubConnection, summary: SessionSummary) -> None:
        """Join a session whose admission waits; close or resume one of an earlier process, with which its key ended."""
        mine = summary.creator == self._context.device.client
        if not mine and await self._read_admission(connection, summary.session):
            return
        # Without its creator's key no member can be admitted or removed any more.
        request = (CloseSession if mine else ResumeSession)(id=0, session=summary.session)
        try:
            await connection.ask(request, Ok)
        except HubRefused as refused:
            _log.info("session_not_resumed", session=summary.session[:8], reason=refused.reason)

    # -- messages -----------------------------------------------------------------------------------------------------

    def on_answer(self, signed: Signed) -> None:
        """Pass an answer to its session; raises ``Refused(malformed)``."""
        session = self.hosted(read(signed, Answer).session)
        if session is not None:
            session.on_answer(signed)

    async def on_admission(self, signed: Signed) -> bool:
        """Join a session, or join it again; return whether the admission opened. Raises ``NoReply``."""
        try:
            machine = await self._answering.on_admission(signed)
        except Refused as refused:
            await self._on_fork(read(signed, Admission).session, refused.reason)
            return False
        if machine is None:
            return False
        held = self.attended(machine.received.invite.session)
        session = held or AttendedSession(self._context, machine)
        self.add(session)
        self._context.leaves.drop(session.id)
        try:
            await session.enter(machine)
        except Refused as refused:
            await self._on_bad_epoch(session, refused.reason)
            return True
        if held is None:
            self._on_session(session)
        return True

    async def _on_fork(self, name: SessionId, reason: Reason) -> None:
        """Leave a session whose creator signed two epochs of one number, and show it."""
        session = self.attended(name)
        if session is None:
            self._context.tell(SessionEnded(session=name, reason=reason, sayer=Sayer.DEVICE))
        else:
            await self._on_bad_epoch(session, reason)

    async def on_epoch(self, connection: HubConnection, push: EpochPush) -> None:
        """Move a session on to the next epoch, after a resync if epochs in between were missed."""
        session = self.attended(push.session)
        if session is None:
            return
        try:
            await session.on_epoch(push)
        except Refused as refused:
            if refused.reason is Reason.MISMATCH:
                await self._catch_up(connection, session)
            else:
                await self._on_bad_epoch(session, refused.reason)

    async def _on_bad_epoch(self, session: AttendedSession, reason: Reason) -> None:
        _log.info("epoch_refused", session=session.id[:8], reason=reason)
        if reason is Reason.CANNOT_OPEN:
            await session.resume()
        elif reason in DISHONEST:
            await self._leave(session)
            session.end(reason, Sayer.DEVICE)

    async def leave_untrusted(self) -> None:
        """Leave each session with a member that this device's own pins speak against now.

        The hub takes this device out for an ``untrust``, and not for a ``trust`` under another key. Raises
        ``DataNotWritten``.
        """
        attended = [one for one in self._sessions.values() if isinstance(one, AttendedSession) and one.ended is None]
        pins = self._context.device.peers.pins() if attended else {}
        for session in attended:
            try:
                session.check_pins(pins)
            except Refused as refused:
                await self._on_bad_epoch(session, refused.reason)

    async def say_leaves(self) -> None:
        """Say again each leave that the hub may not have taken."""
        for name in self._context.leaves:
            try:
                await self._context.leaves.say_again(name)
            except (NoReply, HubRefused) as error:
                _log.info("leave_not_told", session=name[:8], cause=str(error))
                return
            session = self.attended(name)
            if session is not None:
                session.end(None, Sayer.DEVICE)

    async def _leave(self, session: AttendedSession) -> None:
        try:
            await session.tell_leave()
        except (NoReply, HubRefused) as error:
            _log.info("leave_not_told", session=session.id[:8], cause=str(error))

    async def on_joined(self, signed: Signed) -> None:
        """Apply a member's ``joined``; raises ``Refused``."""
        joined = read(signed, Joined)
        hosted = self.hosted(joined.session)
        if hosted is not None:
            hosted.on_joined(signed, joined)
        attended = self.attended(joined.session)
        if attended is not None:
            await attended.on_joined(signed)

    async def on_leave(self, signed: Signed) -> None:
        """Apply a member's ``leave``, if its key is known and the statement verifies; raises ``Refused``."""
        leave = read(signed, Leave)
        key = await self._key_in(leave.session, leave.member)
        if key is None:
            return
        if verify(signed, key, Leave).member_key != key.fingerprint:
            raise Refused(Reason.MISMATCH, "leave names another key")
        if (hosted := self.hosted(leave.session)) is not None:
            hosted.on_departure(Kind.LEAVE, signed, leave.member)
        if (attended := self.attended(leave.session)) is not None:
            attended.on_leave(leave)

    def on_statement(self, kind: Kind, signed: Signed, peer: ClientId) -> None:
        """Apply a peer's statement to the sessions of this device that the peer is in: it may take the peer out."""
        for session in tuple(self._sessions.values()):
            if isinstance(session, HostedSession) and session.ended is None:
                with suppress(Refused):
                    session.on_departure(kind, signed, peer)

    async def _key_in(self, session: SessionId, member: ClientId) -> PublicKey | None:
        if session not in self._sessions:
            return None
        key = await self._context.key_of(member)
        return None if isinstance(key, Obstacle) else key

    async def on_update(self, connection: HubConnection, push: SessionUpdatePush) -> None:
        """Apply the hub's word on a session; after a lost push it is read again. Raises ``NoReply``."""
        if push.state == CHANGED:
            held = self.hosted(push.session) or self.attended(push.session)
            if held is not None:
                await self._catch_up(connection, held)
            elif self._answering.awaits(push.session):
                await self._read_admission(connection, push.session)
            return
        if (hosted := self.hosted(push.session)) is not None:
            hosted.on_update(push)
        if (attended := self.attended(push.session)) is not None:
            attended.on_update(push)
