"""The peers that a device trusts, its grants to them, and their nicknames: signed statements (SPEC.md section 2.6)."""

import os
import sqlite3
from collections.abc import Callable, Sequence

from msgspec import structs

from muster_client.device.clock import DeviceClock
from muster_client.device.database import transaction
from muster_client.device.facts import pins_of
from muster_client.device.identity import Identity
from muster_client.device.invites import Invites
from muster_client.device.peer_store import PeerStore
from muster_client.device.peers import resolve as resolve_peer
from muster_client.device.statements import Held, StatementStore, Topic
from muster_client.views import EndedElsewhere, Peer, Unconfirmed
from muster_protocol.cards import Mode
from muster_protocol.codec import decode_closed, encode
from muster_protocol.decision import Compatibility
from muster_protocol.errors import Refused
from muster_protocol.governance import GOVERNANCE, Grant, Revocation, Trust, Untrust, check_governance
from muster_protocol.ids import RANDOM_ID_BYTES, ClientId, Fingerprint, GrantId, InviteId, TimeMs
from muster_protocol.keys import PublicKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.serials import is_behind
from muster_protocol.signed import Signed, read

DEFAULT_GRANT_MS = 90 * 24 * 3600 * 1000
"""How long a grant lasts by default: 90 days."""
NO_INVITE = InviteId(bytes(RANDOM_ID_BYTES))
"""Stands for the invite on which a one-time grant was spent where that is not known."""


class TrustBook:
    """The peers of a device, as its own statements say. Every change is a statement for the hub."""

    def __init__(
        self,
        identity: Callable[[], Identity],
        database: sqlite3.Connection,
        statements: StatementStore,
        invites: Invites,
        clock: DeviceClock,
    ) -> None:
        self._identity = identity
        self._db = database
        self._statements = statements
        self._invites = invites
        self._store = PeerStore(database)
        self._clock = clock

    def trust(self, peer: ClientId, fingerprint: Fingerprint, nickname: str) -> Signed:
        """Trust a peer under the key with this fingerprint, which a person compared; with the same key only rename it.

        Raises ``BadNickname``; ``Refused(self_target)``.
        """
        with transaction(self._db):
            self._store.name(peer, nickname, self._clock(), trusted=frozenset(self.pins()))
            held = self._statements.get(Topic.TRUST, peer)
            if held is not None and self.pins().get(peer) == fingerprint:
                return held.signed
            self._invites.end_waiting(peer)
            serial = self._statements.allocate(peer)
            return self._say(Trust(client=self._identity().client, serial=serial, peer=peer, peer_key=fingerprint))

    def untrust(self, peer: ClientId) -> Signed:
        """Stop trusting a peer; its grant ends too. Raises ``Refused(not_trusted)`` if it is not trusted."""
        with transaction(self._db):
            if peer not in self.pins():
                raise Refused(Reason.NOT_TRUSTED)
            self._invites.end_waiting(peer)
            return self._say(Untrust(client=self._identity().client, serial=self._statements.allocate(peer), peer=peer))

    def grant(
        self,
        peer: ClientId,
        *,
        mode: Mode = Mode.JOIN,
        profiles: Sequence[str] | None = None,
        once: bool = False,
        lasts_ms: int = DEFAULT_GRANT_MS,
    ) -> Signed:
        """Permit automatic joins with a trusted peer, and replace any earlier grant. ``profiles`` None: all.

        Raises ``Refused``: ``not_trusted``, ``malformed`` for a time or profiles that a grant cannot have,
        ``clock_behind`` where this device's clock went back: it would date the grant in the past.
        """
        with transaction(self._db):
            if self.clock_behind:
                raise Refused(Reason.CLOCK_BEHIND)
            pin = self.pins().get(peer)
            if pin is None:
                raise Refused(Reason.NOT_TRUSTED)
            serial, now = self._statements.allocate(peer), self._clock()
            return self._say(
                Grant(
                    client=self._identity().client,
                    serial=serial,
                    peer=peer,
                    peer_key=pin,
                    grant=GrantId(os.urandom(RANDOM_ID_BYTES)),
                    mode=mode,
                    profiles=None if profiles is None else tuple(sorted(set(profiles))),
                    uses=1 if once else None,
                    not_before=now,
                    expires_at=TimeMs(now + lasts_ms),
                )
            )

    @property
    def clock_behind(self) -> bool:
        """Whether this device's clock went back by more than a day; until it is set right, no grant of it counts."""
        return is_behind(self._clock(), self._statements.reached())

    def renew(self, peer: ClientId, *, lasts_ms: int = DEFAULT_GRANT_MS) -> Signed:
        """Renew the newest grant to a peer.

        Raises ``Refused``: ``grant_missing``, ``grant_revoked``, ``clock_behind``.
        """
        with transaction(self._db):
            grant = self.newest_grant(peer)
            return self.grant(
                peer, mode=grant.mode, profiles=grant.profiles, once=grant.uses is not None, lasts_ms=lasts_ms
            )

    def revoke(self, peer: ClientId) -> Signed:
        """Revoke a grant; raises ``Refused``: ``grant_missing``, ``grant_revoked``."""
        with transaction(self._db):
            grant = self.newest_grant(peer)
            return self._say(
                Revocation(
                    client=self._identity().client, serial=self._statements.allocate(peer), peer=peer, grant=grant.grant
                )
            )

    def newest_grant(self, peer: ClientId) -> Grant:
        """Return the newest grant to a peer; raises ``Refused``: ``grant_missing``, ``grant_revoked``."""
        held = self._statements.get(Topic.GRANT, peer)
        if held is None:
            raise Refused(Reason.GRANT_MISSING)
        if held.kind is not Kind.GRANT:
            raise Refused(Reason.GRANT_REVOKED)
        return read(held.signed, Grant)

    def unconfirmed(self) -> tuple[Unconfirmed, ...]:
        """Return the unconfirmed trust and grants: under this device's key, and not made by its own store.

        A copy of the data made them: one that a thief took, or the newer one of a device restored from a backup.
        """
        return tuple(_unconfirmed(*row) for row in self._statements.unconfirmed())

    def ended_elsewhere(self) -> tuple[EndedElsewhere, ...]:
        """Return the ends under this device's key that its own store did not make, until the person was shown them.

        They hold. A copy of the data made them, as it makes what is unconfirmed.
        """
        ended = self._statements.ended_elsewhere()
        return tuple(EndedElsewhere(peer=held.peer, kind=held.kind, version=held.version) for held in ended)

    def mark_listed(self, shown: Sequence[Unconfirmed | EndedElsewhere]) -> None:
        """Record that the person was shown these; one that replaces one of them meanwhile was not."""
        self._statements.mark_listed([one.version for one in shown])

    @property
    def more_unconfirmed(self) -> bool:
        """Whether the hub has more to show than is kept here. It comes once some of these are decided."""
        return self._statements.left_at_hub()

    def accept(self, *shown: Unconfirmed) -> None:
        """Accept trust and grants exactly as the person was shown them: all of these or none.

        A one-time grant may have been used: it counts as spent. Raises ``Refused(mismatch)`` if one of them is not
        unconfirmed any more: another process decided on it, or a newer statement of the copy took its place.
        """
        with transaction(self._db):
            for held in self._still_unconfirmed(shown):
                self._store.note(held.peer, self._clock())
                self._statements.accept(held)
                if held.kind is Kind.GRANT and (grant := read(held.signed, Grant)).uses is not None:
                    self._invites.spend(grant.grant, NO_INVITE)

    def reject(self, *shown: Unconfirmed) -> None:
        """Reject trust and grants, so that the hub's copy ends too: of trust, state again what this store holds.

        A rejected grant ends this store's own as well: newer data may have revoked that one before they gave another.
        All of these or none. Raises ``Refused(mismatch)`` as ``accept`` does.
        """
        with transaction(self._db):
            for held in self._still_unconfirmed(shown):
                peer, own = held.peer, self._statements.get(Topic.TRUST, held.peer)
                serial = self._statements.allocate(peer)
                if held.kind is Kind.GRANT:
                    grant = read(held.signed, Grant).grant
                    self._say(Revocation(client=self._identity().client, serial=serial, peer=peer, grant=grant))
                elif own is not None and own.kind is Kind.TRUST:
                    self._say(structs.replace(read(own.signed, Trust), serial=serial))
                else:
                    self._say(Untrust(client=self._identity().client, serial=serial, peer=peer))

    def _still_unconfirmed(self, shown: Sequence[Unconfirmed]) -> list[Held]:
        found = {held.version: held for held, _ in self._statements.unconfirmed()}
        if any(one.version not in found for one in shown):
            raise Refused(Reason.MISMATCH, "another statement came meanwhile; review again")
        return [found[one.version] for one in shown]

    def spend_all(self) -> None:
        """Spend every one-time grant: each may have been used where these data are older than the hub's."""
        with transaction(self._db):
            for held in self._statements.all(Topic.GRANT):
                if held.kind is Kind.GRANT and (grant := read(held.signed, Grant)).uses is not None:
                    self._invites.spend(grant.grant, NO_INVITE)

    def restriction_waits(self) -> bool:
        """Return whether the hub has not acknowledged an ``untrust`` or a ``revocation`` of this device."""
        return self._statements.restriction_waits()

    def sign_again(self) -> None:
        """Sign again what a retired key signed."""
        self._statements.sign_again(self._identity().key, self._store.noted())

    def sign_newer(self, held: Held) -> Held | None:
        """Sign a restriction once more, with a higher serial; None where another statement took its place here."""
        return self._statements.sign_newer(held, self._identity().key)

    def _say(self, body: Trust | Untrust | Grant | Revocation) -> Signed:
        check_governance(body)
        # A statement that others could not read would be refused everywhere, and here too when it is read back.
        decode_closed(encode(body), type(body))
        return self._statements.say(body, self._identity().key)

    def all(self) -> list[Peer]:
        """Return every peer that is or was trusted, sorted by name."""
        # A grant that ran out does not look alive again since the clock went back.
        now = max(self._clock(), self._statements.reached())
        return self._store.views(self._statements.all(), frozenset(self._invites.uses()), now)

    def compatibilities(self) -> dict[ClientId, Compatibility]:
        """Return what is known of the peers' versions, applications and modes, from their verified cards."""
        return self._store.compatibilities()

    def resolve(self, name: str) -> Peer:
        """Return the peer of this nickname, ClientId or unique beginning; raises ``UnknownName``, ``AmbiguousName``."""
        return resolve_peer(name, self.all())

    def pins(self) -> dict[ClientId, Fingerprint]:
        """Return the trusted peers, each with the fingerprint of its pinned key."""
        return pins_of(self._statements.all(Topic.TRUST))

    def peer_key(self, peer: ClientId) -> PublicKey | None:
        """Return the public key of a peer's pin, or None before its card was seen."""
        pin, card = self.pins().get(peer), self._store.card(peer)
        return card.current if card is not None and card.current.fingerprint == pin else None

    def learn_card(self, signed: Signed, peer: ClientId) -> None:
        """Store a peer's card; one that is older than the stored one changes nothing.

        Raises ``Refused``: ``not_trusted``, ``key_mismatch`` (its key is not the pinned one), ``mismatch``,
        ``bad_signature``, ``malformed``.
        """
        pin = self.pins().get(peer)
        if pin is None:
            raise Refused(Reason.NOT_TRUSTED)
        self._store.learn(signed, peer, pin)


def _unconfirmed(held: Held, seen: TimeMs) -> Unconfirmed:
    body = read(held.signed, GOVERNANCE[held.kind])
    if not isinstance(body, Grant | Trust):
        raise TypeError("only trust and grants are unconfirmed")
    grant = body if isinstance(body, Grant) else None
    return Unconfirmed(
        peer=held.peer,
        kind=held.kind,
        fingerprint=body.peer_key,
        mode=None if grant is None else grant.mode,
        profiles=None if grant is None else grant.profiles,
        expires_at=None if grant is None else grant.expires_at,
        seen_at=seen,
        version=held.version,
        listed=held.listed,
    )
