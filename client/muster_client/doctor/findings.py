"""The findings of an examination."""

from enum import StrEnum

from msgspec import Struct


class Health(StrEnum):
    """The result of one check."""

    OK = "ok"
    WARN = "warn"
    """It works, but perhaps not for long, or not as well as it could."""
    FAIL = "fail"
    """It does not work until a person repairs it."""


class Finding(Struct, frozen=True, kw_only=True):
    """One check: ``sentence`` says what was found, ``next_step`` what to do; None if nothing needs to be done."""

    check: str
    state: Health
    sentence: str
    next_step: str | None = None


def ok(check: str, sentence: str) -> Finding:
    """Return a finding that is in order."""
    return Finding(check=check, state=Health.OK, sentence=sentence)


def warn(check: str, sentence: str, next_step: str) -> Finding:
    """Return a finding that a person should know."""
    return Finding(check=check, state=Health.WARN, sentence=sentence, next_step=next_step)


def fail(check: str, sentence: str, next_step: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(check=check, state=Health.FAIL, sentence=sentence, next_step=next_step)
