"""What a person is told where a server opens no WebSocket."""

import pytest

from muster_client.connection.http_answer import MAX_LINE_CHARS, first_words, from_answer
from muster_client.errors import Trouble

URL = "wss://hub.example"
NGINX = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center>nginx</center></body></html>\r\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b" \r\n\n There is nothing here. \nAnd more.\n", "There is nothing here."),
        (NGINX, "502 Bad Gateway"),
        (b"<!DOCTYPE html>\n<html lang=en>\n\n<h1>Log in\x1b[2J</h1>", "Log in\\x1b[2J"),
        (b"\xff\xfe\x00", "\ufffd\ufffd\\x00"),
        (b"a\xe2\x80\xaeb", "a\\u202eb"),
        (b"x" * 1_000_000, "x" * MAX_LINE_CHARS),
        (b"<" * 1_000_000, "<" * MAX_LINE_CHARS),
    ],
)
def test_the_first_words_are_short_and_safe_to_show(body: bytes, words: str) -> None:
    assert first_words(body) == words


@pytest.mark.parametrize(
    ("status", "body", "said", "trouble"),
    [
        (200, b"Welcome", "(Welcome) and opened no WebSocket: most likely a web page", Trouble.NOT_A_HUB),
        (401, b"", "HTTP 401 and opened no WebSocket: most likely a login page", Trouble.NOT_A_HUB),
        (404, b"There is nothing here", "hands on no WebSocket", Trouble.NOT_A_HUB),
        (426, b"", "hands on no WebSocket", Trouble.NOT_A_HUB),
        (502, NGINX, "(502 Bad Gateway) and opened no WebSocket: most likely a proxy", Trouble.HUB_UNREACHABLE),
        (503, b"Too many connections.", "that is full", Trouble.HUB_UNREACHABLE),
        (302, b"", "HTTP 302", Trouble.NOT_A_HUB),
        (999, b"", "most likely a web page", Trouble.NOT_A_HUB),
    ],
)
def test_an_answer_is_told_with_its_status_its_words_and_the_likely_cause(
    status: int, body: bytes, said: str, trouble: Trouble
) -> None:
    error = from_answer(URL, status, None, body)
    assert said in str(error)
    assert f"HTTP {status}" in str(error)
    assert error.trouble is trouble


def test_a_redirect_is_told_by_its_target_alone() -> None:
    error = from_answer(URL, 302, "https://elsewhere\x07", b"Moved")
    assert str(error) == f"{URL} redirects to https://elsewhere\\x07, and no redirect is followed"
    assert error.trouble is Trouble.HUB_REDIRECTS
