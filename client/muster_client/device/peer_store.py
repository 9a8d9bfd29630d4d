"""The peers in the device's database: their nicknames and their cards."""

import sqlite3
from collections.abc import Sequence

from muster_client.device.peers import check_nickname
from muster_client.device.statements import Held, Topic
from muster_client.errors import BadNickname
from muster_client.views import GrantState, GrantView, Peer
from muster_protocol.cards import Card, verify_card
from muster_protocol.decision import Compatibility
from muster_protocol.errors import Refused
from muster_protocol.governance import Grant, Trust
from muster_protocol.ids import ClientId, Fingerprint, GrantId, Signature, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read


class PeerStore:
    """The nicknames and cards of peers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def name(self, peer: ClientId, nickname: str, now: TimeMs, *, trusted: frozenset[ClientId]) -> None:
        """Set a peer's nickname; one of a peer that is no longer trusted is free. Raises ``BadNickname``."""
        query = "SELECT client FROM peers WHERE nickname = ? AND client != ?"
        row = self._db.execute(query, (check_nickname(nickname), peer)).fetchone()
        if row is not None:
            if row[0] in trusted:
                raise BadNickname(f"another device already has the nickname {nickname}")
            self._db.execute("UPDATE peers SET nickname = NULL WHERE client = ?", row)
        self._db.execute(
            "INSERT INTO peers VALUES (?, ?, ?) ON CONFLICT (client) DO UPDATE SET nickname = excluded.nickname",
            (peer, nickname, now),
        )

    def note(self, peer: ClientId, now: TimeMs) -> None:
        """Record that this device trusted a peer, which may have no nickname."""
        self._db.execute("INSERT OR IGNORE INTO peers VALUES (?, NULL, ?)", (peer, now))

    def noted(self) -> frozenset[ClientId]:
        """Return the peers that this device ever trusted."""
        return frozenset(ClientId(peer) for (peer,) in self._db.execute("SELECT client FROM peers"))

    def learn(self, signed: Signed, peer: ClientId, pin: Fingerprint) -> None:
        """Store a peer's card if it is newer than the stored one.

        Raises ``Refused`` for a card of another device or with a key that is not pinned.
        """
        verified = verify_card(signed)
        if verified.card.client != peer:
            raise Refused(Reason.MISMATCH, "another device's card")
        if verified.fingerprint != pin:
            raise Refused(Reason.KEY_MISMATCH, "the card's key is not the pinned one")
        row = (peer, verified.card.serial, signed.body, signed.signer, signed.signature)
        self._db.execute(
            "INSERT INTO cards VALUES (?, ?, ?, ?, ?) ON CONFLICT (client) DO UPDATE SET serial = excluded.serial,"
            " body = excluded.body, signer = excluded.signer, signature = excluded.signature"
            " WHERE excluded.serial > cards.serial OR excluded.signer != cards.signer",
            row,
        )

    def card(self, peer: ClientId) -> Card | None:
        """Return the newest card of a peer; it was verified before it was stored."""
        row = self._db.execute("SELECT body, signer, signature FROM cards WHERE client = ?", (peer,)).fetchone()
        return None if row is None else _card(row)

    def compatibilities(self) -> dict[ClientId, Compatibility]:
        """Return what every peer can do, by its card."""
        rows = self._db.execute("SELECT body, signer, signature FROM cards")
        cards = [_card(row) for row in rows]
        return {card.client: Compatibility(card.protocol, card.app, card.modes) for card in cards}

    def views(self, statements: Sequence[Held], spent: frozenset[GrantId], now: TimeMs) -> list[Peer]:
        """Return every peer that statements are about, sorted by name."""
        names = {ClientId(row[0]): (row[1], TimeMs(row[2])) for row in self._db.execute("SELECT * FROM peers")}
        topics = {(held.topic, held.peer): held for held in statements}
        trusts = [held for held in statements if held.topic is Topic.TRUST]
        peers = [_view(held, topics.get((Topic.GRANT, held.peer)), names, spent, now) for held in trusts]
        return sorted(peers, key=lambda peer: (peer.name.lower(), peer.client))


def _card(row: tuple[bytes, bytes, bytes]) -> Card:
    body, signer, signature = row
    return read(Signed(body, Fingerprint(signer), Signature(signature)), Card)


def _view(
    trust: Held,
    grant: Held | None,
    names: dict[ClientId, tuple[str | None, TimeMs]],
    spent: frozenset[GrantId],
    now: TimeMs,
) -> Peer:
    nickname, added_ms = names.get(trust.peer, (None, TimeMs(trust.serial)))
    pin = read(trust.signed, Trust).peer_key if trust.kind is Kind.TRUST else None
    return Peer(
        client=trust.peer,
        nickname=nickname,
        fingerprint=pin,
        trusted=pin is not None,
        added_ms=added_ms,
        grant=_grant_view(grant, spent, pin, now),
        published=trust.acknowledged and (grant is None or grant.acknowledged),
    )


def _grant_view(held: Held | None, spent: frozenset[GrantId], pin: Fingerprint | None, now: TimeMs) -> GrantView | None:
    if held is None or held.kind is not Kind.GRANT:
        return None
    grant = read(held.signed, Grant)
    return GrantView(
        id=grant.grant,
        serial=grant.serial,
        mode=grant.mode,
        profiles=grant.profiles,
        once=grant.uses is not None,
        not_before=grant.not_before,
        expires_at=grant.expires_at,
        state=_state(grant, spent, pin, now),
    )


def _state(grant: Grant, spent: frozenset[GrantId], pin: Fingerprint | None, now: TimeMs) -> GrantState:
    if grant.peer_key != pin:
        return GrantState.LAPSED
    if grant.grant in spent:
        return GrantState.USED
    if now < grant.not_before:
        return GrantState.NOT_YET
    return GrantState.EXPIRED if now >= grant.expires_at else GrantState.LIVE
