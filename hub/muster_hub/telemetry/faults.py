"""The part of an exception that a log may show: its type and place. Its message could quote a payload."""

import traceback
from pathlib import PurePath


def fault_fields(exc: BaseException) -> dict[str, str]:
    """Return the log fields for ``exc``: ``error``, its type, and ``at``, the innermost file and line."""
    frames = traceback.extract_tb(exc.__traceback__, limit=-1)
    at = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    return {"error": type(exc).__name__, "at": at}
