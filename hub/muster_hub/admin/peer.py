"""Who is at the other end of a local socket."""

import os
import socket
import struct

_LINUX = struct.Struct("3i")
"""``struct ucred``: process, user, group."""
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1
_XUCRED_BYTES = 76
_XUCRED_HEAD = struct.Struct("2I")
"""What ``struct xucred`` of macOS begins with: version, user. Python does not name its option."""
_ROOT = 0


def may_ask(connection: socket.socket) -> bool:
    """Return whether the other end runs as this user or as root; False as well where the system does not say."""
    return _user(connection) in {os.getuid(), _ROOT}


def is_ours(connection: socket.socket) -> bool:
    """Return whether a hub that this process may believe listens: one of the same user, of root, or any for root."""
    return os.getuid() == _ROOT or may_ask(connection)


def _user(connection: socket.socket) -> int | None:
    try:
        if hasattr(socket, "SO_PEERCRED"):
            _, user, _ = _LINUX.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX.size))
        else:
            _, user = _XUCRED_HEAD.unpack_from(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES))
    except OSError:
        return None
    return int(user)
