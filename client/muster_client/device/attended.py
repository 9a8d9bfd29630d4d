"""The device's durable memory of the sessions that it joined: what each is, and the newest epoch accepted of it."""

import sqlite3

from muster_client.device.clock import DeviceClock
from muster_client.device.database import transaction
from muster_protocol.attended import Attended
from muster_protocol.cards import Mode
from muster_protocol.frames import MAX_SESSION_MS, SessionKind
from muster_protocol.ids import Fingerprint, Hash, SessionId

MAX_ATTENDED = 1024
"""Sessions remembered. Beyond that the creator with the most gives way, with the one that moved on longest ago."""

_OLDEST_OF_THE_MOST = """
SELECT session FROM sessions WHERE creator_key = (
    SELECT creator_key FROM sessions GROUP BY creator_key ORDER BY count(*) DESC LIMIT 1
) ORDER BY at_ms LIMIT (SELECT max(0, count(*) - ?) FROM sessions)
"""


class AttendedSessions:
    """The sessions in the device's database, each for as long as one can last. A session in memory needs no row."""

    def __init__(self, connection: sqlite3.Connection, clock: DeviceClock) -> None:
        self._db = connection
        self._clock = clock

    def get(self, session: SessionId) -> Attended | None:
        """Return what is stored of a session, or None."""
        query = "SELECT kind, mode, profile, creator_key, number, epoch FROM sessions WHERE session = ?"
        row = self._db.execute(query, (session,)).fetchone()
        if row is None:
            return None
        kind, mode, profile, creator_key, number, epoch = row
        return Attended(SessionKind(kind), Mode(mode), profile, Fingerprint(creator_key), number, Hash(epoch))

    def put(self, session: SessionId, now: Attended) -> None:
        """Store what a session is at the newest epoch accepted, durably."""
        at_ms = self._clock()
        row = (session, now.kind.value, now.mode.value, now.profile, now.creator_key, now.number, now.epoch, at_ms)
        with transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            self._db.execute("DELETE FROM sessions WHERE at_ms < ?", (at_ms - MAX_SESSION_MS,))
            self._db.execute(f"DELETE FROM sessions WHERE session IN ({_OLDEST_OF_THE_MOST})", (MAX_ATTENDED,))  # noqa: S608
