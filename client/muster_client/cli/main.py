"""The entry point of ``muster``: run one command, and report every failure in one form."""

import os
import sys
from collections.abc import Sequence
from functools import cache

import typer
from typer import TyperException

from muster_client.cli.app import app
from muster_client.cli.arguments.invocation import Invocation
from muster_client.cli.output.exit_codes import ExitCode
from muster_client.cli.output.failures import Failure
from muster_client.cli.output.from_errors import from_error, from_usage
from muster_client.cli.output.report_failure import tell
from muster_client.cli.output.traceback_file import from_unexpected

PROGRAM = "muster"

_commands = cache(typer.main.get_command)
"""Builds all commands, which takes longer than most of them: once for those that call ``main`` many times."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``muster`` with these arguments, by default the process's own; return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _reader_went_away()
    return code


def _run(arguments: list[str]) -> int:
    try:
        return _invoke(arguments)
    except BrokenPipeError:
        raise
    except Failure as failure:
        return tell(failure, as_json=_as_json(arguments))
    except Exception as error:  # noqa: BLE001 - the last handler: every fault is reported in the one form
        known = from_error(error)
        return tell(known or from_unexpected(error), as_json=_as_json(arguments))


def _invoke(arguments: list[str]) -> int:
    try:
        result = _commands(app).main(arguments, prog_name=PROGRAM, standalone_mode=False, obj=Invocation())
    except TyperException as error:
        raise from_usage(error) from error
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except SystemExit as end:
        # The framework exits so when the pipe breaks during a help page; it has silenced the streams already.
        if isinstance(end.__context__, BrokenPipeError):
            return ExitCode.PIPE_CLOSED
        raise
    return result if isinstance(result, int) else ExitCode.OK


def _as_json(arguments: Sequence[str]) -> bool:
    # Looks at the raw arguments: if they are invalid, no option was parsed.
    return "--json" in arguments


def _reader_went_away() -> int:
    # Buffered output has no reader; without this, Python prints an error at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.PIPE_CLOSED
