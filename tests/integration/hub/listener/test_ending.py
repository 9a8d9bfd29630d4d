"""How connections end, and how the listener does."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

from muster_hub.listener import HttpAnswer, Listener, ListenerSettings

OFFER = "Sec-WebSocket-Protocol: muster.v1"
OURS = [Subprotocol("muster.v1")]


def no_http(path):
    return HttpAnswer(404, b"")


class Failing:
    """Fails where it is told to."""

    def __init__(self, where):
        self._where = where
        self.ended = asyncio.get_running_loop().create_future()

    def _reach(self, where):
        if where == self._where:
            raise ValueError("do not log this payload")

    def opened(self, peer):
        peer.authenticated()
        self._reach("opened")

    def message(self, data):
        self._reach("message")

    def closed(self, cause):
        self.ended.set_result(cause)
        self._reach("closed")


async def ended_with(client):
    with pytest.raises(ConnectionClosed) as ended:
        await client.recv()
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code


@pytest.mark.parametrize("where", ["opened", "message"])
async def test_a_handler_that_fails_closes_its_connection_and_no_other(house, where):
    listener = await house.listen(lambda: Failing(where))
    with capture_logs() as logs:
        client = await house.client(listener)
        if where == "message":
            await client.send(b"anything")
        assert await ended_with(client) == 4008
    (entry,) = [entry for entry in logs if entry["event"] == "handler_failed"]
    assert entry["during"] == where
    assert entry["error"] == "ValueError"
    assert entry["at"].startswith("test_ending.py:")
    assert "payload" not in str(logs)
    assert await house.handlers[0].ended == "closed"
    await house.client(listener)


async def test_a_handler_that_cannot_be_made_closes_the_connection(house):
    def broken():
        raise ValueError("no")

    client = await house.client(await house.listen(broken))
    assert await ended_with(client) == 4008


async def test_a_handler_that_fails_at_the_end_is_logged(house):
    listener = await house.listen(lambda: Failing("closed"))
    with capture_logs() as logs:
        client = await house.client(listener)
        await client.close()
        await house.handlers[0].ended
        await house.until(lambda: listener.connections == 0)
    assert [entry["during"] for entry in logs if entry["event"] == "handler_failed"] == ["closed"]


async def test_a_reset_in_the_middle_of_a_message_is_a_loss(house):
    raw = await house.raw_websocket(await house.listen())
    raw.send(Opcode.BINARY, b"whole")
    await raw.frame()
    raw.writer.write(Frame(Opcode.BINARY, bytes(1000)).serialize(mask=True)[:500])
    raw.reset()
    assert await house.handlers[0].cause() == "lost"
    assert house.handlers[0].messages == [b"whole"]


async def test_an_end_without_a_close_frame_is_a_loss(house):
    raw = await house.raw_websocket(await house.listen())
    raw.send(Opcode.BINARY, b"half", fin=False)
    raw.writer.write_eof()
    assert await house.handlers[0].cause() == "lost"
    assert await raw.rest() == b""


async def test_a_peer_that_says_goodbye_is_answered(house):
    client = await house.client(await house.listen())
    await client.close(1000, "done")
    assert client.close_code == 1000
    assert await house.handlers[0].cause() == "closed"


async def test_sending_to_a_peer_that_has_gone_does_nothing(house):
    client = await house.client(await house.listen())
    await client.close()
    await house.handlers[0].cause()
    peer = house.handlers[0].peer
    peer.send(b"unread")
    peer.close(4001)
    peer.pause()
    peer.resume()
    peer.authenticated()
    assert peer.closing


async def test_a_close_reason_that_does_not_fit_is_the_callers_fault(house):
    client = await house.client(await house.listen())
    await client.send(b"hello")
    await client.recv()
    peer = house.handlers[0].peer
    with pytest.raises(ValueError, match="at most 123 bytes"):
        peer.close(4001, "\u00e4" * 62)
    peer.close(4001, "a" * 123)
    assert await ended_with(client) == 4001


async def test_draining_closes_all_in_batches_and_admits_no_other(house):
    listener = await house.listen()
    clients = [await house.client(listener) for _ in range(7)]
    late = await house.raw(listener)
    late.writer.write(b"GET / HTTP/1.1\r\n")
    await house.until(lambda: len(listener._state.openings) == 1)
    assert listener.connections == 7
    await listener.drain(4001, "moving", batch=3, pause_s=0.001)
    assert listener.connections == 0
    assert [await ended_with(client) for client in clients] == [4001] * 7
    answer = await late.request(f"Connection: Upgrade\nUpgrade: websocket\n{OFFER}\n\n")
    assert answer.startswith(b"HTTP/1.1 503 ")
    with pytest.raises(ConnectionRefusedError):
        await house.raw(listener)


async def test_draining_pauses_between_batches(house, monkeypatch):
    listener = await house.listen()
    clients = [await house.client(listener) for _ in range(5)]
    draining = asyncio.create_task(listener.drain(4001, batch=2, pause_s=3600))
    gone, waiting = await asyncio.wait(
        [asyncio.create_task(c.wait_closed()) for c in clients], return_when="FIRST_COMPLETED"
    )
    assert gone
    await house.until(lambda: listener.connections == 3)
    assert not draining.done()
    draining.cancel()
    await asyncio.wait([draining])
    for task in waiting:
        task.cancel()


async def test_draining_resets_those_who_do_not_answer(house):
    listener = await house.listen(close_timeout_s=0.05)
    raw = await house.raw_websocket(listener)
    await listener.drain(4001)
    assert listener.connections == 0
    assert await raw.close_code() == 4001


async def test_stop_accepting_leaves_the_others_alone(house):
    listener = await house.listen()
    client = await house.client(listener)
    listener.stop_accepting()
    listener.stop_accepting()
    with pytest.raises(ConnectionRefusedError):
        await house.raw(listener)
    await client.send(b"still here")
    assert await client.recv() == b"still here"


async def test_whom_the_kernel_had_accepted_is_answered_and_not_reset(house):
    async with Listener(ListenerSettings(), house.recorded(), no_http) as listener:
        # Nothing awaits in between: these wait in the kernel's queue, and the listener has not seen them.
        waiting = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(20)]
        for sock in waiting:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
    for sock in waiting:
        with sock:
            sock.settimeout(20.0)
            assert sock.recv(1024).startswith(b"HTTP/1.1 ")


async def test_leaving_the_listener_says_going_away(house):
    async with Listener(ListenerSettings(), house.recorded(), no_http) as listener:
        client = await house.client(listener)
        idle = await house.raw(listener)
    assert await ended_with(client) == 4001
    assert await house.handlers[0].cause() == "closed"
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await idle.request("GET /healthz HTTP/1.1\n\n")


async def test_a_unix_socket_serves_the_same_and_is_gone_afterwards(house, tmp_path):
    path = tmp_path / "hub.sock"
    async with Listener(ListenerSettings(unix_path=path), house.recorded(), no_http) as listener:
        assert listener.addresses == (f"unix:{path}",)
        assert listener.port == 0
        async with connect("ws://hub/", unix=True, path=str(path), subprotocols=OURS) as client:
            await client.send(b"hello")
            assert await client.recv() == b"hello"
            assert house.handlers[0].peer.address == "unix"
    assert not path.exists()


async def test_a_socket_file_that_is_no_longer_ours_stays(house, tmp_path):
    path = tmp_path / "hub.sock"
    async with Listener(ListenerSettings(unix_path=path), house.recorded(), no_http):
        path.rename(tmp_path / "kept")  # so that the other file cannot get the same inode number
        path.touch()
    assert path.exists()


async def test_tls_may_end_here(house, tmp_path):
    server, client = tls_contexts(tmp_path)
    listener = await house.listen(tls=server)
    async with connect(f"wss://127.0.0.1:{listener.port}", ssl=client, subprotocols=OURS, max_size=None) as socket:
        await socket.send(bytes(50_000))
        assert await socket.recv() == bytes(50_000)
        await socket.send("text")
        assert await ended_with(socket) == 4506
    assert await house.handlers[0].cause() == "closed"


def tls_contexts(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "hub.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=pem)
