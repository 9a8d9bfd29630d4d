"""The hub's end of the private socket: 0600, for the hub's own user and root, one request for each connection."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from muster_hub.admin.address import SOCKET, address
from muster_hub.admin.messages import MAX_REQUEST_BYTES, AnyReply, Failed, read_request
from muster_hub.admin.peer import may_ask
from muster_hub.admin.verbs import Verbs
from muster_hub.telemetry.faults import fault_fields

MAX_ASKING = 8
"""Connections at the same time; further ones are closed."""
REQUEST_LIMIT_S = 5.0
"""How long a command may take to send its request, and to read the reply."""
_MODE = 0o600

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def listening(data_dir: Path, verbs: Verbs) -> AsyncIterator[None]:
    """Answer operators while the body runs. Raises ``OSError`` where the socket cannot be made."""
    path = data_dir / SOCKET
    server = await asyncio.start_unix_server(_Server(verbs).accept, sock=_bound(path), limit=MAX_REQUEST_BYTES)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


class _Server:
    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._asking = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        if self._asking >= MAX_ASKING or not may_ask(writer.get_extra_info("socket")):
            writer.close()
            return
        self._asking += 1
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S):
                line = await reader.readline()
            writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
            async with asyncio.timeout(REQUEST_LIMIT_S):
                await writer.drain()
        except (TimeoutError, ValueError, OSError) as error:
            _log.info("operator_gone", cause=type(error).__name__)
        finally:
            self._asking -= 1
            writer.close()

    async def _answer(self, line: bytes) -> AnyReply:
        try:
            request = read_request(line)
        except msgspec.DecodeError:
            return Failed(sentence="The hub does not know this request; is the command of another version?")
        try:
            return await self._verbs.do(request)
        except Exception as exc:  # noqa: BLE001 - an operator's request must not end the hub; the log says what happened
            _log.error("operator_request_failed", **fault_fields(exc))
            return Failed(sentence="The hub made a mistake; its log has it.")


def _bound(path: Path) -> socket.socket:
    """Make the socket. This process holds the folder's lock, so a file that is there is of a hub that ended."""
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address(path) as name:
            bound.bind(name)
        # Before any process can connect: nothing is accepted until the server listens.
        path.chmod(_MODE)
    except BaseException:
        bound.close()
        raise
    return bound
