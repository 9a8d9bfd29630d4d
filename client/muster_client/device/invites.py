"""The device's durable memory of invites: waiting ones, answered ones, and uses of one-time grants."""

import sqlite3
from dataclasses import dataclass, replace

from muster_client.device.clock import DeviceClock
from muster_client.device.database import transaction
from muster_client.errors import UnknownInvite
from muster_client.events import InboxEntry
from muster_protocol.exchange import CLOCK_SKEW_MS, Invite, hash_of
from muster_protocol.ids import ClientId, Fingerprint, GrantId, Hash, InviteId, Signature, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read

MAX_INBOX = 64
"""Invites that may wait for the person; further ones are declined."""
MAX_INBOX_PER_SENDER = 8
"""Invites of one device among them, so that its other peers reach the person too."""
MAX_INVITES = 8192
"""Invites remembered. One sender has no more of them than are left free for the others; further ones are declined."""
KEPT_AFTER_MS = 60 * 60 * 1000
"""How long an answer to an invite counts after the invite expired, for a peer whose clock is behind."""
ACCEPTED = "accepted"
JOINED = "joined"
"""Outcome of an invite whose admission was opened. It is over: a yes, or a use of a grant, joins once."""
ENDED = "ended"
"""Outcome of an invite that the hub ended. Its reason is the hub's word, which this device does not sign as its own."""

_COLUMNS = "number, body, signer, signature, received_ms, expires_ms, outcome"


@dataclass(frozen=True, slots=True)
class Remembered:
    """An invite and its outcome: None (it waits), ``accepted``, ``joined``, ``ended``, or this device's reason."""

    number: int
    signed: Signed
    invite: Invite
    received_ms: TimeMs
    expires_ms: TimeMs
    outcome: str | None

    @property
    def hash(self) -> Hash:
        """The invite's hash: only the same bytes are the same invite."""
        return hash_of(Kind.INVITE, self.signed)

    @property
    def refused(self) -> Reason | None:
        """The reason with which this device refused it, or None."""
        return None if self.outcome in {None, ACCEPTED, JOINED, ENDED} else Reason(self.outcome)

    @property
    def entry(self) -> InboxEntry:
        """The invite as an entry of the inbox."""
        return InboxEntry(
            id=self.invite.invite.hex(),
            number=self.number,
            creator=self.invite.sender,
            session=self.invite.session,
            mode=self.invite.mode,
            profile=self.invite.profile,
            received_at=self.received_ms,
            expires_at=self.expires_ms,
        )


_Row = tuple[int, bytes, bytes, bytes, int, int, str | None]


def _remembered(row: _Row) -> Remembered:
    number, body, signer, signature, received_ms, expires_ms, outcome = row
    signed = Signed(body, Fingerprint(signer), Signature(signature))
    return Remembered(number, signed, read(signed, Invite), TimeMs(received_ms), TimeMs(expires_ms), outcome)


class Invites:
    """The invites and uses in the device's database."""

    def __init__(self, connection: sqlite3.Connection, clock: DeviceClock) -> None:
        self._db = connection
        self._clock = clock

    def remember(self, signed: Signed, invite: Invite, outcome: str | None) -> bool:
        """Store an invite once, and return False if there is no room for it, or none in the inbox.

        It lives for its own lifetime, a day at most, counted from now by this device's clock. It is remembered until
        it would be refused as expired; one dated further ahead than is accepted, no longer than others.
        """
        now = self._clock()
        expires_ms = now + invite.lifetime_ms
        kept_until_ms = max(
            expires_ms + KEPT_AFTER_MS, min(invite.at, now + CLOCK_SKEW_MS) + invite.lifetime_ms + CLOCK_SKEW_MS
        )
        row = (invite.invite, signed.body, signed.signer, signed.signature, now, expires_ms, outcome)
        with transaction(self._db):
            if not self.has_room(invite) or (outcome is None and not self._inbox_has_room(invite.sender)):
                return False
            self._db.execute(
                "INSERT INTO invites (invite, body, signer, signature, received_ms, expires_ms, outcome, sender,"
                " kept_until_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (invite) DO UPDATE SET outcome = excluded.outcome",
                (*row, invite.sender, kept_until_ms),
            )
        return True

    def has_room(self, invite: Invite) -> bool:
        """Return whether an invite is remembered, or can be."""
        self._db.execute("DELETE FROM invites WHERE kept_until_ms < ?", (self._clock(),))
        if self.get(invite.invite) is not None:
            return True
        query = "SELECT count(*), count(*) FILTER (WHERE sender = ?) FROM invites"
        total, senders = self._db.execute(query, (invite.sender,)).fetchone()
        return bool(senders < MAX_INVITES - total)

    def _inbox_has_room(self, sender: ClientId) -> bool:
        senders = [remembered.invite.sender for remembered in self.waiting()]
        return len(senders) < MAX_INBOX and senders.count(sender) < MAX_INBOX_PER_SENDER

    def get(self, invite: InviteId) -> Remembered | None:
        """Return an invite, or None if it is unknown. One that was not joined in time is over, also if accepted."""
        query = f"SELECT {_COLUMNS} FROM invites WHERE invite = ?"  # noqa: S608
        row = self._db.execute(query, (invite,)).fetchone()
        if row is None:
            return None
        found = _remembered(row)
        late = self._clock() >= found.expires_ms + KEPT_AFTER_MS
        return replace(found, outcome=Reason.EXPIRED) if late and found.outcome in {None, ACCEPTED} else found

    def waiting(self) -> list[Remembered]:
        """Return the invites that wait for the person and have not expired by this device's clock, oldest first."""
        query = f"SELECT {_COLUMNS} FROM invites WHERE outcome IS NULL AND expires_ms > ? ORDER BY received_ms"  # noqa: S608
        return [_remembered(row) for row in self._db.execute(query, (self._clock(),))]

    def find(self, named: str) -> Remembered:
        """Return the waiting invite of this number or whole id; raises ``UnknownInvite``.

        A part of the id does not name it: its creator chose the id, and could take the invite back and send another
        one that begins alike.
        """
        typed = named.strip().lower()
        for one in self.waiting():
            if typed in {str(one.number), one.entry.id}:
                return one
        raise UnknownInvite("no open invite has this number or id")

    def settle(self, invite: InviteId, outcome: str) -> bool:
        """Store the outcome of a waiting invite, and return False if it already has one."""
        query = "UPDATE invites SET outcome = ? WHERE invite = ? AND outcome IS NULL"
        return self._db.execute(query, (outcome, invite)).rowcount == 1

    def end_waiting(self, sender: ClientId) -> None:
        """End the waiting invites of a sender that this device trusts no more: the person is not asked by it."""
        for remembered in self.waiting():
            if remembered.invite.sender == sender:
                self.settle(remembered.invite.invite, Reason.NOT_TRUSTED)

    def end(self, invite: InviteId, outcome: str) -> bool:
        """End an invite for good, an accepted one too, and return whether it waited for the person until now."""
        with transaction(self._db):
            waited = self.settle(invite, outcome)
            query = "UPDATE invites SET outcome = ? WHERE invite = ? AND outcome = ?"
            self._db.execute(query, (outcome, invite, ACCEPTED))
        return waited

    def join(self, invite: InviteId) -> None:
        """End an accepted invite by its admission, durably."""
        query = "UPDATE invites SET outcome = ? WHERE invite = ? AND outcome = ?"
        self._db.execute(query, (JOINED, invite, ACCEPTED))

    def spend(self, grant: GrantId, invite: InviteId) -> bool:
        """Spend a one-time grant on an invite, durably, and return False if it was spent before."""
        query = "INSERT OR IGNORE INTO uses VALUES (?, ?, ?)"
        return self._db.execute(query, (grant, invite, self._clock())).rowcount == 1

    def uses(self) -> dict[GrantId, InviteId]:
        """Return the one-time grants that were spent, each with the invite on which it was."""
        rows = self._db.execute("SELECT grant_id, invite FROM uses")
        return {GrantId(grant): InviteId(invite) for grant, invite in rows}
