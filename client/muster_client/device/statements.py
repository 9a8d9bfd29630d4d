"""The device's own statements: serials, the newest about each topic, and which the hub has (SPEC.md section 2.4)."""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from msgspec import structs

from muster_client.device.clock import DeviceClock
from muster_client.device.database import transaction
from muster_protocol.cards import Card
from muster_protocol.errors import Refused
from muster_protocol.governance import GOVERNANCE, Governance, Grant, Revocation, Trust, Untrust, check_governance
from muster_protocol.ids import ClientId, Fingerprint, Hash, Serial, Signature, TimeMs
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.serials import SerialVerdict, Version, compare, is_ahead, next_about, next_serial, wins
from muster_protocol.signed import Signed, read, sign, statement_hash, verify


class Topic(StrEnum):
    """The topic of a statement; of two on one topic about one peer the higher serial counts."""

    CARD = "card"
    TRUST = "trust"
    GRANT = "grant"


RESTRICTION = frozenset({Kind.UNTRUST, Kind.REVOCATION})
"""Kinds that revoke something: they go first when several wait."""
EXTENSION = frozenset({Kind.TRUST, Kind.GRANT})
"""Kinds that permit something: from the hub they are taken only after the person accepted them."""


@dataclass(frozen=True, slots=True)
class Held:
    """One current statement, and whether the hub acknowledged it.

    ``listed``: its store made it, or the person was shown it.
    """

    topic: Topic
    peer: ClientId
    kind: Kind
    version: Version
    signed: Signed
    acknowledged: bool
    listed: bool = True

    @property
    def serial(self) -> Serial:
        """The statement's place in the device's one counter."""
        return self.version.serial


MAX_UNCONFIRMED = 256
"""Trust and grants kept that are unconfirmed. Further ones stay at the hub, and come once some of these are decided."""

_COLUMNS = "topic, peer, kind, serial, hash, body, signer, signature, acknowledged, listed"
_Row = tuple[str, str, str, int, bytes, bytes, bytes, bytes, int, int]


def _held(row: _Row) -> Held:
    topic, peer, kind, serial, digest, body, signer, signature, acknowledged, listed = row
    return Held(
        Topic(topic),
        ClientId(peer),
        Kind(kind),
        Version(Serial(serial), Hash(digest)),
        Signed(body, Fingerprint(signer), Signature(signature)),
        bool(acknowledged),
        bool(listed),
    )


class StatementStore:
    """The own statements in the device's database. Every method is one transaction at most."""

    def __init__(self, connection: sqlite3.Connection, clock: DeviceClock) -> None:
        self._db = connection
        self._clock = clock

    def allocate(self, peer: str = "") -> Serial:
        """Return the serial for the next statement about this peer, or about this device itself.

        No two processes ever get the same one about one peer. One that a copy of the key dated ahead moves no counter.
        """
        with transaction(self._db):
            serial, hub_at = self._count()
            about = "SELECT serial FROM statements WHERE peer = ?1 UNION SELECT serial FROM unconfirmed WHERE peer = ?1"
            return next_about(serial, [known for (known,) in self._db.execute(about, (peer,))], hub_at)

    def date(self) -> TimeMs:
        """Return a date for a word in a session: no clock brings a later serial below it."""
        with transaction(self._db):
            serial, _ = self._count()
            self._db.execute("UPDATE serials SET dated = ?", (serial,))
        return TimeMs(serial)

    def _count(self) -> tuple[Serial, TimeMs | None]:
        """Return the next number of the counter, and the newest time of a verified ``welcome``."""
        last, hub_at = self._db.execute("SELECT last, hub_at FROM serials").fetchone()
        serial = next_serial(last, self._clock(), hub_at)
        self._db.execute("UPDATE serials SET last = ?", (serial,))
        return serial, hub_at

    def synced(self) -> int:
        """Return the hub's number of changes at which this device last took in all that the hub holds of it."""
        (synced,) = self._db.execute("SELECT synced FROM serials").fetchone()
        return int(synced)

    def mark_synced(self, changes: int) -> None:
        """Record that this device took in all that the hub holds of it at this number of changes."""
        self._db.execute("UPDATE serials SET synced = ?", (changes,))

    def mark_left(self, *, left: bool) -> None:
        """Record whether the hub has unconfirmed statements that found no room here."""
        self._db.execute("UPDATE serials SET left_at_hub = ?", (left,))

    def left_at_hub(self) -> bool:
        """Return whether the hub has unconfirmed statements that found no room here."""
        (left,) = self._db.execute("SELECT left_at_hub FROM serials").fetchone()
        return bool(left)

    def note_hub_time(self, at: TimeMs, key: SigningKey) -> None:
        """Record the time of a verified ``welcome``; only the newest counts. Record too what both clocks had reached.

        Where the counter is more than a day ahead of it, since the clock was, set it back, but not below a date that
        was given. Sign again with new serials what is ahead of it, for this clock or for another hub's, where the
        hub has not acknowledged it.
        """
        with transaction(self._db):
            self._db.execute("UPDATE serials SET hub_at = max(coalesce(hub_at, 0), ?)", (at,))
            self._db.execute("UPDATE serials SET reached = max(reached, ?)", (min(at, self._clock()),))
            last, hub_at = self._db.execute("SELECT last, hub_at FROM serials").fetchone()
            statements = self.all()
            if is_ahead(last, hub_at):
                known = [held.serial for held in statements if not is_ahead(held.serial, hub_at)]
                self._db.execute("UPDATE serials SET last = max(dated, ?)", (max(known, default=0),))
            unknown = [held for held in statements if is_ahead(held.serial, hub_at) and not held.acknowledged]
            self._say_again(unknown, key)

    def reached(self) -> TimeMs:
        """Return the latest time that both this device's clock and a verified ``welcome`` had reached; 0: none yet."""
        (reached,) = self._db.execute("SELECT reached FROM serials").fetchone()
        return TimeMs(reached)

    def _hub_at(self) -> TimeMs:
        (hub_at,) = self._db.execute("SELECT coalesce(hub_at, 0) FROM serials").fetchone()
        return TimeMs(hub_at)

    def check(self) -> None:
        """Read every statement and both counters; raises ``Refused``, ``TypeError`` or ``ValueError`` for a bad one."""
        for held in self.all():
            read(held.signed, _body_of(held.kind))
        counters = self._db.execute("SELECT last, synced FROM serials").fetchone()
        if counters is None or not all(isinstance(counter, int) for counter in counters):
            raise ValueError("the counters are no numbers")

    def get(self, topic: Topic, peer: str = "") -> Held | None:
        """Return the current statement on a topic, or None."""
        query = f"SELECT {_COLUMNS} FROM statements WHERE topic = ? AND peer = ?"  # noqa: S608 - constant columns
        row = self._db.execute(query, (topic, peer)).fetchone()
        return None if row is None else _held(row)

    def all(self, topic: Topic | None = None) -> list[Held]:
        """Return all current statements, lowest serial first."""
        query = f"SELECT {_COLUMNS} FROM statements WHERE :topic IS NULL OR topic = :topic ORDER BY serial"  # noqa: S608
        return [_held(row) for row in self._db.execute(query, {"topic": topic})]

    def put(self, held: Held) -> None:
        """Replace the current statement on a topic."""
        with transaction(self._db):
            query = f"INSERT OR REPLACE INTO statements ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            self._db.execute(query, _row(held))
            older = "DELETE FROM unconfirmed WHERE topic = ? AND peer = ? AND serial <= ?"
            self._db.execute(older, (held.topic, held.peer, held.serial))

    def unconfirmed(self) -> list[tuple[Held, TimeMs]]:
        """Return the unconfirmed trust and grants: the person has not accepted or rejected them. Lowest serial first.

        With each comes when the hub first showed it.
        """
        query = f"SELECT seen_ms, {_COLUMNS} FROM unconfirmed ORDER BY serial"  # noqa: S608 - constant columns
        return [(_held(row), TimeMs(seen)) for seen, *row in self._db.execute(query)]

    def ended_elsewhere(self) -> list[Held]:
        """Return each current end once that the hub sent, this store did not make, and the person was not shown."""
        unlisted = {held.version: held for held in self.all() if not held.listed}
        return list(unlisted.values())

    def mark_listed(self, versions: Sequence[Version]) -> None:
        """Record that the person was shown these statements; one that came meanwhile is not meant."""
        with transaction(self._db):
            for table, version in product(("statements", "unconfirmed"), versions):
                query = f"UPDATE {table} SET listed = 1 WHERE serial = ? AND hash = ?"  # noqa: S608 - two constants
                self._db.execute(query, (version.serial, version.hash))

    def accept(self, held: Held) -> None:
        """Make a statement current that the person accepted. The hub has it already."""
        self.put(replace(held, listed=True))

    def _keep_unconfirmed(self, held: Held) -> SerialVerdict:
        query = "SELECT serial, hash, seen_ms FROM unconfirmed WHERE topic = ? AND peer = ?"
        row = self._db.execute(query, (held.topic, held.peer)).fetchone()
        (kept,) = self._db.execute("SELECT count(*) FROM unconfirmed").fetchone()
        if row is None and kept >= MAX_UNCONFIRMED:
            raise Refused(Reason.OVERLOADED, "as many statements are unconfirmed as are kept")
        before, seen = (None, self._clock()) if row is None else (Version(Serial(row[0]), Hash(row[1])), row[2])
        if wins(before, held.version):
            query = f"INSERT OR REPLACE INTO unconfirmed ({_COLUMNS}, seen_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            self._db.execute(query, (*_row(held), seen))
        return compare(before, held.version)

    def unpublished(self) -> list[Held]:
        """Return each statement that the hub has not acknowledged once: restrictions first, then by serial."""
        waiting = {held.version: held for held in self.all() if not held.acknowledged}
        return sorted(waiting.values(), key=lambda held: (held.kind not in RESTRICTION, held.serial))

    def restriction_waits(self) -> bool:
        """Return whether the hub has not acknowledged a restriction."""
        query = "SELECT EXISTS (SELECT 1 FROM statements WHERE acknowledged = 0 AND kind IN (?, ?))"
        (waits,) = self._db.execute(query, tuple(sorted(RESTRICTION))).fetchone()
        return bool(waits)

    def hub_holds(self, newest: int) -> None:
        """Record the newest serial at the hub: all above it must be sent, also again after the hub was restored."""
        self._db.execute("UPDATE statements SET acknowledged = 0 WHERE serial > ?", (newest,))

    def hub_lists(self, statements: Iterable[tuple[Kind, Signed]]) -> None:
        """Record all that the hub listed: what it lacks, or has an older one of, must be sent, with any serial.

        A copy of the key may have dated what the hub calls its newest, and then the hub was restored. What it has a
        newer one of is taken in, or waits for the person.
        """
        listed: dict[tuple[Topic, str], Version] = {}
        for kind, signed in statements:
            body = read(signed, _body_of(kind))
            version = Version(body.serial, statement_hash(kind, signed.body))
            for place in topics_of(body):
                if wins(listed.get(place), version):
                    listed[place] = version
        with transaction(self._db):
            for held in self.all():
                at_hub = listed.get((held.topic, held.peer))
                # It lists no card that no peer may ask for, and an ``untrust`` once, as long as no newer trust stands.
                unlisted = held.topic is Topic.CARD or (held.topic is Topic.GRANT and held.kind is Kind.UNTRUST)
                if wins(at_hub, held.version) and not (at_hub is None and unlisted):
                    query = "UPDATE statements SET acknowledged = 0 WHERE topic = ? AND peer = ?"
                    self._db.execute(query, (held.topic, held.peer))

    def forget_hub(self) -> None:
        """Mark every statement as unknown to the hub, since it is another hub."""
        self._db.execute("UPDATE statements SET acknowledged = 0")
        self._db.execute("UPDATE serials SET synced = 0, left_at_hub = 0")
        self._db.execute("DELETE FROM unconfirmed")

    def bound_hub_time(self) -> None:
        """Keep of the hub's time only what this device's clock or counter reached: another hub's clock counts now."""
        self._db.execute("UPDATE serials SET hub_at = min(hub_at, max(last, reached, ?))", (self._clock(),))

    def acknowledged(self, version: Version) -> None:
        """Record that the hub has this statement on disk; it is asked for all again, for any number that it names next.

        A hub that was restored since may name the number from before.
        """
        query = "UPDATE statements SET acknowledged = 1 WHERE serial = ? AND hash = ?"
        with transaction(self._db):
            self._db.execute(query, (version.serial, version.hash))
            self.mark_synced(0)

    def say(self, body: Card | Governance, key: SigningKey, *, listed: bool = True) -> Signed:
        """Sign a statement of this device and make it current."""
        signed = sign(body, key)
        version = Version(body.serial, statement_hash(body.KIND, signed.body))
        with transaction(self._db):
            for topic, peer in topics_of(body):
                self.put(Held(topic, ClientId(peer), body.KIND, version, signed, acknowledged=False, listed=listed))
        return signed

    def apply(
        self, kind: Kind, signed: Signed, me: ClientId, key: PublicKey, on_unknown: Callable[[], None]
    ) -> SerialVerdict:
        """Apply one of this device's own statements that the hub sent back.

        Trust or a grant that this store did not make stays unconfirmed until the person accepts it: a thief with a copy
        of the key may have signed it. ``on_unknown`` is called for each that the store lacks, also if it is
        refused for its date or for want of room.

        Raises ``Refused`` for one that this device's current key did not sign: ``mismatch``, ``bad_signature``,
        ``malformed``, ``unsupported``; ``clock_ahead`` for one dated more than a day ahead, of the hub's clock too;
        ``overloaded`` for one more than ``MAX_UNCONFIRMED`` unconfirmed ones. A restriction is taken with any date.
        """
        body = verify(signed, key, _body_of(kind))
        if body.client != me:
            raise Refused(Reason.MISMATCH, "not a statement of this device")
        if not isinstance(body, Card):
            check_governance(body)
        version = Version(body.serial, statement_hash(kind, signed.body))
        if any(self._lacks(topic, peer, version) for topic, peer in topics_of(body)):
            on_unknown()
        # A clock that went back knows later times from before.
        now = max(self._clock(), self.reached())
        ahead = is_ahead(body.serial, now)
        # Where this clock is behind the hub's, a copy of the key can date a statement ahead of it that the hub takes.
        if kind not in RESTRICTION and is_ahead(body.serial, max(now, self._hub_at())):
            raise Refused(Reason.CLOCK_AHEAD, "a statement of this device")
        with transaction(self._db):
            if not ahead:
                self._db.execute("UPDATE serials SET last = max(last, ?)", (body.serial,))
            verdicts = [self._take(topic, peer, kind, version, signed) for topic, peer in topics_of(body)]
        # An untrust that is older than the trust may end the grant nevertheless.
        return SerialVerdict.TAKEN if SerialVerdict.TAKEN in verdicts else verdicts[0]

    def _lacks(self, topic: Topic, peer: str, version: Version) -> bool:
        """Return whether neither what counts here nor what waits for the person about this is that new."""
        about = "SELECT serial, hash FROM {} WHERE topic = ?1 AND peer = ?2"
        query = f"{about.format('statements')} UNION {about.format('unconfirmed')}"
        return all(wins(Version(*row), version) for row in self._db.execute(query, (topic, peer)))

    def _take(self, topic: Topic, peer: str, kind: Kind, version: Version, signed: Signed) -> SerialVerdict:
        held = self.get(topic, peer)
        before = None if held is None else held.version
        if wins(before, version):
            listed = kind is Kind.CARD
            new = Held(topic, ClientId(peer), kind, version, signed, acknowledged=True, listed=listed)
            if kind in EXTENSION:
                return self._keep_unconfirmed(new)
            self.put(new)
        return compare(before, version)

    def sign_again(self, key: SigningKey, trusted: Collection[ClientId]) -> None:
        """Sign again, with the current key, every current statement that a retired key signed.

        What a retired key signed counts nowhere, and what waited for the person under it has lapsed. The card is made
        again when it is next needed. Each keeps its serial unless it is ahead: where this database is older than the
        key file, a new one would put back what the device took back since. ``trusted``: the peers that this device ever
        trusted. An end about another one has nothing to end, and a copy of the key can make any number of them.
        """
        with transaction(self._db):
            now = max(self._clock(), self.reached(), self._hub_at())
            for held in self.all():
                if held.signed.signer == key.fingerprint:
                    continue
                if held.kind in RESTRICTION and held.peer not in trusted:
                    self._db.execute("DELETE FROM statements WHERE topic = ? AND peer = ?", (held.topic, held.peer))
                else:
                    self._say_again([held], key, None if is_ahead(held.serial, now) else held.serial)
            self._db.execute("DELETE FROM unconfirmed WHERE signer != ?", (key.fingerprint,))

    def sign_newer(self, held: Held, key: SigningKey) -> Held | None:
        """Sign a restriction once more, with a higher serial; None where another statement took its place here."""
        topic = Topic.TRUST if held.kind is Kind.UNTRUST else Topic.GRANT
        with transaction(self._db):
            current = self.get(topic, held.peer)
            if current is None or current.version != held.version:
                return None
            self._say_again([current], key)
            return self.get(topic, held.peer)

    def _say_again(self, statements: Sequence[Held], key: SigningKey, serial: Serial | None = None) -> None:
        """Sign these again with this serial, or each with a new one."""
        for held in statements:
            if held.topic is Topic.CARD:
                self._db.execute("DELETE FROM statements WHERE topic = ?", (Topic.CARD,))
            else:
                body = read(held.signed, GOVERNANCE[held.kind])
                body = structs.replace(body, serial=serial or self.allocate(held.peer))
                self.say(body, key, listed=held.listed)


def _row(held: Held) -> _Row:
    version, signed = held.version, held.signed
    parts = (signed.body, signed.signer, signed.signature)
    return held.topic, held.peer, held.kind, version.serial, version.hash, *parts, held.acknowledged, held.listed


def _body_of(kind: Kind) -> type[Card] | type[Trust] | type[Untrust] | type[Grant] | type[Revocation]:
    if kind is Kind.CARD:
        return Card
    if kind not in GOVERNANCE:
        raise Refused(Reason.UNSUPPORTED, "not a kind that a device keeps")
    return GOVERNANCE[kind]


def topics_of(body: Card | Governance) -> list[tuple[Topic, str]]:
    """Return the topics on which a statement counts, each with the peer that it is about."""
    match body:
        case Card():
            return [(Topic.CARD, "")]
        case Trust():
            return [(Topic.TRUST, body.peer)]
        case Untrust():
            # It ends the grant as well, also after a later trust has replaced it on the other topic.
            return [(Topic.TRUST, body.peer), (Topic.GRANT, body.peer)]
        case Grant() | Revocation():
            return [(Topic.GRANT, body.peer)]
