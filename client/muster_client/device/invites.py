"""What this device must remember of invites: those that wait for its person, those answered, and one-time uses."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from muster_client.device.database import transaction
from muster_client.errors import UnknownInvite
from muster_client.events import InboxEntry
from muster_protocol.exchange import Invite
from muster_protocol.ids import Fingerprint, GrantId, InviteId, Signature, TimeMs
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read

MAX_INBOX = 64
"""Invites that wait for the person; more are declined."""
KEPT_AFTER_MS = 60 * 60 * 1000
"""How long past its end an invite is remembered, for a peer whose clock is behind."""
ACCEPTED = "accepted"

_COLUMNS = "body, signer, signature, received_ms, expires_ms, outcome"


@dataclass(frozen=True, slots=True)
class Remembered:
    """An invite that came, and what was said to it: None (it waits), ``accepted``, or a reason."""

    signed: Signed
    invite: Invite
    received_ms: TimeMs
    expires_ms: TimeMs
    outcome: str | None

    @property
    def refused(self) -> Reason | None:
        """The reason of a refusal that was given."""
        return None if self.outcome in {None, ACCEPTED} else Reason(self.outcome)

    @property
    def entry(self) -> InboxEntry:
        """The invite as people see it."""
        return InboxEntry(
            id=self.invite.invite.hex(),
            creator=self.invite.sender,
            session=self.invite.session,
            mode=self.invite.mode,
            profile=self.invite.profile,
            received_at=self.received_ms,
            expires_at=self.expires_ms,
        )


_Row = tuple[bytes, bytes, bytes, int, int, str | None]


def _remembered(row: _Row) -> Remembered:
    body, signer, signature, received_ms, expires_ms, outcome = row
    signed = Signed(body, Fingerprint(signer), Signature(signature))
    return Remembered(signed, read(signed, Invite), TimeMs(received_ms), TimeMs(expires_ms), outcome)


class Invites:
    """Invites and uses in the device's database."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], TimeMs]) -> None:
        self._db = connection
        self._clock = clock

    def remember(self, signed: Signed, invite: Invite, outcome: str | None) -> bool:
        """Write down an invite, once; False where the inbox is full.

        It is kept for as long as it says that it lives, counted from now by this device's own clock.
        """
        now = self._clock()
        expires_ms = now + (invite.expires_at - invite.at)
        row = (invite.invite, signed.body, signed.signer, signed.signature, now, expires_ms, outcome)
        with transaction(self._db):
            self._forget(now)
            if outcome is None and len(self.waiting()) >= MAX_INBOX:
                return False
            self._db.execute(
                f"INSERT INTO invites (invite, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
                " ON CONFLICT (invite) DO UPDATE SET outcome = excluded.outcome",
                row,
            )
        return True

    def _forget(self, now: TimeMs) -> None:
        self._db.execute("DELETE FROM invites WHERE expires_ms < ?", (now - KEPT_AFTER_MS,))

    def get(self, invite: InviteId) -> Remembered | None:
        """Give what is remembered of an invite."""
        query = f"SELECT {_COLUMNS} FROM invites WHERE invite = ?"  # noqa: S608
        row = self._db.execute(query, (invite,)).fetchone()
        return None if row is None else _remembered(row)

    def waiting(self) -> list[Remembered]:
        """Give the invites that wait for the person and are not over by this device's clock, oldest first."""
        query = f"SELECT {_COLUMNS} FROM invites WHERE outcome IS NULL AND expires_ms > ? ORDER BY received_ms"  # noqa: S608
        return [_remembered(row) for row in self._db.execute(query, (self._clock(),))]

    def find(self, beginning: str) -> Remembered:
        """Find a waiting invite by the beginning of its id in hex; raises ``UnknownInvite``."""
        typed = beginning.strip().lower()
        found = [one for one in self.waiting() if typed and one.entry.id.startswith(typed)]
        if len(found) != 1:
            raise UnknownInvite("no open invite has this id" if not found else "more than one invite starts like this")
        return found[0]

    def settle(self, invite: InviteId, outcome: str) -> bool:
        """Write down what was said to a waiting invite; False where somebody said something already."""
        query = "UPDATE invites SET outcome = ? WHERE invite = ? AND outcome IS NULL"
        return self._db.execute(query, (outcome, invite)).rowcount == 1

    def spend(self, grant: GrantId, invite: InviteId) -> bool:
        """Spend a one-time grant on an invite, durably; False where it was spent before, on whatever."""
        query = "INSERT OR IGNORE INTO uses VALUES (?, ?, ?)"
        return self._db.execute(query, (grant, invite, self._clock())).rowcount == 1

    def spent(self) -> frozenset[GrantId]:
        """Give the one-time grants that were spent."""
        return frozenset(GrantId(grant) for (grant,) in self._db.execute("SELECT grant_id FROM uses"))
