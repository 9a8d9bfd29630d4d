"""The dispatch of the hub's pushes. Each part that handles one verifies it by this device's own pins."""

import structlog

from muster_client.connection.connection import HubConnection
from muster_client.device.statements import Topic, topics_of
from muster_client.events import PeerChanged, PresenceChanged
from muster_client.sessions.answering import Answering
from muster_client.sessions.context import SessionContext
from muster_client.sessions.membership import Membership
from muster_protocol.cards import Card
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
from muster_protocol.governance import GOVERNANCE, Governance
from muster_protocol.ids import ClientId, Serial
from muster_protocol.labels import Kind
from muster_protocol.signed import read, verify

MAX_TOPICS_REPORTED = 4096
"""Topics of peers of which the newest serial is known here. Beyond that the oldest goes, and may be reported again."""

_log = structlog.get_logger("muster.agent")


class Pushes:
    """Passes each push to the part that handles it."""

    def __init__(self, context: SessionContext, answering: Answering, membership: Membership) -> None:
        self._context = context
        self._answering = answering
        self._membership = membership
        self._newest: dict[tuple[ClientId, Topic, str], Serial] = {}

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
            body: Card | Governance = read(push.statement, Card)
        else:
            key = device.peers.peer_key(push.client)
            struct = GOVERNANCE.get(push.kind)
            if key is None or struct is None:
                return
            body = verify(push.statement, key, struct)
            if body.client != push.client:
                return
            self._membership.on_statement(push.kind, push.statement, push.client)
        if _concerns(body, device.client) and self._is_news(body):
            self._context.tell(PeerChanged(peer=push.client, kind=push.kind))

    def _is_news(self, body: Card | Governance) -> bool:
        """Record the serial of a peer's verified statement; return whether it is the newest here on a topic.

        A hub can send an old one again at any time.
        """
        topics = [(body.client, topic, about) for topic, about in topics_of(body)]
        newer = [topic for topic in topics if body.serial > self._newest.get(topic, 0)]
        self._newest |= dict.fromkeys(newer, body.serial)
        while len(self._newest) > MAX_TOPICS_REPORTED:
            del self._newest[next(iter(self._newest))]
        return bool(newer)


def _concerns(body: Card | Governance, client: ClientId) -> bool:
    """Return whether a peer's statement is about the peer itself or about this device, and no third one."""
    return isinstance(body, Card) or body.peer == client
