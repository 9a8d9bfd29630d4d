"""Reporting a failure: two lines on standard error, and one document for scripts."""

import os
import sys

from msgspec import Struct

from muster_client.cli.output.display import Output
from muster_client.cli.output.failures import Failure
from muster_client.visible import visible

_RED, _DIM, _PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[0m"


class ErrorFields(Struct, frozen=True, kw_only=True):
    """What went wrong."""

    reason: str
    said_by: str
    sentence: str
    next_step: str


class ErrorDocument(Struct, frozen=True, kw_only=True):
    """What a command with ``--json`` writes in place of its own document."""

    error: ErrorFields


def tell(failure: Failure, *, as_json: bool) -> int:
    """Report a failure, and return its exit code."""
    if as_json:
        Output(as_json=True).document(describe(failure))
    red, dim, plain = (_RED, _DIM, _PLAIN) if _styled() else ("", "", "")
    who = visible(f"({failure.said_by} says: {failure.word})")
    sys.stderr.write(f"{red}error:{plain} {visible(failure.sentence)} {dim}{who}{plain}\n")
    sys.stderr.write(f"next:  {visible(failure.next_step)}\n")
    return failure.exit_code


def describe(failure: Failure) -> ErrorDocument:
    """Return a failure's document."""
    fields = ErrorFields(
        reason=failure.word.value,
        said_by=failure.said_by,
        sentence=failure.sentence,
        next_step=failure.next_step,
    )
    return ErrorDocument(error=fields)


def _styled() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
