"""Publishing a change of trust or grants to the hub."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from muster_client import Device
from muster_client.cli.arguments.invocation import Invocation
from muster_client.cli.commands.ask_hub import ask_hub
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import PublicationFields
from muster_client.cli.output.failures import NAMELESS, for_people
from muster_client.cli.output.from_errors import from_error
from muster_client.errors import HubError, Trouble
from muster_protocol.reasons import REASONS, Reason

if TYPE_CHECKING:
    from muster_client import Hub

CONNECT_TIMEOUT_S = 5
"""How long a command waits for the hub; the change applies on this device at once."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Whether the hub acknowledged a change; if not, the reason and its sentence for people."""

    reason: str | None = None
    sentence: str = ""

    @property
    def fields(self) -> PublicationFields:
        """The part of a command's document."""
        return PublicationFields(published=self.reason is None, reason=self.reason)

    def note(self, output: Output) -> None:
        """Write a note if the hub does not have the change yet."""
        if self.reason is not None:
            output.note(f"note:  The change applies on this device, but the hub does not have it yet. {self.sentence}")
            output.note("next:  Nothing to do: `muster agent` sends it when the hub can be reached.")


def publish(found: Invocation, device: Device) -> Publication:
    """Send the hub all changes that it has not acknowledged, and notify a running agent."""
    found.agent().notify()
    try:
        refused = ask_hub(device, _refused, timeout_s=CONNECT_TIMEOUT_S)
    except HubError as error:
        failure = from_error(error)
        return Publication(failure.word, failure.sentence) if failure else Publication(Trouble.HUB_UNREACHABLE)
    if not refused:
        return Publication()
    return Publication(refused[0], for_people(REASONS[refused[0]].sentence, NAMELESS))


async def _refused(hub: "Hub") -> list[Reason]:
    """Return the reasons of rejected changes; connecting has sent them all."""
    return [result.reason for result in hub.published if result.reason is not None]
