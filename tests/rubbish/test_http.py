"""Nonsense instead of an HTTP request, and requests that try to be read in two ways."""

import asyncio
import re

import pytest
from tests.rubbish.conftest import PROXY
from tests.rubbish.peers import upgrade

pytestmark = pytest.mark.asyncio(loop_scope="session")

ONE_ANSWER = re.compile(
    rb"HTTP/1\.1 (\d{3}) [^\r\n]+\r\n(?:[A-Za-z-]+: [^\r\n]*\r\n)*?Content-Length: (\d+)\r\n(?:[^\r\n]+\r\n)*\r\n"
)
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(64)) + b"\x00\x20" + bytes(160)
PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12)

NONSENSE: dict[str, tuple[bytes, int]] = {
    "length and chunks": (GET + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400),
    "chunks": (GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks, spelled oddly": (GET + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (GET + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n", 400),
    "a length with a sign": (GET + b"Content-Length: +0\r\n\r\n", 400),
    "a body": (GET + b"Content-Length: 5\r\n\r\nhello", 400),
    "a body to be posted": (b"POST /healthz HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\n\r\nhello", 405),
    "a folded line": (GET + b"X: a\r\n b\r\n\r\n", 400),
    "a blank before the colon": (GET + b"Transfer-Encoding : chunked\r\n\r\n", 400),
    "a line without a colon": (GET + b"nothing\r\n\r\n", 400),
    "a name of nothing": (GET + b": x\r\n\r\n", 400),
    "bare LF": (b"GET /healthz HTTP/1.1\nHost: hub\n\n", 400),
    "bare LF in the middle": (GET + b"X: a\nY: b\r\n\r\n", 400),
    "bare CR": (GET + b"X: a\rY: b\r\n\r\n", 400),
    "a zero byte": (GET + b"X: a\x00b\r\n\r\n", 400),
    "two hosts": (GET + b"Host: other\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n", 400),
    "HTTP/1.2": (b"GET /healthz HTTP/1.2\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), 400),
    "HTTP/3": (b"GET / HTTP/3\r\n\r\n", 400),
    "blanks in the request line": (b"GET  /healthz HTTP/1.1\r\n\r\n", 400),
    "a path of other letters": ("GET /h\u00e9 HTTP/1.1\r\n\r\n".encode(), 400),
    "another method": (b"DELETE /healthz HTTP/1.1\r\nHost: hub\r\n\r\n", 405),
    "a proxy's CONNECT": (b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n", 405),
    "an absolute path": (b"GET http://other/healthz HTTP/1.1\r\nHost: hub\r\n\r\n", 404),
    "a long path": (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", 414),
    "a line that never ends": (b"G" * 100_000, 414),
    "a long header": (GET + b"X: " + b"a" * 9_000 + b"\r\n\r\n", 431),
    "many headers": (GET + b"X: a\r\n" * 200 + b"\r\n", 431),
    "much in headers": (GET + (b"X: " + b"a" * 8_000 + b"\r\n") * 5 + b"\r\n", 431),
    "a TLS hello": (TLS_HELLO, 400),
    "a PROXY line": (b"PROXY TCP4 192.0.2.1 192.0.2.2 5 7627\r\n" + GET + b"\r\n", 400),
    "a binary PROXY header": (PROXY_V2 + GET + b"\r\n", 400),
    "SSH": (b"SSH-2.0-client\r\n", 400),
    "SMTP": (b"EHLO there\r\n", 400),
    "Redis": (b"*1\r\n$4\r\nPING\r\n", 400),
    "zeros": (bytes(1_000), 400),
    "an empty line first": (b"\r\n" + GET + b"\r\n", 400),
    "WebSocket by HTTP/1.0": (upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
    "WebSocket by POST": (upgrade().replace(b"GET", b"POST"), 405),
    "an old WebSocket": (upgrade().replace(b"Version: 13", b"Version: 8"), 400),
    "a short key": (upgrade().replace(b"Key: MDEy", b"Key: "), 400),
    "two keys": (upgrade("Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="), 400),
    "no Connection": (upgrade().replace(b"Connection: Upgrade", b"Connection: close"), 426),
    "upgrade to more": (upgrade("Upgrade: h2c"), 426),
    "another subprotocol": (upgrade(protocol="muster.v9"), 400),
    "a subprotocol in capitals": (upgrade(protocol="MUSTER.V1"), 400),
    "a web page": (upgrade("Origin: https://page.example"), 403),
    "WebSocket with a body": (upgrade("Content-Length: 5") + b"hello", 400),
    "WebSocket in chunks": (upgrade("Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
}
"""What is sent, and the status of the one answer."""
BEHIND_A_PROXY: dict[str, tuple[bytes, int]] = {
    **{name: nonsense for name, nonsense in NONSENSE.items() if "PROXY" not in name},
    "a PROXY line": (b"PROXY TCP4 192.0.2.1 192.0.2.2 5 7627\r\n" + GET + b"\r\n", 200),
    "a binary PROXY header": (PROXY_V2 + GET + b"\r\n", 200),
    "two PROXY lines": (b"PROXY TCP4 192.0.2.1 192.0.2.2 5 7627\r\n" * 2 + GET + b"\r\n", 400),
    "a PROXY line that never ends": (b"PROXY " + b"1" * 100_000, 400),
    "a PROXY line without addresses": (b"PROXY TCP4\r\n" + GET + b"\r\n", 400),
    "a PROXY line with a bare LF": (b"PROXY UNKNOWN\n" + GET + b"\r\n" + bytes(107), 400),
    "a binary PROXY header of another version": (PROXY_V2.replace(b"\x21\x11", b"\x11\x11") + GET, 400),
    "a long binary PROXY header": (PROXY_V2[:14] + b"\xff\xff" + bytes(70_000), 400),
    "a binary PROXY header without its addresses": (PROXY_V2[:14] + bytes(2) + GET + b"\r\n", 400),
    "a forwarded nobody": (GET + b"X-Forwarded-For: nobody\r\n\r\n", 400),
    "many forwarded addresses": (GET + b"X-Forwarded-For: " + b"127.0.9.1," * 800 + b"192.0.2.1\r\n\r\n", 200),
    "many open quotes": (GET + b"Forwarded: " + b'for="' * 1_600 + b"\r\n\r\n", 400),
    "forwarded two ways": (GET + b"X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n\r\n", 400),
}
"""The same from an address that may say whose connection it hands on."""


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_gets_one_plain_answer(hub, name):
    _check_one_answer(await hub.door.answer(NONSENSE[name][0]), NONSENSE[name][1])


@pytest.mark.parametrize("name", BEHIND_A_PROXY)
async def test_nonsense_behind_a_proxy_gets_one_plain_answer(hub, name):
    request, status = BEHIND_A_PROXY[name]
    _check_one_answer(await hub.door.answer(request, PROXY), status)


def _check_one_answer(answer: bytes, status: int) -> None:
    head = ONE_ANSWER.match(answer)
    assert head is not None, answer
    assert int(head[1]) == status
    assert len(answer) == head.end() + int(head[2])
    assert b"Connection: close\r\n" in answer


async def test_only_the_first_of_pipelined_requests_is_answered(hub):
    answer = await hub.door.answer((GET + b"\r\n") * 3)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_request_behind_a_handshake_is_no_request(hub):
    async with hub.door.peer() as peer:
        peer.send(upgrade() + GET + b"\r\n")
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        assert (await peer.ending()).code == 1002


async def test_compression_is_offered_in_vain(hub):
    async with hub.door.peer() as peer:
        peer.send(
            upgrade("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame")
        )
        answer = await peer.head()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"extensions" not in answer.lower()
        peer.send(b"\xc2\x85\x00\x00\x00\x00hello")  # a compressed message all the same
        assert (await peer.ending()).code == 1002


async def test_a_peer_that_stops_halfway_through_its_request_is_let_go(hub):
    async with hub.door.peer() as peer:
        peer.send(GET)
        peer.half_close()
        assert await peer.to_the_end() == b""


async def test_nonsense_leaves_nothing_behind(hub):
    async def attack():
        for _ in range(10):
            await asyncio.gather(
                *(hub.door.answer(request) for request, _ in NONSENSE.values()),
                *(hub.door.answer(request, PROXY) for request, _ in BEHIND_A_PROXY.values()),
            )

    await hub.stays_flat(attack)
