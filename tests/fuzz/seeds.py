"""Write what the fuzzer starts from: ``python -m tests.fuzz.seeds``. Test vectors, and a few lives of a connection."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz.codec_targets import KEYS, KINDS, vectors
from tests.fuzz.listener_target import HANGS_UP, LOST, MAX_MESSAGE_BYTES, PROXIED, STRANGER, UPGRADE, UPGRADED
from websockets.frames import Opcode

from muster_protocol.codec import MAX_DEPTH
from muster_protocol.frames import HelloFrame, decode_frame

CORPUS = Path(__file__).parent / "corpus"
MAX_SEED_BYTES = 4_096
"""Larger vectors say little that smaller ones do not, and slow the fuzzer down."""
MAX_LIFE_BYTES = 10_000
"""Except where a limit of the listener is only found above."""
OTHER_HEADS = (
    b"",
    b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n",
    b"HEAD /readyz HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\n\r\nhello",
    b"GET / HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: hub\r\nHost: other\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03\n",
    b"GET / HTTP/1.1\nHost: hub\n\n",
    b"GET / HTTP/1.1\r\n folded: line\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 129 + b"\r\n",
    b"GET /" + b"a" * 8_200 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\na: " + b"b" * 4_600 + b"\r\nb: " + b"c" * 4_600 + b"\r\n\r\n",
    UPGRADE.replace(b"muster.v1", b"muster.v2"),
    UPGRADE.replace(b"GET", b"PUT"),
    UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"),
    UPGRADE.replace(b"Version: 13", b"Version: 8"),
    UPGRADE.replace(b"MDEyM", b"MDEy!"),
    UPGRADE.replace(b"Host: hub", b"Host: hub\r\nOrigin: https://page.example"),
    UPGRADE.replace(
        b"Host: hub", b"Host: hub\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"
    ),
    UPGRADE.replace(b"Connection: Upgrade", b"Connection: close"),
)
"""Requests that are no good handshake, each in its own way."""
_BINARY = b"\r\n\r\n\x00\r\nQUIT\n"
PROXIED_HEADS = (
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + UPGRADE,
    b"PROXY TCP6 2001:db8::1 ::ffff:192.0.2.2 1 65535\r\n" + UPGRADE,
    b"PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n" + UPGRADE,
    b"PROXY TCP4 203.0.113.9 192.0.2.2 1 2\r\nPROXY UNKNOWN\r\n" + UPGRADE,
    b"PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n" + UPGRADE,
    b"PROXY TCP4 " + b"1" * 107,
    b"PROXY UNKNOWN",
    _BINARY + b"\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02" + UPGRADE,
    _BINARY + b"\x21\x21\x00\x27" + bytes(36) + b"\x04\x00\x00" + UPGRADE,
    _BINARY + b"\x20\x00\x00\x00" + UPGRADE,
    _BINARY + b"\x21\x31\x00\x02\x00\x00" + UPGRADE,
    _BINARY + b"\x21\x11\x00\x04" + bytes(4) + UPGRADE,
    _BINARY + b"\x21\x11\xff\xff" + UPGRADE,
    _BINARY + b"\x31\x11\x00\x0c" + bytes(12),
    *(
        UPGRADE.replace(b"Host: hub", b"Host: hub\r\n" + header)
        for header in (
            b"X-Forwarded-For: 192.0.2.1, 203.0.113.9",
            b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: nobody",
            b"X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2",
            b'Forwarded: for="[2001:db8::1]:4711";proto=https;by=_x, For=192.0.2.1:80',
            b'Forwarded: for="\\[2001:db8::1]", ,for=unknown',
            b'Forwarded: for="',
        )
    ),
)
"""Connections as a trusted proxy hands them on, and as it should not."""


def _values() -> Iterator[bytes]:
    for step in (b"\x91", b"\x81\xa1a", b"\xdc\x00\x01", b"\x92\x90"):
        for depth in (1, MAX_DEPTH, MAX_DEPTH + 1, 200):
            yield step * depth + b"\xc0"
    yield from (
        b"",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",
        b"\xd6\xff\x00\x00\x00\x01",
        b"\xa1\xff",
        b"\x82\x01\x01\x01\x01",
    )
    yield b"\x9a" + b"\x90" * 9 + b"\x91" * 17 + b"\xc4\x40" + bytes(range(0x80, 0xC0))
    yield from (message for message in _messages() if len(message) < 200)


def _messages() -> Iterator[bytes]:
    for vector in vectors("frames"):
        yield bytes.fromhex(vector["input"]["message"])


def _bodies() -> Iterator[bytes]:
    for vector in [*vectors("encoding"), *vectors("statements")]:
        kind, given = vector["input"].get("kind"), vector["input"]
        if kind in KINDS and isinstance(given.get("body"), str):
            yield bytes([KINDS.index(kind)]) + bytes.fromhex(given["body"])
        if kind in KINDS and "body" in vector.get("expect", {}):
            yield bytes([KINDS.index(kind)]) + bytes.fromhex(vector["expect"]["body"])
    for hello in _hello_bodies():
        yield bytes([KINDS.index("hello")]) + hello


def _cards() -> Iterator[bytes]:
    for vector in vectors("cards"):
        card = vector["input"]["card"]
        signer = [number for number, key in enumerate(KEYS) if key.fingerprint.hex() == card["signer"]]
        yield bytes([*signer, 0][:1]) + bytes.fromhex(card["body"])


def _hello_messages() -> Iterator[bytes]:
    for vector in vectors("connect"):
        hello = vector.get("expect", {}).get("hello") or vector["input"].get("hello")
        if isinstance(hello, str):
            yield bytes.fromhex(hello)


def _hello_bodies() -> Iterator[bytes]:
    for message in _hello_messages():
        frame = decode_frame(message)
        if isinstance(frame, HelloFrame):
            yield frame.hello


def _hellos() -> Iterator[bytes]:
    for hello in _hello_bodies():
        yield from (bytes([number]) + hello for number in (0, 1))


def _doors() -> Iterator[bytes]:
    yield from _hello_messages()
    yield from list(_messages())[:6]


def _frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    head = bytes([opcode | 0x80 * fin, 0x80 | (min(126, len(data)))])
    length = b"" if len(data) < 126 else len(data).to_bytes(2)
    return head + length + bytes(4) + data  # a mask of zeros, so that the fuzzer sees what it changes


def _lives() -> Iterator[bytes]:
    binary, close = _frame(Opcode.BINARY, b"hello"), _frame(Opcode.CLOSE, (1000).to_bytes(2) + b"bye")
    streams = (
        b"",
        binary + _frame(Opcode.PING, b"between") + binary + close,
        _frame(Opcode.BINARY, b"one ", fin=False) + _frame(Opcode.PONG, b"") + _frame(Opcode.CONT, b"two") + binary,
        _frame(Opcode.TEXT, b"words") + binary,
        _frame(Opcode.CONT, b"continues nothing"),
        _frame(Opcode.BINARY, bytes(MAX_MESSAGE_BYTES)) + binary,
        _frame(Opcode.BINARY, bytes(MAX_MESSAGE_BYTES + 1)) + binary,
        _frame(Opcode.BINARY, bytes(MAX_MESSAGE_BYTES), fin=False) + _frame(Opcode.CONT, b"x"),
        _frame(Opcode.CLOSE, b""),
        _frame(Opcode.CLOSE, b"x"),
        _frame(Opcode.CLOSE, (1006).to_bytes(2)),
        _frame(Opcode.CLOSE, (1000).to_bytes(2) + b"\xff"),
        close + binary,
        _frame(Opcode.BINARY, b"!") + binary + close,
        _frame(Opcode.BINARY, b"!") + binary + _frame(Opcode.CONT, b"continues nothing"),
        _frame(Opcode.TEXT, b"words") + binary + _frame(Opcode.CONT, b"continues nothing"),
        binary[:-3],
        b"\xc2\x80" + bytes(4),
        b"\x82\x00",
        b"\x82\xff" + b"\xff" * 8 + bytes(4),
        b"\x83\x80" + bytes(4),
        b"\x89\xfe\x00\x7e" + bytes(4 + 126),
    )
    for number, stream in enumerate(streams):
        for end in (0, HANGS_UP, LOST):
            yield bytes([UPGRADED | end | (number % 8) << 4]) + stream
        yield bytes([UPGRADED | STRANGER]) + stream
    for number, head in enumerate(PROXIED_HEADS):
        yield bytes([PROXIED | (number % 8) << 4]) + head + binary
    for number, head in enumerate(OTHER_HEADS):
        yield bytes([(number % 8) << 4]) + head + (binary if head else b"")


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "value": _values,
    "frame": _messages,
    "body": _bodies,
    "card": _cards,
    "hello": _hellos,
    "door": _doors,
    "listener": _lives,
}


def file_name(data: bytes) -> str:
    """Return the name under which the corpus keeps an input."""
    return hashlib.sha256(data).hexdigest()[:16]


def write(folder: Path) -> int:
    """Write all seeds, beside all else that the corpus holds, and return how many there are."""
    kept = {(name, data) for name, seeds in SEEDS.items() for data in seeds() if len(data) <= _largest(name)}
    for name, data in kept:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / file_name(data)).write_bytes(data)
    return len(kept)


def _largest(target: str) -> int:
    return MAX_LIFE_BYTES if target == "listener" else MAX_SEED_BYTES


if __name__ == "__main__":
    sys.stdout.write(f"{write(CORPUS)} seeds\n")
