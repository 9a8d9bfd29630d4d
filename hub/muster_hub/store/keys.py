"""Every key that the hub keeps in its store: its type, what it holds, and what bounds it.

A key carries its bucket as a hash tag, `{b:00}` to `{b:ff}`, the first byte of the id it belongs to, so that all keys
of one device (or one session) lie in one slot of a cluster and one script may touch them together. The scripts take the
bounds from here. DEVICE_KEPT_MS counts from when the device was last connected; without a peer and without a rotation
it is a day.

| key | type | holds | bound |
|---|---|---|---|
| `{b:xx}:d:<client>` | hash | a device: card, standing, `ver`, serial, continuity | 8 KiB; DEVICE_KEPT_MS |
| `{b:xx}:dp:<client>` | hash | peers: trust statements that this device made | MAX_PEERS (1,024); DEVICE_KEPT_MS |
| `{b:xx}:dg:<client>` | hash | grants that this device made | MAX_PEERS (1,024); DEVICE_KEPT_MS |
| `{b:xx}:do:<client>` | sorted set | stated: the rows of both that hold a statement, by serial | as many as both |
| `{b:xx}:du:<client>` | hash | uses: one-shot grants held for a join or spent | as many as grants |
| `{b:xx}:di:<client>` | hash | instances: one agent, and command lines | MAX_CLI_INSTANCES (8) + 1 |
| `{b:xx}:dx:<client>` | hash | inbox: a day each | MAX_INBOX (64), MAX_INBOX_PER_SENDER (16) |
| `{b:xx}:da:<client>` | sorted set | acknowledged pushes, by when | MAX_ACKNOWLEDGED (32); ACKNOWLEDGED_KEPT_MS |
| `{b:xx}:ds:<client>` | sorted set | session index, by end | MAX_INDEXED_SESSIONS (256), MAX_INDEXED_PER_CREATOR (64) |
| `{b:xx}:dw:<client>` | hash | watchers: nodes that are told of presence, and until when | nodes; a minute each |
| `{b:xx}:s:<session>` | hash | a session: creator, mode, kind, state, epoch, hard end | 1 KiB; a day after its end |
| `{b:xx}:sr:<session>` | hash | roster: all devices that were ever members | MAX_INVITES_PER_SESSION (256) + 1 |
| `{b:xx}:sv:<session>` | hash | minimum versions: least `ver` to join, cuts | a device: MAX_CUTS_REMEMBERED (64) |
| `{b:xx}:se:<session>` | hash | epochs: number to signed statement, and hashes | MAX_EPOCHS_KEPT (256) |
| `{b:xx}:sx:<session>` | hash | sealed: keys, admissions, what members said | members, 8 KiB each; with the session |
| `{b:xx}:si:<session>` | hash | invite outcomes | MAX_INVITES_PER_SESSION (256), MAX_INVITES_PER_TARGET (16) |
| `{b:xx}:out` | stream | outbox: effects until they are drained, and records | MAX_RECORDS_KEPT (1,000) records |
| `{b:xx}:due` | sorted set | seats that wait for their `joined`, by deadline | as many as seats, seconds each |
| `{b:xx}:drained` | hash | by consumer, the last outbox id that it took | consumers: one |
| `{b:xx}:enrolled` | hash | enrolled devices: since when, and by whom | MAX_ENROLLED (4,096) |
| `{n}:leases` | hash | leases: one row per node, its incarnation and counter | MAX_NODES (1,024); a day after the end |
| `{n:<node>}:bus` | channel | sharded channel: what other nodes send to this one | nothing is kept |
| `{h}:hub` | string | this store's hub: fingerprint of its key | one |
| `{h}:codes` | hash | codes, by hash, for two days | MAX_CODES (100), MAX_CODES_A_DAY (10), MAX_CODES_KEPT (1,024) |
"""

from functools import lru_cache

from muster_protocol import enrolment
from muster_protocol.frames import MAX_MEMBERS, MAX_ROSTER

BUCKETS = 256
KEYS_CACHED = 2_048
"""Keys that are cached, 0.2 KiB each: those of some hundred devices and sessions."""
DAY_MS = 86_400_000
DEVICE_KEPT_MS = 90 * DAY_MS
"""How long the hub keeps what a device stated after it was last connected. It publishes all of it again afterwards."""
MAX_PEERS = 1_024
MAX_CLI_INSTANCES = 8
MAX_INBOX = 64
MAX_INBOX_PER_SENDER = MAX_INBOX // 4
"""Pushes of one device that wait in the inbox of another, so that its other peers reach it too."""
MAX_ACKNOWLEDGED = 32
ACKNOWLEDGED_KEPT_MS = 600_000
"""How long an acknowledged push is known, so that it does not come again: the outbox repeats effects within seconds."""
MAX_INDEXED_SESSIONS = 256
MAX_INDEXED_PER_CREATOR = MAX_INDEXED_SESSIONS // 4
"""Sessions of one other device in a device's index, so that others find a place in it."""
SESSIONS_A_DAY = 1_024
"""Sessions that a device may make at once, each kept for a day after its end; then one every SESSION_EVERY_MS."""
SESSION_EVERY_MS = DAY_MS // SESSIONS_A_DAY
MAX_INVITES_PER_SESSION = MAX_ROSTER - 1
MAX_INVITES_PER_TARGET = MAX_INVITES_PER_SESSION // MAX_MEMBERS
"""Invites of one session to one device. A full session of members that come back again and again leaves some."""
MAX_EPOCHS_KEPT = 256
MAX_CUTS_REMEMBERED = 64
MAX_RECORDS_KEPT = 1_000
RECORDS_TRIMMED_AT_ONCE = 256
MAX_NODES = 1_024
MAX_ENROLLED = 4_096
"""Enrolled devices of one bucket: a million in all."""
CODE_MS = enrolment.CODE_MS
"""How long the code of an invitation may be used."""
MAX_CODES = 100
"""Unused codes of the operator."""
MAX_CODES_A_DAY = 10
"""Codes that one device may make in a day, used or not."""
MAX_CODES_KEPT = 1_024
LEASES = b"{n}:leases"
HUB = b"{h}:hub"
CODES = b"{h}:codes"

_FIRST_BYTE_LETTERS = 2
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_BUCKETS = {one + two: high << 3 | low >> 2 for high, one in enumerate(_LETTERS) for low, two in enumerate(_LETTERS)}


def bucket(name: str) -> int:
    """Return the bucket, 0 to 255, of a 32-letter base32 id; raises ``ValueError`` if its first letters are no base32.

    The first byte of the decoded id is the first letter's five bits and the upper three of the second.
    """
    try:
        return _BUCKETS[name[:_FIRST_BYTE_LETTERS]]
    except KeyError:
        raise ValueError("not a lower-case base32 id") from None


def tag(number: int) -> bytes:
    """Return the hash tag of a bucket, braces included; raises ``ValueError`` outside 0 to 255."""
    if not 0 <= number < BUCKETS:
        raise ValueError(f"no bucket {number}")
    return _TAGS[number]


_TAGS = tuple(f"{{b:{number:02x}}}".encode() for number in range(BUCKETS))


def device(client: str) -> bytes:
    """Return the key of a device's own hash."""
    return _key(client, b"d")


def peers(client: str) -> bytes:
    """Return the key of the trust statements that a device made, by peer."""
    return _key(client, b"dp")


def grants(client: str) -> bytes:
    """Return the key of the grants that a device made."""
    return _key(client, b"dg")


def stated(client: str) -> bytes:
    """Return the key of the order of a device's statements about peers: ``peers:`` or ``grants:`` and the peer."""
    return _key(client, b"do")


def uses(client: str) -> bytes:
    """Return the key of the uses that are held or spent of a device's one-shot grants."""
    return _key(client, b"du")


def instances(client: str) -> bytes:
    """Return the key of a device's live instances."""
    return _key(client, b"di")


def inbox(client: str) -> bytes:
    """Return the key of the pushes that wait for a device's acknowledgement."""
    return _key(client, b"dx")


def acknowledged(client: str) -> bytes:
    """Return the key of the pushes that a device acknowledged a while ago."""
    return _key(client, b"da")


def session_index(client: str) -> bytes:
    """Return the key of the sessions that a device was held for, each with its creator, by their hard end."""
    return _key(client, b"ds")


def watchers(client: str) -> bytes:
    """Return the key of the nodes that watch a device's presence."""
    return _key(client, b"dw")


def session(sid: str) -> bytes:
    """Return the key of a session's own hash."""
    return _key(sid, b"s")


def roster(sid: str) -> bytes:
    """Return the key of a session's members."""
    return _key(sid, b"sr")


def minimum_versions(sid: str) -> bytes:
    """Return the key of the least ``ver`` of each device that a session still commits."""
    return _key(sid, b"sv")


def epochs(sid: str) -> bytes:
    """Return the key of a session's epoch statements."""
    return _key(sid, b"se")


def sealed(sid: str) -> bytes:
    """Return the key of a session's sealed keys, admissions and newest ``joined`` statements."""
    return _key(sid, b"sx")


def invite_outcomes(sid: str) -> bytes:
    """Return the key of a session's live invites, and of how its other invites ended."""
    return _key(sid, b"si")


def outbox(number: int) -> bytes:
    """Return the key of a bucket's outbox stream."""
    return tag(number) + b":out"


def due(number: int) -> bytes:
    """Return the key of the seats in a bucket's sessions that wait for their ``joined``."""
    return tag(number) + b":due"


def drained(number: int) -> bytes:
    """Return the key of how far each consumer drained a bucket's outbox."""
    return tag(number) + b":drained"


def enrolled(number: int) -> bytes:
    """Return the key of the enrolled devices of a bucket."""
    return tag(number) + b":enrolled"


def channel(node: str) -> bytes:
    """Return the sharded channel to which a node subscribes."""
    return b"{n:" + node.encode() + b"}:bus"


@lru_cache(maxsize=KEYS_CACHED)
def _key(name: str, kind: bytes) -> bytes:
    return _TAGS[bucket(name)] + b":" + kind + b":" + name.encode()
