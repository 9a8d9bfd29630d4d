"""Sockets that TLS begins on: counted when they are accepted, ended when TLS does not come to its end."""

import asyncio
import ssl

import pytest
from structlog.testing import capture_logs
from tests.integration.certificates import Authority

OFFER = "Sec-WebSocket-Protocol: muster.v1"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def server(authority, tmp_path):
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.write(*files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


async def request(listener, authority, *, upgrade=True):
    """Ask over TLS, with the request in the same flight as the end of the handshake, and return the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=authority.context())
    try:
        lines = ["GET /healthz HTTP/1.1", "Host: 127.0.0.1"]
        if upgrade:
            lines += ["Connection: Upgrade", "Upgrade: websocket", OFFER, "Sec-WebSocket-Version: 13"]
            lines += ["Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="]
        writer.write("\r\n".join((*lines, "", "")).encode())
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.transport.abort()


async def all_that_came(raw):
    """Read to the end, which may be a reset."""
    try:
        return await raw.rest()
    except ConnectionError:
        return b""


def inside(listener):
    return listener._state.gate.inside


async def test_a_socket_that_begins_no_tls_counts_when_it_is_accepted(house, authority, server):
    listener = await house.listen(tls=server, max_unauthenticated_per_address=2, max_refusals_at_once=1)
    silent = [await house.raw(listener) for _ in range(2)]
    await house.until(lambda: inside(listener) == 2)
    assert (await request(listener, authority)).startswith(b"HTTP/1.1 503 ")
    await house.until(lambda: listener._state.gate._refused == 0)
    await house.raw(listener)
    await house.until(lambda: listener._state.gate._refused == 1)
    with pytest.raises(OSError):  # noqa: PT011 - reset, at whichever step
        await request(listener, authority)
    for raw in silent:
        raw.hang_up()
    await house.until(lambda: inside(listener) == 0)
    assert (await request(listener, authority)).startswith(b"HTTP/1.1 101 ")


async def test_health_is_answered_over_tls(house, authority, server):
    listener = await house.listen(tls=server)
    assert (await request(listener, authority, upgrade=False)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01", b"\x16"], ids=["silent", "half a hello", "a byte"])
async def test_tls_that_does_not_end_in_time_is_ended_without_a_word(house, server, sent):
    listener = await house.listen(tls=server, handshake_deadline_s=0.05)
    raw = await house.raw(listener)
    raw.writer.write(sent)
    assert await all_that_came(raw) == b""
    await house.until(lambda: inside(listener) == 0)


async def test_what_is_not_tls_is_ended_and_counted_no_more(house, server):
    listener = await house.listen(tls=server)
    with capture_logs() as logs:
        for garbage in (b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n", bytes(500), b"\x16\x03\x01\xff\xff" + bytes(70_000)):
            raw = await house.raw(listener)
            raw.writer.write(garbage)
            assert b"HTTP" not in await all_that_came(raw)
        await house.until(lambda: inside(listener) == 0)
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["silent", "half a hello"])
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
async def test_a_peer_that_vanishes_during_tls_is_counted_no_more(house, server, sent, reset):
    listener = await house.listen(tls=server, max_unauthenticated=1)
    raw = await house.raw(listener)
    raw.writer.write(sent)
    await house.until(lambda: inside(listener) == 1)
    if reset:
        raw.reset()
    else:
        raw.writer.write_eof()
    await house.until(lambda: inside(listener) == 0)


async def test_a_stop_does_not_wait_for_a_silent_tls_socket(house, server):
    listener = await house.listen(tls=server, handshake_deadline_s=3600)
    raw = await house.raw(listener)
    await house.until(lambda: inside(listener) == 1)
    await listener.__aexit__(None, None, None)
    assert await all_that_came(raw) == b""
    assert inside(listener) == 0
