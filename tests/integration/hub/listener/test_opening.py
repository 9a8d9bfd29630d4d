"""The HTTP half: handshakes taken and refused, health answered, nonsense told off."""

import pytest
from websockets.exceptions import InvalidStatus

from muster_hub.listener import HttpAnswer

OFFER = "Sec-WebSocket-Protocol: muster.v1"


async def answer_to(house, text, **settings):
    raw = await house.raw(await house.listen(**settings))
    head = await raw.request(text)
    return head.decode(), (await raw.rest()).decode()


@pytest.mark.parametrize("offer", [None, ["chess.v3"]])
async def test_a_client_that_does_not_offer_our_subprotocol_is_told_which(house, offer):
    listener = await house.listen()
    with pytest.raises(InvalidStatus) as refused:
        await house.client(listener, subprotocols=offer)
    assert refused.value.response.status_code == 400
    assert b"muster.v1" in refused.value.response.body
    assert house.handlers == []


async def test_compression_is_never_agreed_to(house):
    client = await house.client(await house.listen(), compression="deflate")
    assert "permessage-deflate" in client.request.headers["Sec-WebSocket-Extensions"]
    assert "Sec-WebSocket-Extensions" not in client.response.headers
    await client.send(bytes(1000))
    assert await client.recv() == bytes(1000)


async def test_a_page_in_a_browser_may_not_connect_unless_allowed(house):
    closed = await house.listen()
    with pytest.raises(InvalidStatus) as refused:
        await house.client(closed, origin="https://example.org")
    assert refused.value.response.status_code == 403
    allowing = await house.listen(origins=("https://example.org",))
    client = await house.client(allowing, origin="https://example.org")
    await client.send(b"from a page")
    assert await client.recv() == b"from a page"
    anyone = await house.listen(origins=None)
    await house.client(anyone, origin="https://example.com")


@pytest.mark.parametrize(
    ("header", "status"),
    [("Sec-WebSocket-Version: 8", b"400"), ("Upgrade: chess", b"426"), ("Sec-WebSocket-Key: short", b"400")],
)
async def test_a_bad_handshake_is_refused(house, header, status):
    raw = await house.raw(await house.listen())
    answer = await raw.upgrade(OFFER, header)
    assert answer.split(b" ")[1] == status


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/healthz?verbose"])
async def test_health_is_answered_on_the_same_port(house, path):
    head, body = await answer_to(house, f"GET {path} HTTP/1.1\nHost: hub\n\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "Content-Type: text/plain; charset=utf-8\r\n" in head
    assert f"Content-Length: {len(body)}\r\n" in head
    assert body == f"{path.partition('?')[0]} is well\n"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("hub.example", 200),
        ("HUB.example:7627", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:7627", 200),
        ("localhost", 200),
        ("page.example", 421),
        ("hub.example.page.example:7627", 421),
        ("page.example@hub.example.evil", 421),
        ("127.0.0.1.page.example", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
async def test_health_is_answered_by_the_hubs_own_names_only(house, host, status):
    hosts = frozenset({"hub.example"})
    head, body = await answer_to(house, f"GET /readyz HTTP/1.1\nHost: {host}\n\n", hosts=hosts)
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert ("is well" in body) == (status == 200)


async def test_health_is_answered_without_a_host_name(house):
    head, _ = await answer_to(house, "GET /readyz HTTP/1.0\n\n", hosts=frozenset())
    assert head.startswith("HTTP/1.1 200 ")


async def test_head_has_the_same_headers_and_no_body(house):
    head, body = await answer_to(house, "HEAD /readyz HTTP/1.1\nHost: hub\n\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len('/readyz is well' + chr(10))}\r\n" in head
    assert body == ""


async def test_an_answer_keeps_its_status_type_and_headers(house):
    def http(path):
        return HttpAnswer(503, b"{}", "application/json", (("Retry-After", "7"),))

    head, body = await answer_to(house, "GET /readyz HTTP/1.0\n\n", http=http)
    assert head.startswith("HTTP/1.1 503 Service Unavailable\r\n")
    assert "Content-Type: application/json\r\n" in head
    assert "Retry-After: 7\r\n" in head
    assert body == "{}"


async def test_an_answer_that_fails_is_a_500_without_details(house):
    def http(path):
        raise RuntimeError("secret detail")

    head, body = await answer_to(house, "GET /healthz HTTP/1.1\n\n", http=http)
    assert head.startswith("HTTP/1.1 500 ")
    assert "secret" not in head + body


HEADERS = "".join(f"X-{number}: {'v' * 100}\n" for number in range(120))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("GET / HTTP/1.1\n\n", 404),
        ("GET /metrics HTTP/1.1\n\n", 404),
        ("DELETE /healthz HTTP/1.1\n\n", 405),
        ("POST /healthz HTTP/1.1\nContent-Length: 4\n\nbody", 405),
        ("PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n0\n\n", 405),
        ("GET /healthz HTTP/1.1\nContent-Length: 4\n\nbody", 400),
        ("GET /healthz HTTP/2.0\n\n", 400),
        ("GET /healthz\n\n", 400),
        ("\n", 400),
        ("SSH-2.0-OpenSSH_9.2\n", 400),
        ("GET /h\u00e9 HTTP/1.1\n\n", 400),
        ("GET / HTTP/1.1\nno colon\n\n", 400),
        (f"GET /{'x' * 9000} HTTP/1.1\n\n", 414),
        (f"GET / HTTP/1.1\nX: {'x' * 9000}\n\n", 431),
        (f"GET / HTTP/1.1\n{HEADERS * 2}\n", 431),
    ],
)
async def test_everything_else_is_told_off_in_plain_http(house, text, status):
    head, body = await answer_to(house, text)
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "Connection: close\r\n" in head
    assert body.endswith(".\n")


async def test_a_request_head_has_a_size_in_all(house):
    raw = await house.raw(await house.listen(max_head_bytes=1000))
    raw.writer.write(b"GET / HTTP/1.1\r\n")
    head = await raw.request(HEADERS[:1500].rpartition("\n")[0] + "\n")
    assert head.startswith(b"HTTP/1.1 431 ")


async def test_405_names_what_is_allowed(house):
    head, _ = await answer_to(house, "OPTIONS /healthz HTTP/1.1\n\n")
    assert "Allow: GET, HEAD\r\n" in head


async def test_a_client_that_sends_on_after_the_answer_is_reset(house):
    raw = await house.raw(await house.listen(close_timeout_s=3600))
    head = await raw.request("nonsense\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    with pytest.raises(ConnectionError):
        await raw.talk_on(bytes(64 * 1024))
