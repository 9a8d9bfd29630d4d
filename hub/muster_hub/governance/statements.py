"""What devices say about themselves and each other: into the store, and to those concerned (SPEC.md section 5)."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from muster_hub.context import NodeContext
from muster_hub.presence.lookup import live_agents
from muster_hub.presence.record import read_presence
from muster_hub.presence.registry import compatibility, word, words
from muster_hub.routing.caller import Caller
from muster_hub.sessions import cuts
from muster_hub.sessions.cuts import CutCause
from muster_hub.store import keys
from muster_hub.store.adapter import Reply, Word
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.rows import GrantRow, PeerRow, pack, peer_row
from muster_hub.store.scripts import Script, script
from muster_protocol.cards import verify_card
from muster_protocol.codec import convert, encode, unpack
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    MAX_PAGE,
    CardReply,
    ClearSuspicion,
    GetCard,
    KindAndStatement,
    ListStatements,
    Ok,
    PutStatement,
    StatementPush,
    Statements,
    encode_frame,
)
from muster_protocol.governance import (
    GOVERNANCE,
    Governance,
    Grant,
    Revocation,
    Trust,
    Untrust,
    check_governance,
)
from muster_protocol.ids import ClientId, Hash, SessionId, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, statement_hash, verify

MAX_TOLD_AT_ONCE = 64
"""Peers that are looked up side by side when a card changed."""

_log = structlog.get_logger(__name__)


def _restriction(name: str) -> Script:
    """Give a script that is carried out also when the store's memory is full: what restricts is always taken."""
    plain = script(name)
    return Script.of(name, plain.source.decode().replace("#!lua\n", "#!lua flags=allow-oom\n", 1))


_PUT: dict[Kind, Script] = {
    Kind.TRUST: script("put_peer"),
    Kind.UNTRUST: _restriction("put_peer"),
    Kind.GRANT: script("put_grant"),
    Kind.REVOCATION: _restriction("put_grant"),
}
_PUT_CARD = script("put_card")
_STATEMENTS = script("statements")
_CARD = script("card")
_CLEAR_SUSPICION = script("clear_suspicion")


class _Put(NamedTuple):
    """What became of a statement: the verdict, what has to be cut, and whether its peer is, or was, trusted."""

    verdict: str
    ver: int
    why: str
    sessions: tuple[str, ...]
    trusted: bool


async def put_statement(context: NodeContext, caller: Caller, request: PutStatement) -> Ok:
    """Take one of the caller's own statements; what it restricts is in force everywhere before the reply.

    Refuses ``bad_signature``, ``mismatch`` (another signer, or other bytes under a serial that is held), ``malformed``,
    ``self_target``, ``replayed`` (a newer one is held), ``too_large`` (more peers than are kept), ``superseded``.
    """
    if request.kind is Kind.CARD:
        await _put_card(context, caller, request.statement)
    else:
        await _put_governance(context, caller, request.kind, request.statement)
    context.counters.add("statements_taken")
    return Ok(re=request.id)


async def list_statements(context: NodeContext, caller: Caller, request: ListStatements) -> Statements:
    """Give the caller its own statements, a page at a time."""
    where = [keys.device(caller.client), keys.peers(caller.client), keys.grants(caller.client)]
    match await context.store.run(_STATEMENTS, where, [request.after, MAX_PAGE]):
        case [int(more), list(page)]:
            flat = [item for item in page if isinstance(item, bytes)]
            shown = tuple(
                KindAndStatement(Kind(kind.decode()), _signed(data))
                for kind, data in zip(flat[::2], flat[1::2], strict=True)
            )
            return Statements(re=request.id, statements=shown, more=more == 1)
        case _:
            raise TypeError("not a page of statements")


async def get_card(context: NodeContext, caller: Caller, request: GetCard) -> CardReply:
    """Give the card of a device that trusts the caller; refuse everybody else alike with ``not_mutually_trusted``."""
    where = [keys.device(request.client), keys.peers(request.client)]
    match await context.store.run(_CARD, where, [caller.client]):
        case [bytes(about), bytes(card)] if card and about and _pins(peer_row(about), caller):
            return CardReply(re=request.id, card=_signed(card))
        case _:
            raise Refused(Reason.NOT_MUTUALLY_TRUSTED)


async def clear_suspicion(context: NodeContext, caller: Caller, request: ClearSuspicion) -> Ok:
    """Take the person's word that this is the only copy. Refuses ``device_revoked``, ``superseded``."""
    client = caller.client
    where = [keys.device(client), keys.instances(client), keys.outbox(keys.bucket(client))]
    reply = word(
        await context.store.run(
            _CLEAR_SUSPICION, where, [client, await context.store.not_after_ms(), caller.connection]
        )
    )
    if reply != "cleared":
        raise Refused(Reason(reply))
    return Ok(re=request.id)


# -- trust, untrust, grant, revocation --------------------------------------------------------------------------------


async def _put_governance(context: NodeContext, caller: Caller, kind: Kind, signed: Signed) -> None:
    body = verify(signed, caller.card.card.current, GOVERNANCE[kind])
    _own(body.client, caller)
    check_governance(body)
    put = _put(
        await context.store.run(
            _PUT[kind], _put_keys(caller.client), await _put_args(context, caller, kind, body, signed)
        )
    )
    if put.why:
        sessions = [SessionId(session) for session in put.sessions]
        await cuts.apply(context, caller.client, put.ver, CutCause(put.why), body.peer, sessions)
    _judge(put.verdict)
    await _tell_peer(context, caller, kind, signed, body.peer, trusted=put.trusted)


def _own(client: ClientId, caller: Caller) -> None:
    if client != caller.client:
        raise Refused(Reason.MISMATCH, "a statement of another device")


async def _put_args(context: NodeContext, caller: Caller, kind: Kind, body: Governance, signed: Signed) -> list[Word]:
    digest = statement_hash(kind, signed.body)
    common: list[Word] = [
        caller.client,
        await context.store.not_after_ms(),
        caller.connection,
        body.peer,
        kind,
        body.serial,
        digest,
    ]
    if isinstance(body, Grant | Revocation):
        return [*common, pack(_grant_row(body, digest, signed)), body.grant]
    ended = pack(_ended(body, digest)) if isinstance(body, Untrust) else b""
    row = _peer_row(body, digest, signed)
    return [*common, row.fingerprint, pack(row), ended, *_card_args(caller)]


def _card_args(caller: Caller) -> list[Word]:
    card = caller.card
    return [encode(card.signed), card.card.serial, statement_hash(Kind.CARD, card.signed.body)]


def _peer_row(body: Trust | Untrust, digest: Hash, signed: Signed) -> PeerRow:
    if isinstance(body, Trust):
        return PeerRow("trust", body.serial, digest, body.peer_key, encode(signed))
    return PeerRow("untrust", body.serial, digest, b"", encode(signed))


def _grant_row(body: Grant | Revocation, digest: Hash, signed: Signed) -> GrantRow:
    if isinstance(body, Revocation):
        return _no_grant(body.serial, digest, body.grant, encode(signed))
    return GrantRow(
        kind="grant",
        serial=body.serial,
        hash=digest,
        grant_id=body.grant,
        peer_fp=body.peer_key,
        mode=body.mode,
        profiles=body.profiles,
        uses=body.uses or 0,
        not_before=body.not_before,
        expires_at=body.expires_at,
        signed=encode(signed),
    )


def _ended(body: Untrust, digest: Hash) -> GrantRow:
    return _no_grant(body.serial, digest, b"", b"")


def _no_grant(serial: int, digest: Hash, grant: bytes, signed: bytes) -> GrantRow:
    return GrantRow("revocation", serial, digest, grant, b"", None, None, 0, TimeMs(0), TimeMs(0), signed)  # type: ignore[arg-type]


def _put_keys(client: ClientId) -> list[bytes]:
    return [
        keys.device(client),
        keys.instances(client),
        keys.peers(client),
        keys.grants(client),
        keys.uses(client),
        keys.session_index(client),
        keys.outbox(keys.bucket(client)),
    ]


def _put(reply: Reply) -> _Put:
    match reply:
        case [bytes(verdict), int(ver), bytes(why), list(sessions), int(trusted)]:
            return _Put(verdict.decode(), ver, why.decode(), words(sessions), trusted == 1)
        case _:
            raise TypeError("not a reply of put")


def _judge(verdict: str) -> None:
    match verdict:
        case "older":
            raise Refused(Reason.REPLAYED, "a newer statement about the same is held")
        case "mismatch":
            raise Refused(Reason.MISMATCH, "another statement with this serial is held")
        case "superseded":
            raise Refused(Reason.SUPERSEDED)
        case "too_many":
            raise Refused(Reason.TOO_LARGE, "more peers than are kept")


# -- cards ------------------------------------------------------------------------------------------------------------


async def _put_card(context: NodeContext, caller: Caller, signed: Signed) -> None:
    card = verify_card(signed)
    _own(card.card.client, caller)
    if card.fingerprints != caller.fingerprints:
        raise Refused(Reason.MISMATCH, "a new key is shown by connecting with it")
    where = [
        keys.device(caller.client),
        keys.instances(caller.client),
        keys.peers(caller.client),
        keys.outbox(keys.bucket(caller.client)),
    ]
    args: list[Word] = [
        await context.store.not_after_ms(),
        caller.connection,
        encode(signed),
        card.card.serial,
        statement_hash(Kind.CARD, signed.body),
        compatibility(card),
        caller.client,
    ]
    match await context.store.run(_PUT_CARD, where, args):
        case [bytes(verdict), list(trusted)]:
            _judge(verdict.decode())
            await _tell_peers(context, caller, signed, [ClientId(peer) for peer in words(trusted)])
        case _:
            raise TypeError("not a reply of put_card")


# -- telling those whom it concerns -----------------------------------------------------------------------------------


async def _tell_peers(context: NodeContext, caller: Caller, signed: Signed, peers: Sequence[ClientId]) -> None:
    for start in range(0, len(peers), MAX_TOLD_AT_ONCE):
        batch = peers[start : start + MAX_TOLD_AT_ONCE]
        await asyncio.gather(*(_tell_peer(context, caller, Kind.CARD, signed, peer, trusted=True) for peer in batch))


async def _tell_peer(
    context: NodeContext, caller: Caller, kind: Kind, signed: Signed, peer: ClientId, *, trusted: bool
) -> None:
    """Show a statement to a peer, if both trust each other, and let the peer's node look again at what it may see.

    The statement is on disk by now; a peer that is not reached hears of it from the session, or not at all.
    """
    try:
        found = await read_presence(context.store, peer, caller.client, caller.fingerprint)
    except StoreUnavailable as error:
        _log.info("peer_not_told", client=caller.client[:8], cause=error.cause)
        return
    if kind in {Kind.TRUST, Kind.UNTRUST}:
        context.router.notify_presence(caller.client, {row.node for _, row in found.instances})
    if trusted and found.trusts(caller.fingerprint):
        push = StatementPush(client=caller.client, kind=kind, statement=signed)
        context.router.push(peer, live_agents(context, found.instances), encode_frame(push))


def _pins(about: PeerRow, caller: Caller) -> bool:
    return about.kind == "trust" and about.fingerprint == caller.fingerprint


def _signed(data: bytes) -> Signed:
    return convert(unpack(data), Signed)
