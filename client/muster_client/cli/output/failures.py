"""One form for every failure: what happened, who says so, and the next step."""

from enum import StrEnum

from muster_client.cli.output.exit_codes import ExitCode
from muster_client.doctor import claimed, gives_up
from muster_client.errors import Trouble
from muster_protocol.reasons import REASONS, Reason, Sayer

NAMELESS = "the other device"
"""Stands for a peer without a nickname on this device."""


class Word(StrEnum):
    """The command line's own reasons, beside those of the protocol."""

    AGENT_FAILED = "agent_failed"
    AGENT_RUNNING = "agent_running"
    AMBIGUOUS_NAME = "ambiguous_name"
    BAD_NICKNAME = "bad_nickname"
    DATA_NOT_WRITTEN = "data_not_written"
    DEVICE_EXISTS = "device_exists"
    HUB_NOT_INSTALLED = "hub_not_installed"
    INVALID_REQUEST = "invalid_request"
    NEWER_DATA = "newer_data"
    NO_AGENT = "no_agent"
    NO_DEVICE = "no_device"
    NO_INVITE = "no_invite"
    NO_TERMINAL = "no_terminal"
    NOT_CONFIRMED = "not_confirmed"
    NOT_INSTALLED = "not_installed"
    UNEXPECTED = "unexpected"
    UNSAFE_KEY_FILE = "unsafe_key_file"
    UNUSABLE_DATA = "unusable_data"
    UNUSABLE_FILE = "unusable_file"
    WAIT_TIMED_OUT = "wait_timed_out"


class Failure(Exception):
    """Raised when a command fails for a known reason.

    ``word`` is for scripts and never changes its meaning; ``sentence`` and ``next_step`` are for people. ``said_by`` is
    who says so, in words for people.
    """

    def __init__(
        self,
        word: Word | Reason | Trouble,
        sentence: str,
        next_step: str,
        *,
        said_by: str = "this device",
        exit_code: ExitCode = ExitCode.NOT_DONE,
    ) -> None:
        self.word = word
        self.sentence = sentence
        self.next_step = next_step
        self.said_by = said_by
        self.exit_code = exit_code
        super().__init__(sentence)


def for_people(text: str, peer: str) -> str:
    """Return a sentence of the reason table with the peer's name in it, starting with a capital."""
    said = text.replace("{peer}", peer)
    return said[:1].upper() + said[1:] if text.startswith("{peer}") and peer == NAMELESS else said


def said_by(sayer: Sayer | None, peer: str = NAMELESS) -> str:
    """Return who gave a reason, in words for people."""
    match sayer:
        case Sayer.PEER:
            return peer
        case Sayer.HUB:
            return "the hub"
        case _:
            return "this device"


def from_reason(
    reason: Reason,
    sayer: Sayer,
    peer: str = NAMELESS,
    *,
    exit_code: ExitCode = ExitCode.NOT_DONE,
    signed: bool = False,
) -> Failure:
    """Return the failure for a reason of the protocol; ``peer`` is the other device's name.

    A reason that only a peer may give is shown as no fact where the hub gives it: the peer would have to sign it. Nor
    does a word of the hub have a person give up anything, unless it is ``signed``.
    """
    info = REASONS[reason]
    if sayer is Sayer.HUB and Sayer.HUB not in info.sayers:
        return Failure(
            reason,
            f"The hub says what only {peer} may say, and shows no signed word of it.",
            f"Ask the person at {peer}; if it persists, tell the hub's operator.",
            said_by=said_by(sayer, peer),
            exit_code=exit_code,
        )
    sentence, next_step = info.sentence, info.next_step
    if sayer is Sayer.HUB and not signed and gives_up(reason):
        sentence, next_step = claimed(reason, peer)
    return Failure(
        reason,
        for_people(sentence, peer),
        for_people(next_step, peer),
        said_by=said_by(sayer, peer),
        exit_code=exit_code,
    )


def invalid(sentence: str, next_step: str) -> Failure:
    """Return the failure for an invalid request."""
    return Failure(Word.INVALID_REQUEST, sentence, next_step, exit_code=ExitCode.INVALID)


def did_you_mean(names: tuple[str, ...]) -> str:
    """Return a question with near matches: ``Did you mean nas or mac?``."""
    *most, last = names
    listed = f"{', '.join(most)} or {last}" if most else last
    return f"Did you mean {listed}?"
