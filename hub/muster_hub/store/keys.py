"""Every key that the hub keeps in its store, what each holds, and what bounds it.

A key carries its bucket as a hash tag, `{b:00}` to `{b:ff}`, the first byte of the id it belongs to, so that all keys
of one device (or one session) lie in one slot of a cluster and one script may touch them together.

| key | type | holds | bound |
|---|---|---|---|
| `{b:xx}:d:<client>` | hash | a device: card, standing, `ver`, serial, continuity | 8 KiB; a day if nobody trusts it |
| `{b:xx}:dp:<client>` | hash | peers: trust statements that this device made | 4,096 peers |
| `{b:xx}:dg:<client>` | hash | grants that this device made | 4,096 grants |
| `{b:xx}:du:<client>` | hash | uses: one-shot grants held for a join or spent | as many as grants |
| `{b:xx}:di:<client>` | hash | instances: the agent seat and command lines, by node and incarnation | 1 + 8 |
| `{b:xx}:dx:<client>` | hash | inbox: pushes that wait for an acknowledgement | 64; each until it expires, a day |
| `{b:xx}:ds:<client>` | sorted set | noted: sessions it was held for, by hard end | 256; until that end, 7 days |
| `{b:xx}:dw:<client>` | sorted set | watchers: who asked to be told of presence, by its end | 4,096; minutes each |
| `{b:xx}:s:<session>` | hash | a session: creator, mode, kind, state, epoch, hard end | 1 KiB; a day after its end |
| `{b:xx}:sr:<session>` | hash | roster: all who were ever seated, with their keys | 256; with the session |
| `{b:xx}:sv:<session>` | hash | floors: the least `ver` to join at, the cuts made | devices noted; with the session |
| `{b:xx}:se:<session>` | hash | epochs: number to signed statement, and hashes | the newest 256; with the session |
| `{b:xx}:sx:<session>` | hash | sealed: keys, admissions, newest `joined` | members, 8 KiB each; with the session |
| `{b:xx}:si:<session>` | hash | judged: live invites by device, and how the others ended | 256; with the session |
| `{b:xx}:out` | stream | outbox: effects until they are drained, and records | the newest 1,000 records |
| `{b:xx}:due` | sorted set | due: seats that wait for their `joined`, by deadline | as many as seats, seconds each |
| `{b:xx}:drained` | hash | the last outbox id taken into each chain, and by whom | one per bucket |
| `{n}:leases` | hash | leases: one row per node, its incarnation and counter | nodes; a day after burial |
| `{n:<node>}:bus` | sharded channel | what other nodes say to this one | nothing is kept |
| `{h}:hub` | hash | this store's hub: fingerprint of its key | one |
"""

from functools import lru_cache

BUCKETS = 256
KEYS_CACHED = 2_048
"""Keys that are not spelled out again, 0.2 KiB each: those of some hundred devices and sessions."""
LEASES = b"{n}:leases"
HUB = b"{h}:hub"

_FIRST_BYTE_LETTERS = 2
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_BUCKETS = {
    one + two: place << 3 | rest >> 2 for place, one in enumerate(_LETTERS) for rest, two in enumerate(_LETTERS)
}


def bucket(name: str) -> int:
    """Return the bucket, 0 to 255, of a 32-letter base32 id; ValueError when its first letters are not base32.

    The first byte of the decoded id is the first letter's five bits and the upper three of the second.
    """
    try:
        return _BUCKETS[name[:_FIRST_BYTE_LETTERS]]
    except KeyError:
        raise ValueError("not a lower-case base32 id") from None


def tag(number: int) -> bytes:
    """Return the hash tag of a bucket, braces included; ValueError outside 0 to 255."""
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


def uses(client: str) -> bytes:
    """Return the key of what was held or spent of a device's one-shot grants."""
    return _key(client, b"du")


def instances(client: str) -> bytes:
    """Return the key of a device's live instances."""
    return _key(client, b"di")


def inbox(client: str) -> bytes:
    """Return the key of what waits for a device until it acknowledges it."""
    return _key(client, b"dx")


def session_index(client: str) -> bytes:
    """Return the key of the sessions that a device was held for."""
    return _key(client, b"ds")


def watchers(client: str) -> bytes:
    """Return the key of who watches a device's presence."""
    return _key(client, b"dw")


def session(sid: str) -> bytes:
    """Return the key of a session's own hash."""
    return _key(sid, b"s")


def roster(sid: str) -> bytes:
    """Return the key of a session's members."""
    return _key(sid, b"sr")


def minimum_versions(sid: str) -> bytes:
    """Return the key of the least `ver` of each device that a session still commits."""
    return _key(sid, b"sv")


def epochs(sid: str) -> bytes:
    """Return the key of a session's epoch statements."""
    return _key(sid, b"se")


def sealed(sid: str) -> bytes:
    """Return the key of a session's admissions that were not opened yet."""
    return _key(sid, b"sx")


def invite_outcomes(sid: str) -> bytes:
    """Return the key of a session's verdicts over joins."""
    return _key(sid, b"si")


def outbox(number: int) -> bytes:
    """Return the key of a bucket's outbox stream."""
    return tag(number) + b":out"


def due(number: int) -> bytes:
    """Return the key of the seats in a bucket's sessions that wait for their `joined`."""
    return tag(number) + b":due"


def drained(number: int) -> bytes:
    """Return the key of how far a bucket's outbox was drained."""
    return tag(number) + b":drained"


def channel(node: str) -> bytes:
    """Return the sharded channel on which a node listens."""
    return b"{n:" + node.encode() + b"}:bus"


def slot_tag(key: bytes) -> bytes:
    """Return the hash tag of a key, without braces: equal tags lie in one slot. The whole key when it has none."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    return key[start + 1 : end] if start >= 0 and end > start + 1 else key


@lru_cache(maxsize=KEYS_CACHED)
def _key(name: str, kind: bytes) -> bytes:
    return _TAGS[bucket(name)] + b":" + kind + b":" + name.encode()
