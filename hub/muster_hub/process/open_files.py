"""The limit of open files, and so of sockets: many systems begin with 1,024 and allow a process to raise it."""

import resource

import structlog

SPARE_FILES = 256
"""Files besides the devices' sockets: the store, listening sockets, logs, and connections that are refused with 503."""

_log = structlog.get_logger(__name__)


def allow_open_files(connections: int) -> None:
    """Raise the limit to what so many connections need, as far as the system allows."""
    needed = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    wanted = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS enforces a lower limit than it reports
        wanted = soft
    if wanted < needed:
        _log.info("open_files_limited", files=wanted, wanted=needed)
