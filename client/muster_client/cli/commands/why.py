"""``muster why``: whether one device could call another, check by check."""

from dataclasses import dataclass
from typing import Annotated

import typer

from muster_client import Device, SessionRequest
from muster_client.cli.arguments.invocation import Json, invocation
from muster_client.cli.arguments.profiles import parse_profile
from muster_client.cli.commands.ask_hub import ask_hub
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import CheckFields, WhyDocument
from muster_client.cli.output.exit_codes import ExitCode
from muster_client.cli.output.failures import Failure, from_reason, invalid
from muster_client.cli.output.help_pages import Group, examples
from muster_client.cli.output.nicknames import Nicknames
from muster_client.cli.output.report_failure import tell
from muster_protocol.cards import Mode
from muster_protocol.decision import Decision
from muster_protocol.frames import Check, DecisionReply, Purpose
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason, Sayer

ME = "me"
"""The name of this device among the two."""

commands = typer.Typer()

_WORDS = {True: "yes", False: "no", None: "-"}


@dataclass(frozen=True, slots=True)
class Question:
    """Whether ``creator`` could call ``target`` now."""

    creator: ClientId
    target: ClientId
    mode: Mode
    profile: str | None
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class WhyVerdict:
    """The decisions of this device and the hub; ``device`` is None if only the hub can know."""

    device: Decision | None
    hub: DecisionReply | None

    @property
    def reason(self) -> tuple[Reason, Sayer] | None:
        """The first refusal, this device's own before the hub's."""
        if self.device is not None and self.device.reason is not None:
            return self.device.reason, Sayer.DEVICE
        if self.hub is not None and self.hub.reason is not None:
            return self.hub.reason, Sayer.HUB
        return None


@commands.command(
    rich_help_panel=Group.DAILY,
    epilog=examples(
        "muster why nas              could this device call nas?",
        "muster why nas me           could nas call this device?",
        "muster why nas --mode synchronize --profile photos",
    ),
)
def why(
    context: typer.Context,
    first: Annotated[str, typer.Argument(metavar="A", help="The device to call; with B, the one that calls.")],
    second: Annotated[
        str | None, typer.Argument(metavar="B", help="The device that A calls; A or B must be `me`.")
    ] = None,
    *,
    mode: Annotated[Mode, typer.Option("--mode", help="The session's mode.")] = Mode.JOIN,
    profile: Annotated[
        str | None, typer.Option("--profile", parser=parse_profile, metavar="NAME", help="The session's profile.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the person at the other device; no grant is needed.")] = False,
    as_json: Json = False,
) -> None:
    """Show whether one device could call another, and what prevents it.

    This device checks its own data, and the hub checks what it knows. Nothing is called. The exit code is 0 for yes,
    1 for no.
    """
    output = Output(as_json=as_json)
    with invocation(context).device() as device:
        creator, target = _pair(device, first, second)
        question = Question(creator, target, mode, profile, Purpose.ASK if ask else Purpose.AUTO)
        verdict = _verdict(device, question)
        failure = _failure(verdict, question, device)
        names = Nicknames(device)
    output.show(_document(question, verdict, failure), lambda: _show(question, verdict, names, output))
    if failure is None:
        who = "the hub says" if verdict.device is None else "this device and the hub say"
        output.line(f"yes, {who}: {names.call(creator)} can call {names.call(target)} now.")
        return
    if not as_json:
        tell(failure, as_json=False)
    raise typer.Exit(ExitCode.NOT_DONE)


def _pair(device: Device, first: str, second: str | None) -> tuple[ClientId, ClientId]:
    one = _client(device, first)
    pair = (device.client, one) if second is None else (one, _client(device, second))
    if pair[0] == pair[1]:
        raise invalid("Both names are the same device.", "Name another device.")
    if device.client not in pair:
        raise invalid("Only one of the two devices can ask this.", f"Name this device, `{ME}`, as one of the two.")
    return pair


def _client(device: Device, name: str) -> ClientId:
    if name.lower() in {ME, device.client}:
        return device.client
    return device.peers.resolve(name).client


def _verdict(device: Device, question: Question) -> WhyVerdict:
    own = None
    if question.creator == device.client:
        request = SessionRequest(
            (question.target,), mode=question.mode, profile=question.profile, purpose=question.purpose
        )
        own = device.decide_outgoing(request, question.target)
        if own.reason is not None:
            return WhyVerdict(own, None)
    return WhyVerdict(own, _ask_hub(device, question))


def _ask_hub(device: Device, question: Question) -> DecisionReply:
    return ask_hub(
        device,
        lambda hub: hub.why(
            question.creator, question.target, mode=question.mode, profile=question.profile, purpose=question.purpose
        ),
    )


def _failure(verdict: WhyVerdict, question: Question, device: Device) -> Failure | None:
    if verdict.reason is None:
        return None
    reason, sayer = verdict.reason
    other = question.target if question.creator == device.client else question.creator
    return from_reason(reason, sayer, Nicknames(device).call(other))


def _checks(verdict: WhyVerdict) -> list[CheckFields]:
    own = {} if verdict.device is None else {step.check: step.passed for step in verdict.device.trace}
    hub = {} if verdict.hub is None else {step.check: step.passed for step in verdict.hub.trace}
    return [CheckFields(check=check.value, device=own.get(check), hub=hub.get(check)) for check in Check]


def _document(question: Question, verdict: WhyVerdict, failure: Failure | None) -> WhyDocument:
    return WhyDocument(
        creator=question.creator,
        target=question.target,
        mode=question.mode.value,
        profile=question.profile,
        purpose=question.purpose.value,
        reason=None if failure is None else failure.word.value,
        said_by=None if verdict.reason is None else verdict.reason[1].value,
        sentence=None if failure is None else failure.sentence,
        next_step=None if failure is None else failure.next_step,
        checks=tuple(_checks(verdict)),
    )


def _show(question: Question, verdict: WhyVerdict, names: Nicknames, output: Output) -> None:
    how = "automatically" if question.purpose is Purpose.AUTO else "by asking the person there"
    creator, target = names.call(question.creator), names.call(question.target)
    output.line(f"Could {creator} call {target} into a {question.mode} session, {how}?")
    rows = [(check.check.replace("_", " "), _WORDS[check.device], _WORDS[check.hub]) for check in _checks(verdict)]
    output.table(("check", "this device", "the hub"), rows)
