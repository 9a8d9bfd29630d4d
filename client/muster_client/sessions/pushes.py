"""The dispatch of the hub's pushes. Each part that handles one verifies it by this device's own pins."""

import structlog

from muster_client.connection.connection import HubConnection
from muster_client.events import PeerChanged, PresenceChanged
from muster_client.sessions.answering import Answering
from muster_client.sessions.context import SessionContext
from muster_client.sessions.membership import Membership
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    AdmissionPush,
    AnswerPush,
    EpochPush,
    InvitePush,
    InviteUpdatePush,
    JoinedPush,
    LeavePush,
    PresencePush,
    Push,
    SessionUpdatePush,
    StatementPush,
)
from muster_protocol.governance import GOVERNANCE
from muster_protocol.labels import Kind
from muster_protocol.signed import verify

_log = structlog.get_logger("muster.agent")


class Pushes:
    """Passes each push to the part that handles it."""

    def __init__(self, context: SessionContext, answering: Answering, membership: Membership) -> None:
        self._context = context
        self._answering = answering
        self._membership = membership

    async def handle(self, connection: HubConnection, push: Push) -> None:
        """Handle one push; raises ``NoReply``, and then it comes again.

        A push that does not verify is logged and dropped: it would not verify the next time either.
        """
        try:
            await self._dispatch(connection, push)
        except Refused as refused:
            _log.info("push_ignored", push=type(push).__name__, reason=refused.reason)

    async def _dispatch(self, connection: HubConnection, push: Push) -> None:  # noqa: C901 - one case for each push
        match push:
            case InvitePush():
                await self._answering.on_invite(push.invite)
            case InviteUpdatePush():
                self._on_invite_update(push)
            case AnswerPush():
                self._membership.on_answer(push.answer)
            case AdmissionPush():
                await self._membership.on_admission(push.admission)
            case EpochPush():
                await self._membership.on_epoch(connection, push)
            case JoinedPush():
                await self._membership.on_joined(push.joined)
            case LeavePush():
                await self._membership.on_leave(push.leave)
            case SessionUpdatePush():
                await self._membership.on_update(connection, push)
            case PresencePush():
                self._context.tell(PresenceChanged(devices=push.devices))
            case StatementPush():
                self._on_statement(push)

    def _on_invite_update(self, push: InviteUpdatePush) -> None:
        if push.client == self._context.device.client:
            self._answering.on_ended(push.invite, push.reason)
        elif (session := self._membership.hosted(push.session)) is not None:
            session.on_invite_update(push)

    def _on_statement(self, push: StatementPush) -> None:
        device = self._context.device
        if push.kind is Kind.CARD:
            # A card that retires the pinned key is not stored, but no session goes on with that key.
            self._membership.on_statement(push.kind, push.statement, push.client)
            device.peers.learn_card(push.statement, push.client)
        else:
            key = device.peers.peer_key(push.client)
            struct = GOVERNANCE.get(push.kind)
            if key is None or struct is None or verify(push.statement, key, struct).client != push.client:
                return
            self._membership.on_statement(push.kind, push.statement, push.client)
        self._context.tell(PeerChanged(peer=push.client, kind=push.kind))
