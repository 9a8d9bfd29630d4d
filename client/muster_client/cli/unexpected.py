"""A fault that nobody foresaw: one line, and the place where the traceback is."""

import os
import sys
import traceback
from pathlib import Path

from platformdirs import user_state_path

from muster_client.cli.exit_codes import ExitCode
from muster_client.cli.failures import Failure, Word

DEBUG_VARIABLE = "MUSTER_DEBUG"
"""Set to anything, the traceback is shown as well."""


def from_unexpected(error: Exception) -> Failure:
    """Keep the traceback of ``error`` in a file that only this user reads, and tell where."""
    text = "".join(traceback.format_exception(error))
    if os.environ.get(DEBUG_VARIABLE):
        sys.stderr.write(text)
    place = _keep(text)
    found = f"its traceback is in {place}" if place else f"set {DEBUG_VARIABLE}=1 to see its traceback"
    return Failure(
        Word.UNEXPECTED,
        f"Muster made a mistake: {type(error).__name__}; {found}.",
        "Report it with that traceback.",
        exit_code=ExitCode.UNEXPECTED,
    )


def _keep(text: str) -> Path | None:
    """Write the newest traceback over the one before; None where that cannot be done."""
    try:
        path = user_state_path("muster", appauthor=False, ensure_exists=True) / "last-error.txt"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError:
        return None
    return path
