"""The device's database: one SQLite file, safe for an agent and command lines at once.

Everything durable but the key lives here. A write is on disk when its transaction ends (``synchronous=FULL``).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from typing_extensions import override

from muster_client.device.private_files import close_to_others, create_private
from muster_client.errors import DataNotWritten, NewerData, UnusableData

SCHEMA_VERSION = 1
BUSY_TIMEOUT_MS = 5_000
"""How long a process waits for another one's transaction."""

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- One row: the serial last used, and `changes` of the `welcome` at which all that the hub holds was last taken in.
CREATE TABLE serials (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL, synced INTEGER NOT NULL,
    hub_at INTEGER,  -- the newest time of a verified `welcome`
    left_at_hub INTEGER NOT NULL,  -- whether a statement found no room in `unconfirmed`, and is asked for again
    reached INTEGER NOT NULL,  -- the latest time that both this clock and a verified `welcome` had reached
    dated INTEGER NOT NULL);  -- the newest date of a word in a session, below which no serial may fall
INSERT INTO serials VALUES (1, 0, 0, NULL, 0, 0, 0);

-- The newest statement about each topic: ('card', ''), ('trust', peer), ('grant', peer). `listed` is 0 for an end that
-- the hub sent and this store did not make, until the person was shown it.
CREATE TABLE statements (
    topic TEXT NOT NULL, peer TEXT NOT NULL, kind TEXT NOT NULL, serial INTEGER NOT NULL, hash BLOB NOT NULL,
    body BLOB NOT NULL, signer BLOB NOT NULL, signature BLOB NOT NULL, acknowledged INTEGER NOT NULL,
    listed INTEGER NOT NULL, PRIMARY KEY (topic, peer)
) WITHOUT ROWID;

-- Trust and grants of this device's key that the hub showed and this store did not make. They are unconfirmed and count
-- for nothing until the person accepts them. `seen_ms`: when the hub first showed one about this topic and peer.
-- `listed`: the person was shown this one, not only one that it replaced.
CREATE TABLE unconfirmed (
    topic TEXT NOT NULL, peer TEXT NOT NULL, kind TEXT NOT NULL, serial INTEGER NOT NULL, hash BLOB NOT NULL,
    body BLOB NOT NULL, signer BLOB NOT NULL, signature BLOB NOT NULL, acknowledged INTEGER NOT NULL,
    listed INTEGER NOT NULL, seen_ms INTEGER NOT NULL, PRIMARY KEY (topic, peer)
) WITHOUT ROWID;

CREATE TABLE peers (client TEXT PRIMARY KEY, nickname TEXT COLLATE NOCASE UNIQUE, added_ms INTEGER NOT NULL)
    WITHOUT ROWID;

-- The newest card of each peer whose key is the pinned one.
CREATE TABLE cards (client TEXT PRIMARY KEY, serial INTEGER NOT NULL, body BLOB NOT NULL, signer BLOB NOT NULL,
    signature BLOB NOT NULL) WITHOUT ROWID;

-- One-time grants that were spent, and on which invite. Written before the answer leaves.
CREATE TABLE uses (grant_id BLOB PRIMARY KEY, invite BLOB NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;

-- Invites: those that wait for the person (outcome NULL), and those answered, until no peer can ask again.
CREATE TABLE invites (
    number INTEGER PRIMARY KEY AUTOINCREMENT, invite BLOB NOT NULL UNIQUE,
    body BLOB NOT NULL, signer BLOB NOT NULL, signature BLOB NOT NULL,
    received_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, outcome TEXT,
    sender TEXT NOT NULL, kept_until_ms INTEGER NOT NULL
);
CREATE INDEX invites_by_sender ON invites (sender);

-- Sessions of others that this device joined, as the invite named each by which it joined first, and the newest epoch
-- accepted, when that was.
CREATE TABLE sessions (
    session TEXT PRIMARY KEY, kind TEXT NOT NULL, mode TEXT NOT NULL, profile TEXT, creator_key BLOB NOT NULL,
    number INTEGER NOT NULL, epoch BLOB NOT NULL, at_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""


_PRIMARY = 0xFF
"""An extended code of SQLite holds its primary one in the lowest byte."""
_NOT_WRITTEN = {
    sqlite3.SQLITE_FULL: "the disk that holds the device's data is full",
    sqlite3.SQLITE_IOERR: "the disk that holds the device's data does not take them: full or broken",
    sqlite3.SQLITE_READONLY: "the device's data can be read and not written; see that they are this user's to write",
    sqlite3.SQLITE_CANTOPEN: "the device's data cannot be opened; see that they are this user's to write",
}
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT: "its pages do not fit together",
    sqlite3.SQLITE_NOTADB: "it is no database",
}


def damaged(what: str) -> UnusableData:
    """Return the error for data that are not as this program wrote them."""
    mended = "put the whole folder back from a backup, or move it away and run `muster init`"
    return UnusableData(f"the device's data are damaged: {what}; {mended}")


@contextmanager
def _in_words(cursor: sqlite3.Cursor) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        # The error holds the cursor, and an open one would keep the file open after the connection is closed.
        cursor.close()
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
        if code in _NOT_WRITTEN:
            raise DataNotWritten(_NOT_WRITTEN[code]) from error
        if code in _DAMAGED:
            raise damaged(_DAMAGED[code]) from error
        raise


class _Cursor(sqlite3.Cursor):
    """Cursor that turns SQLite's disk and corruption errors into ``DataNotWritten`` and ``UnusableData``."""

    @override
    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        with _in_words(self):
            return super().execute(sql, parameters)

    @override
    def fetchone(self) -> Any:
        with _in_words(self):
            return super().fetchone()

    @override
    def __next__(self) -> Any:
        with _in_words(self):
            return super().__next__()


class _DatabaseConnection(sqlite3.Connection):
    """Connection whose cursors raise the library's own errors."""

    @override
    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return self.cursor(_Cursor).execute(sql, parameters)


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database, 0600 in a folder 0700, or create it.

    Raises ``NewerData`` if a newer version of Muster wrote it, ``UnusableData`` if it is damaged, ``DataNotWritten`` if
    the disk is full. The queries of the connection raise the last two as well.
    """
    create_private(path)
    for one in (path.parent, path, *(path.with_name(path.name + part) for part in ("-wal", "-shm"))):
        # A backup that was put back may have lost their modes.
        close_to_others(one)
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000, factory=_DatabaseConnection
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    if _version(connection) == SCHEMA_VERSION:
        return
    with transaction(connection):
        version = _version(connection)
        if version > SCHEMA_VERSION:
            raise NewerData("the device's data were written by a newer version of Muster; update this one")
        if version == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock from the first read on, so that two processes never decide by the same state."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    # A full disk may have ended the transaction already.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def changes_by_others(connection: sqlite3.Connection) -> int:
    """Return a number that changes when another connection, of this or another process, commits."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)
