"""A socket whose TLS this listener ends: counted when it is accepted, before its handshake, as a plain one is."""

import asyncio
import contextlib
import socket
import ssl
from typing import cast

import structlog
from typing_extensions import override

from muster_hub.listener.opening import Opening
from muster_hub.listener.state import ListenerState
from muster_hub.telemetry.faults import fault_fields

_log = structlog.get_logger(__name__)


class TlsHandshake(asyncio.Protocol):
    """Counts one socket, makes its TLS handshake, and leaves it to the ``Opening`` that reads its request.

    A server that has the TLS context itself makes the handshake before it calls any protocol, so that a socket which
    stays silent would be counted nowhere. So the server accepts plain sockets, and the handshake begins on a duplicate
    of each: the event loop may have begun to read the first one, and what it had read would be lost for TLS.
    """

    __slots__ = ("_sock", "_state", "_tls")

    def __init__(self, state: ListenerState, tls: ssl.SSLContext) -> None:
        self._state = state
        self._tls = tls
        self._sock: socket.socket | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        opening = Opening(self._state)
        if opening.count(transport, self._abort):
            self._begin(transport, opening)
        cast("asyncio.Transport", transport).abort()  # this ends its own descriptor, and not the connection

    def _begin(self, transport: asyncio.BaseTransport, opening: Opening) -> None:
        try:
            sock = transport.get_extra_info("socket").dup()
        except OSError as error:
            _log.warning("tls_not_begun", error=str(error))
            opening.uncount()
        else:
            self._sock = sock
            self._state.tasks.spawn(self._secure(sock, opening))

    def _abort(self) -> None:
        """End the handshake, whose task then ends."""
        if self._sock is not None:
            with contextlib.suppress(OSError):  # the peer has left
                self._sock.shutdown(socket.SHUT_RDWR)

    async def _secure(self, sock: socket.socket, opening: Opening) -> None:
        done = False
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: opening,
                sock,
                ssl=self._tls,
                ssl_handshake_timeout=opening.deadline_s,
                ssl_shutdown_timeout=self._state.settings.close_timeout_s,
            )
            done = True
        except OSError:
            pass  # a peer that speaks no TLS, is silent, or has gone
        except Exception as exc:  # noqa: BLE001 - one socket must not end the others; the log says what happened
            _log.error("tls_failed", **fault_fields(exc))
        finally:
            if not done:
                opening.uncount()
