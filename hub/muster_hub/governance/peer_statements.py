"""Statements about a peer: trust, untrust, grant and revocation (SPEC.md section 2.6)."""

from typing import NamedTuple

from muster_hub.context import NodeContext
from muster_hub.governance.checks import check_own, check_serial, check_verdict
from muster_hub.governance.peer_rows import ended_grant_row, grant_row, trust_row
from muster_hub.governance.pushes import push_statement, push_to_own_agent
from muster_hub.presence.registry import words
from muster_hub.rate_limits.costs import CUT, kept_statement
from muster_hub.routing.caller import Caller
from muster_hub.sessions import cuts
from muster_hub.sessions.cuts import CutCause
from muster_hub.store import keys
from muster_hub.store.adapter import Reply, Word
from muster_hub.store.rows import pack
from muster_hub.store.scripts import Script, script, variant
from muster_hub.store.steps import change
from muster_protocol.codec import encode
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.governance import GOVERNANCE, Governance, Grant, Revocation, Untrust, check_governance
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, statement_hash, verify

_PUT: dict[Kind, Script] = {
    Kind.TRUST: script("put_peer"),
    Kind.UNTRUST: variant("put_peer"),
    Kind.GRANT: script("put_grant"),
    Kind.REVOCATION: variant("put_grant"),
}
_CUTS_MADE = script("cuts_made")


class _PutOutcome(NamedTuple):
    """The store's answer to a statement: the verdict, the restriction to apply, and whether its peer is trusted.

    ``trusted`` is also true for a peer that was trusted until this statement. ``added``: it takes a place of its own.
    ``kept_card`` are the bytes of the card if it was kept with it.
    """

    verdict: str
    ver: int
    why: str
    sessions: tuple[str, ...]
    trusted: bool
    added: bool
    kept_card: int


async def put_peer_statement(context: NodeContext, caller: Caller, kind: Kind, signed: Signed) -> None:
    """Store a statement about a peer, apply what it restricts to all sessions, and push it to the peer.

    Raises ``Refused``: what ``verify``, ``check_governance``, ``check_own`` and ``check_verdict`` raise,
    ``superseded``, ``too_large`` (more peers than are kept), ``rate_limited`` (of a device whose address left too much,
    a restriction of what the hub does not hold); ``StoreUnavailable``.
    """
    body = verify(signed, caller.card.card.current, GOVERNANCE[kind])
    check_own(body.client, caller)
    check_governance(body)
    if not isinstance(body, Untrust | Revocation):  # a restriction is taken with any date
        await check_serial(context.store, body.serial)
    put = await _put(context, caller, kind, body, signed)
    if put.why:
        sessions = [SessionId(session) for session in put.sessions]
        context.charge(caller.payer, CUT * len(sessions))
        await cuts.apply(context, caller.client, put.ver, CutCause(put.why), body.peer, sessions)
        if sessions:
            digest = statement_hash(kind, signed.body)
            await change(context.store, _CUTS_MADE, [keys.device(caller.client)], body.peer, digest)
    news = put.verdict == "taken" or put.why != ""  # its first answer may have got lost before its cuts were made
    if caller.role is Role.CLI and news:
        await push_to_own_agent(context, caller, kind, signed)
    check_verdict(put.verdict)
    await push_statement(context, caller, kind, signed, body.peer, trusted=put.trusted, news=news)


async def _put(context: NodeContext, caller: Caller, kind: Kind, body: Governance, signed: Signed) -> _PutOutcome:
    """Store a statement, and charge the address for what was not charged with the message."""
    restricts, room_ms = isinstance(body, Untrust | Revocation), context.spending.left_ms(caller.near)
    args = _args(caller, kind, body, signed, room=not (restricts and room_ms))
    put = _outcome(await change(context.store, _PUT[kind], _keys(caller.client), *args))
    if put.verdict == "no_room":
        raise Refused(Reason.RATE_LIMITED, "devices at this address left too much", room_ms)
    size = len(encode(signed)) if restricts and put.added else 0
    context.spending.keep(caller.near, kept_statement(size) + kept_statement(put.kept_card))
    return put


def _args(caller: Caller, kind: Kind, body: Governance, signed: Signed, *, room: bool) -> list[Word]:
    digest = statement_hash(kind, signed.body)
    common: list[Word] = [
        caller.client,
        caller.connection,
        body.peer,
        kind,
        body.serial,
        digest,
        int(room),
    ]
    if isinstance(body, Grant | Revocation):
        return [*common, pack(grant_row(body, digest, signed)), body.grant]
    ended = pack(ended_grant_row(body, digest, signed)) if isinstance(body, Untrust) else b""
    row = trust_row(body, digest, signed)
    return [*common, row.fingerprint, pack(row), ended, *_card_args(caller)]


def _card_args(caller: Caller) -> list[Word]:
    card = caller.card
    return [encode(card.signed), card.card.serial, statement_hash(Kind.CARD, card.signed.body)]


def _keys(client: ClientId) -> list[bytes]:
    return [
        keys.device(client),
        keys.instances(client),
        keys.peers(client),
        keys.grants(client),
        keys.uses(client),
        keys.session_index(client),
        keys.outbox(keys.bucket(client)),
        keys.stated(client),
    ]


def _outcome(reply: Reply) -> _PutOutcome:
    match reply:
        case [bytes(verdict), int(ver), bytes(why), list(sessions), int(trusted), int(added), int(kept_card)]:
            return _PutOutcome(
                verdict.decode(), ver, why.decode(), words(sessions), trusted == 1, added == 1, kept_card
            )
        case _:
            raise TypeError("unexpected reply of a script that stores a statement")
