"""The failure for a bug of Muster: its traceback is kept in a file that only this user can read."""

import os
import sys
import traceback
from pathlib import Path

from platformdirs import user_state_path

from muster_client.cli.output.exit_codes import ExitCode
from muster_client.cli.output.failures import Failure, Word
from muster_client.visible import visible

DEBUG_VARIABLE = "MUSTER_DEBUG"
"""Set to anything, the traceback is shown as well."""


def from_unexpected(error: Exception) -> Failure:
    """Write the traceback of ``error`` to a file that only this user can read; return a failure that names it."""
    text = "".join(traceback.format_exception(error))
    if os.environ.get(DEBUG_VARIABLE):
        sys.stderr.write("".join(f"{visible(line)}\n" for line in text.splitlines()))
    path = _keep(text)
    found = f"its traceback is in {path}" if path else f"set {DEBUG_VARIABLE}=1 to see its traceback"
    return Failure(
        Word.UNEXPECTED,
        f"Muster has a bug: {type(error).__name__}; {found}.",
        "Report it, with that traceback.",
        exit_code=ExitCode.UNEXPECTED,
    )


def _keep(text: str) -> Path | None:
    """Write the traceback in place of the last one; return None if that is impossible."""
    try:
        path = user_state_path("muster", appauthor=False, ensure_exists=True) / "last-error.txt"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError:
        return None
    return path
