"""One port for several processes: chosen and held by their supervisor, which does not listen on it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

PORT_TRIES = 16
"""Free ports to try before giving up on one that is free on all addresses of a host."""

_Address = tuple[socket.AddressFamily, tuple[Any, ...]]


@contextmanager
def shared_port(host: str, port: int) -> Iterator[int]:
    """Hold a port of all addresses of a host, 0 for any free one, so that processes of this user may share it.

    Raises ``OSError`` if it is taken. A socket that is bound and does not listen gets no connections.
    """
    addresses = _addresses(host, port)
    with ExitStack() as stack:
        yield _hold(addresses, port, stack)


def _addresses(host: str, port: int) -> list[_Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _hold(addresses: list[_Address], port: int, stack: ExitStack) -> int:
    for tries_left in reversed(range(1 if port else PORT_TRIES)):
        with ExitStack() as sockets:
            try:
                chosen = _hold_all(addresses, port, sockets)
            except OSError:
                if not tries_left:
                    raise
            else:
                stack.push(sockets.pop_all())
                return chosen
    raise OSError("no port is free on all addresses")


def _hold_all(addresses: list[_Address], port: int, stack: ExitStack) -> int:
    for family, address in addresses:
        if port:
            _bind(family, address, port, shared=False).close()  # or it might be shared with another hub of this user
        sock = stack.enter_context(_bind(family, address, port, shared=True))
        port = sock.getsockname()[1]
    return port


def _bind(family: socket.AddressFamily, address: tuple[Any, ...], port: int, *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address[0], port, *address[2:]))
    except OSError:
        sock.close()
        raise
    return sock
