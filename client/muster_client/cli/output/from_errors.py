"""Failures for the errors of the library and of the option parser."""

from functools import singledispatch

from typer import TyperException

from muster_client import errors
from muster_client.cli.output.exit_codes import ExitCode
from muster_client.cli.output.failures import Failure, Word, did_you_mean, from_reason, invalid
from muster_client.cli.output.nicknames import short
from muster_client.doctor import NEXT_STEPS, as_sentence, cut, with_addresses
from muster_protocol.closes import NextTry
from muster_protocol.errors import Refused
from muster_protocol.reasons import REASONS, Reason, Sayer

_FROM_PARSER = "Value error, "
"""The framework's prefix of a ``ValueError``'s text."""
SHOWN_MATCHES = 6
"""How many matches of an ambiguous name are listed."""


def from_usage(error: TyperException) -> Failure:
    """Return the failure for an error of the option parser."""
    context = getattr(error, "ctx", None)
    command = "muster" if context is None else context.command_path
    sentence = " ".join(error.format_message().split()).rstrip(".").replace(_FROM_PARSER, "")
    if getattr(error, "option_name", None) == "--data-dir":
        return invalid(f"{sentence} here.", f"Put it before the command: `muster --data-dir PATH{command[6:]}`.")
    if "Did you mean" in sentence:
        sentence, _, question = sentence.partition(" Did you mean ")
        return invalid(f"{sentence}", f"Did you mean {question}")
    return invalid(f"{sentence}.", f"See `{command} --help`.")


@singledispatch
def from_error(error: Exception) -> Failure | None:
    """Return the failure for an error of the library; None for an unexpected error."""
    del error
    return None


@from_error.register
def _(error: errors.NoDevice) -> Failure:
    del error
    return Failure(Word.NO_DEVICE, "This machine is not set up as a device yet.", "Run `muster init`.")


@from_error.register
def _(error: errors.DeviceExists) -> Failure:
    del error
    return Failure(
        Word.DEVICE_EXISTS,
        "This machine is already set up as a device; nothing was changed.",
        "See it with `muster id`, or set up a second one in another folder: `muster --data-dir PATH init`.",
    )


@from_error.register
def _(error: errors.DeviceError) -> Failure:
    sentence, next_step = cut(error)
    return Failure(
        Word.UNUSABLE_DATA,
        sentence,
        next_step or "Check that the data folder is complete, and that you own it and can write to it.",
    )


@from_error.register
def _(error: errors.BadHubUrl) -> Failure:
    return invalid(_sentence(error), "Pass another URL with --hub.")


@from_error.register
def _(error: errors.UnsafeKeyFile) -> Failure:
    sentence, next_step = cut(error)
    return Failure(Word.UNSAFE_KEY_FILE, sentence, next_step or "Repair that file, then run this again.")


@from_error.register
def _(error: errors.NewerData) -> Failure:
    sentence, _ = cut(error)
    return Failure(Word.NEWER_DATA, sentence, "Update Muster on this machine.")


@from_error.register
def _(error: errors.DataNotWritten) -> Failure:
    sentence, next_step = cut(error)
    return Failure(Word.DATA_NOT_WRITTEN, sentence, next_step or "Free some space on that disk, then run this again.")


@from_error.register
def _(error: errors.BadCertificateAuthority) -> Failure:
    return invalid(_sentence(error), "Pass the PEM file of the hub's certificate authority, or `system`.")


@from_error.register
def _(error: OSError) -> Failure | None:
    if error.errno in errors.NO_ROOM:
        return Failure(Word.DATA_NOT_WRITTEN, "The disk is full.", "Free some space on it, then run this again.")
    if error.filename is None or error.strerror is None:
        return None
    said = f"{error.filename} cannot be used: {error.strerror.lower()}."
    return Failure(Word.UNUSABLE_FILE, said, "Check that the path is right, and that you own it.")


@from_error.register
def _(error: errors.BadNickname) -> Failure:
    return Failure(Word.BAD_NICKNAME, _sentence(error), "Choose another nickname.", exit_code=ExitCode.INVALID)


@from_error.register
def _(error: errors.AgentRunning) -> Failure:
    return Failure(Word.AGENT_RUNNING, _sentence(error), "Use that agent, or stop it first.")


@from_error.register
def _(error: errors.UnknownName) -> Failure:
    failure = from_reason(Reason.UNKNOWN_CLIENT, Sayer.DEVICE, error.name)
    if error.near:
        failure.next_step = did_you_mean(error.near)
    return failure


@from_error.register
def _(error: errors.AmbiguousName) -> Failure:
    shown = ", ".join(error.matches[:SHOWN_MATCHES])
    more = len(error.matches) - SHOWN_MATCHES
    return Failure(
        Word.AMBIGUOUS_NAME,
        f"{error.name} could mean any of {shown}{f' and {more} more' if more > 0 else ''}.",
        "Type more of the name.",
        exit_code=ExitCode.INVALID,
    )


@from_error.register
def _(error: errors.HubError) -> Failure:
    return Failure(errors.Trouble.HUB_UNREACHABLE, _sentence(error), "Try again; if it persists, see the hub's log.")


@from_error.register
def _(error: errors.HubUnreachable) -> Failure:
    said = f"The hub cannot be reached: {str(error).rstrip('.')}."
    return Failure(error.trouble, said, NEXT_STEPS[error.trouble])


@from_error.register
def _(error: errors.ReplyUnreadable) -> Failure:
    return Failure(error.trouble, _sentence(error), NEXT_STEPS[error.trouble])


@from_error.register
def _(error: errors.HubKeyChanged) -> Failure:
    del error
    return from_reason(Reason.HUB_KEY_CHANGED, Sayer.DEVICE)


@from_error.register
def _(error: errors.HubRefused) -> Failure:
    failure = from_reason(error.reason, Sayer.HUB, signed=error.next_try is NextTry.NEVER)
    failure.sentence = with_addresses(failure.sentence, error)
    return failure


@from_error.register
def _(error: errors.HubBusy) -> Failure:
    return from_reason(error.reason, Sayer.HUB)


@from_error.register
def _(error: errors.NoAgent) -> Failure:
    del error
    return Failure(
        Word.NO_AGENT, "This device's agent is not running.", "Start it in another terminal: `muster agent`."
    )


@from_error.register
def _(error: errors.ControlFailed) -> Failure:
    return Failure(
        Word.AGENT_FAILED,
        f"The agent failed: {str(error).rstrip('.')}.",
        "See the log of `muster agent`.",
    )


@from_error.register
def _(error: errors.UnknownSession) -> Failure:
    return Failure(Reason.SESSION_CLOSED, _sentence(error), "See your sessions with `muster session list`.")


@from_error.register
def _(error: errors.UnknownInvite) -> Failure:
    del error
    return Failure(Word.NO_INVITE, "No open invite has this number or id.", "See the open invites with `muster inbox`.")


@from_error.register
def _(error: errors.InvalidRequest) -> Failure:
    return from_reason(error.reason, Sayer.DEVICE, exit_code=ExitCode.INVALID)


@from_error.register
def _(error: errors.NotTrusted) -> Failure:
    first = error.obstacles[0]
    return from_reason(first.reason, first.sayer, short(first.peer))


@from_error.register
def _(error: errors.SessionRefused) -> Failure:
    return from_reason(error.reason, error.sayer, exit_code=ExitCode.NOT_CREATED)


@from_error.register
def _(error: Refused) -> Failure:
    info = REASONS[error.reason]
    detail = f" ({error.detail})" if error.detail else ""
    return Failure(error.reason, f"{info.sentence}{detail}", info.next_step)


def _sentence(error: Exception) -> str:
    return as_sentence(str(error))
