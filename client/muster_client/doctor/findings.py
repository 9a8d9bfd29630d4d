"""What an examination finds: one line each."""

from enum import StrEnum

from msgspec import Struct


class Health(StrEnum):
    """How one thing is."""

    OK = "ok"
    WARN = "warn"
    """It works, and may not for long or not as well as it could."""
    FAIL = "fail"
    """It does not work until somebody does something."""


class Finding(Struct, frozen=True, kw_only=True):
    """One check: ``sentence`` says what is so, ``next_step`` what to do, None where nothing is to be done."""

    check: str
    state: Health
    sentence: str
    next_step: str | None = None


def ok(check: str, sentence: str) -> Finding:
    """Find something in order."""
    return Finding(check=check, state=Health.OK, sentence=sentence)


def warn(check: str, sentence: str, next_step: str) -> Finding:
    """Find something that somebody should know."""
    return Finding(check=check, state=Health.WARN, sentence=sentence, next_step=next_step)


def fail(check: str, sentence: str, next_step: str) -> Finding:
    """Find something that does not work."""
    return Finding(check=check, state=Health.FAIL, sentence=sentence, next_step=next_step)
