"""The probe after a reset handshake: whether the port speaks the other one of TLS and plain HTTP.

A TLS port closes on plain HTTP without an answer, and a plain port on TLS. Only the other greeting shows whether the
URL is wrong by one letter, or something on the way cuts.
"""

import asyncio
import ssl
from urllib.parse import urlsplit

from muster_client.device.hub_address import DEFAULT_PORTS

LOOK_TIMEOUT_S = 2.0
_MAX_BYTES = 16


async def speaks_plain_http(url: str) -> bool:
    """Return whether the port of a ``wss://`` URL answers plain HTTP."""
    host, port = _place(url)
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                return (await reader.read(_MAX_BYTES)).startswith(b"HTTP/")
            finally:
                writer.close()
    except OSError:
        return False


async def speaks_tls(url: str) -> bool:
    """Return whether the port of a ``ws://`` URL answers a TLS handshake, with any certificate."""
    host, port = _place(url)
    context = ssl.create_default_context()
    # Nothing is sent over this connection: it only shows that there is TLS.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.close()
    except OSError:
        return False
    return True


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
