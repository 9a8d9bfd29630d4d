"""How many files, and so sockets, this process may have open: many systems begin with 1,024, and let it be raised."""

import resource

import structlog

SPARE_FILES = 256
"""Beside the devices' sockets: the store, listening sockets, logs, and connections that are only told to come back."""

_log = structlog.get_logger(__name__)


def allow_open_files(connections: int) -> None:
    """Raise the limit to what so many connections need, as far as the system lets this process."""
    needed = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    wanted = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a limit below the one that it tells
        wanted = soft
    if wanted < needed:
        _log.info("open_files_limited", files=wanted, wanted=needed)
