"""Whether the other end of a local socket runs as this user; both ends of the control socket ask before they trust."""

import os
import socket
import struct

_LINUX = struct.Struct("3i")
"""``struct ucred``: process, user, group."""
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1
_XUCRED_BYTES = 76
_XUCRED_HEAD = struct.Struct("2I")
"""What ``struct xucred`` of macOS and the BSDs begins with: version, user. Python does not name its option."""


def same_user(connection: socket.socket) -> bool:
    """Return whether the other end runs as this user; False as well where the system does not say."""
    try:
        return _user_of_other_end(connection) == os.getuid()
    except OSError:
        return False


def _user_of_other_end(connection: socket.socket) -> int:
    if hasattr(socket, "SO_PEERCRED"):
        _, user, _ = _LINUX.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX.size))
        return int(user)
    _, user = _XUCRED_HEAD.unpack_from(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES))
    return int(user)
