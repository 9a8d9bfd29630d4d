"""The HTTP half of a connection, as pure functions: reading a request head, judging it, writing the answer."""

import email.utils
import ipaddress
import logging
from collections.abc import Generator
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.exceptions import (
    HeaderLineTooLong,
    InvalidOrigin,
    NegotiationError,
    RequestLineTooLong,
    TooManyHeaders,
)
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.streams import StreamReader
from websockets.typing import Origin, Subprotocol

from muster_hub.listener.peer import AnswerHttp, HttpAnswer
from muster_hub.listener.settings import ListenerSettings

HTTP_PATHS = frozenset({"/healthz", "/readyz"})
READING_METHODS = frozenset({"GET", "HEAD"})

QUIET = logging.Logger("muster_hub.listener.websockets")  # noqa: LOG001 - so that no logging configuration reaches it
"""A silent logger for the protocol library, which would log headers and payloads."""
QUIET.disabled = True


class RequestHead:
    """Collects the bytes of one request head, ``max_bytes`` at most."""

    __slots__ = ("_left", "_method", "_parser", "_reader")

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._method = ""
        self._reader = StreamReader()
        self._parser = Request.parse(self._read_line)

    def feed(self, data: bytes) -> Request | HttpAnswer | None:
        """Take bytes; return the request when it is complete, an answer if it is invalid, else None."""
        self._left -= len(data)
        self._reader.feed_data(data)
        outcome = self._bad_request() if self._is_another_protocol() else self._parse()
        behind = 0 if outcome is None else len(self._reader.buffer)
        if self._left + behind < 0:  # also if all of it came in one read
            return refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large.")
        return outcome

    def _parse(self) -> Request | HttpAnswer | None:
        try:
            next(self._parser)
        except StopIteration as done:
            request: Request = done.value
            # Two Host headers can be read in two ways; RFC 9112, 3.2, asks for a 400.
            return request if len(request.headers.get_all("Host")) <= 1 else self._bad_request()
        except RequestLineTooLong:
            return refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "The request line is too long.")
        except (HeaderLineTooLong, TooManyHeaders):
            return refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large.")
        except (ValueError, EOFError, NotImplementedError):  # malformed, a line without CRLF, a body
            return self._bad_request()
        return None

    def rest(self) -> bytes:
        """Return the bytes that followed the head."""
        return bytes(self._reader.buffer)

    def close(self) -> None:
        """Stop reading, which cuts the references between parser and head."""
        self._parser.close()

    def _is_another_protocol(self) -> bool:
        # A TLS hello or a proxy's preface may have no line end; its sender should not wait for the deadline.
        first = self._reader.buffer[:1]
        return not self._method and bool(first) and not first.isalpha()

    def _bad_request(self) -> HttpAnswer:
        # The parser knows no bodies, so a well-formed POST ends here too, and gets an answer that fits.
        if self._method.isalpha() and self._method.isupper() and self._method not in READING_METHODS:
            return method_not_allowed()
        return refusal(HTTPStatus.BAD_REQUEST, "This is not a valid HTTP request.")

    def _read_line(self, limit: int, too_long: type[Exception]) -> Generator[None, None, bytes | bytearray]:
        line = yield from self._reader.read_line(limit, too_long)
        if not self._method and line.endswith((b" HTTP/1.1\r\n", b" HTTP/1.0\r\n")):
            self._method = line.partition(b" ")[0].decode("ascii", "replace")
        return line


def refusal(status: HTTPStatus, words: str, *headers: tuple[str, str]) -> HttpAnswer:
    """Return an answer with a plain text body."""
    return HttpAnswer(status, f"{words}\n".encode(), headers=headers)


def method_not_allowed() -> HttpAnswer:
    """Return the answer to a method other than GET and HEAD."""
    return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are answered here.", ("Allow", "GET, HEAD"))


def busy(retry_after_s: int) -> HttpAnswer:
    """Return the answer to a handshake beyond a limit; a retry may succeed after the seconds given."""
    words = "Too many connections. Try again later."
    return refusal(HTTPStatus.SERVICE_UNAVAILABLE, words, ("Retry-After", str(retry_after_s)))


def wants_websocket(request: Request) -> bool:
    """Return whether the request asks for WebSocket, correctly or not."""
    return any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))


def answer_plain(request: Request, http: AnswerHttp, hosts: frozenset[str] | None) -> HttpAnswer:
    """Return the answer to a request without WebSocket: the two paths of ``http``, else 404, 405 or 421."""
    path = request.path.partition("?")[0]
    if request.method not in READING_METHODS:
        return method_not_allowed()
    if path not in HTTP_PATHS:
        return refusal(HTTPStatus.NOT_FOUND, "There is nothing here; this port speaks WebSocket.")
    if not names_this_hub(request.headers.get("Host"), hosts):
        words = "The host name is not one of this hub. Ask by an IP address, localhost, or a name that devices dial."
        return refusal(HTTPStatus.MISDIRECTED_REQUEST, words)
    return http(path)


def names_this_hub(host: str | None, hosts: frozenset[str] | None) -> bool:
    """Return whether a ``Host`` header names this hub: by an IP address, as ``localhost``, or by one of ``hosts``.

    A web page can give its own name the hub's address, and then read the answers as its own. It cannot do so with an
    address, and a browser always sends the header.
    """
    if host is None or hosts is None:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name in hosts or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def negotiate(request: Request, settings: ListenerSettings, subprotocol: str | None) -> Response | HttpAnswer:
    """Return the answer to a WebSocket handshake: the 101 response, or the refusal. No extension is accepted."""
    origins = None if settings.origins is None else [None if o is None else Origin(o) for o in settings.origins]
    protocol = ServerProtocol(
        origins=origins,
        subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
        logger=QUIET,
    )
    response = protocol.accept(request)
    # Parser, fault and protocol refer to each other: without this each handshake would leave a cycle.
    protocol.parser.close()
    fault = protocol.handshake_exc
    if fault is not None:
        fault.__traceback__ = fault.__context__ = fault.__cause__ = None
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        return response
    if isinstance(fault, NegotiationError):
        return refusal(HTTPStatus.BAD_REQUEST, f"Please offer the WebSocket subprotocol {subprotocol}.")
    if isinstance(fault, InvalidOrigin):
        return refusal(HTTPStatus.FORBIDDEN, "Pages of this origin may not connect here.")
    kept = tuple((name, value) for name, value in response.headers.raw_items() if name in {"Upgrade", "Allow"})
    return HttpAnswer(response.status_code, bytes(response.body), headers=kept)


def serialize(answer: HttpAnswer, *, with_body: bool) -> bytes:
    """Return the bytes of an answer after which the connection ends."""
    headers = (
        ("Date", email.utils.formatdate(usegmt=True)),
        ("Connection", "close"),
        ("Cache-Control", "no-store"),
        ("Content-Type", answer.content_type),
        ("Content-Length", str(len(answer.body))),
        *answer.headers,
    )
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    head = "\r\n".join((*lines, "", "")).encode("iso-8859-1")
    return head + answer.body if with_body else head
