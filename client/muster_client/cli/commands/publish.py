"""Publishing a change of trust or grants to the hub."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from muster_client import Device
from muster_client.cli.arguments.invocation import Invocation
from muster_client.cli.commands.ask_hub import ask_hub
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import PublicationFields
from muster_client.cli.output.exit_codes import ExitCode
from muster_client.cli.output.failures import Failure, from_reason
from muster_client.cli.output.from_errors import from_error
from muster_client.errors import HubBusy, HubError, HubRefused, HubUnreachable, Trouble
from muster_protocol.reasons import REASONS, Reason, Sayer

if TYPE_CHECKING:
    from muster_client import Hub

CONNECT_TIMEOUT_S = 5
"""How long a command waits for the hub; the change applies on this device at once."""
NOTHING_TO_DO = "Nothing to do: `muster agent` sends it when the hub can be reached."


@dataclass(frozen=True, slots=True)
class Publication:
    """Whether the hub acknowledged a change; if not, the reason, its sentence for people, and what they do about it.

    ``passes``: the agent sends the change later, without any act of a person.
    """

    reason: str | None = None
    sentence: str = ""
    next_step: str = NOTHING_TO_DO
    passes: bool = True

    @property
    def fields(self) -> PublicationFields:
        """The part of a command's document."""
        return PublicationFields(published=self.reason is None, reason=self.reason)

    def note(self, output: Output) -> None:
        """Write a note if the hub does not have the change yet; raises ``Exit(NOT_DONE)`` where a person has to act."""
        if self.reason is None:
            return
        output.note(f"note:  The change applies on this device, but the hub does not have it yet. {self.sentence}")
        output.note(f"next:  {self.next_step}")
        if not self.passes:
            raise typer.Exit(ExitCode.NOT_DONE)


def publish(found: Invocation, device: Device) -> Publication:
    """Send the hub all changes that it has not acknowledged, and notify a running agent."""
    found.agent().notify()
    try:
        refused = ask_hub(device, _refused, timeout_s=CONNECT_TIMEOUT_S)
    except HubError as error:
        return _failed(error)
    if not refused:
        return Publication()
    return _of(from_reason(refused[0], Sayer.HUB), passes=False)


def _failed(error: HubError) -> Publication:
    failure = from_error(error)
    if failure is None or failure.word is Trouble.HUB_UNREACHABLE:
        return Publication(Trouble.HUB_UNREACHABLE, "" if failure is None else failure.sentence)
    return _of(failure, passes=_passes(error))


def _passes(error: HubError) -> bool:
    """Return whether a later try can succeed without any act of a person."""
    if isinstance(error, HubRefused):
        return REASONS[error.reason].retry
    return isinstance(error, HubUnreachable | HubBusy)


def _of(failure: Failure, *, passes: bool) -> Publication:
    return Publication(failure.word, failure.sentence, failure.next_step, passes)


async def _refused(hub: "Hub") -> list[Reason]:
    """Return the reasons of rejected changes; connecting has sent them all."""
    return [result.reason for result in hub.published if result.reason is not None]
