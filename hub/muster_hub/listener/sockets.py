"""Binding a listener's sockets and naming what was bound."""

import asyncio
import contextlib
import select
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from muster_hub.listener.settings import ListenerSettings


class Listening(Protocol):
    """A listening socket of either event loop."""

    def fileno(self) -> int:
        """Return its descriptor."""


async def bind(settings: ListenerSettings, factory: Callable[[], asyncio.Protocol]) -> asyncio.Server:
    """Bind and listen as the settings say, on all addresses or on none; raises ``OSError``."""
    server = await _bound(settings, factory)
    try:
        await server.start_serving()
    except BaseException:
        server.close()  # an address that cannot listen leaves those before it listening
        raise
    return server


async def _bound(settings: ListenerSettings, factory: Callable[[], asyncio.Protocol]) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    if settings.unix_path is not None:
        return await loop.create_unix_server(
            factory, str(settings.unix_path), backlog=settings.backlog, start_serving=False
        )
    return await loop.create_server(
        factory,
        settings.host,
        settings.port,
        reuse_port=settings.reuse_port or None,
        backlog=settings.backlog,
        start_serving=False,
    )


def shown(address: Any) -> str:  # noqa: ANN401 - what socket.getsockname returns depends on the family
    """Return a socket address as ``host:port``, ``[v6]:port`` or ``unix:path``."""
    if not isinstance(address, tuple):
        return f"unix:{address}"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def waiting(listening: Iterable[Listening]) -> bool:
    """Return whether a listening socket has connections that are not accepted yet."""
    poll = select.poll()
    for sock in listening:
        poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class UnixSocketFile:
    """The file of a Unix socket, removed at the end unless another listener has replaced it."""

    __slots__ = ("_inode", "_path")

    def __init__(self, settings: ListenerSettings) -> None:
        self._path = settings.unix_path
        self._inode = None if self._path is None else self._path.stat().st_ino

    def remove(self) -> None:
        """Remove the file if it is still ours; nothing to do for TCP."""
        if self._path is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
