"""Live progress of each called device."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from muster_client.cli.durations import say_ms
from muster_client.cli.output.display import Output, console
from muster_client.cli.output.failures import said_by
from muster_client.cli.output.nicknames import Nicknames
from muster_client.events import Progress, Target
from muster_client.visible import visible
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Sayer

if TYPE_CHECKING:
    from rich.table import Table as Grid

FRAMES_PER_S = 8

_WHOSE = {
    Progress.CALLED: Sayer.DEVICE,
    Progress.DELIVERED: Sayer.HUB,
    Progress.ACCEPTED: Sayer.PEER,
    Progress.JOINED: Sayer.PEER,
}
_STYLES = {Progress.JOINED: "green", Progress.REFUSED: "red", Progress.ACCEPTED: "cyan"}


class View(Protocol):
    """Shows targets as they change; a context manager."""

    def show(self, target: Target) -> None:
        """Show a target that changed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Lines:
    """One line for each step: for pipes and logs."""

    def __init__(self, output: Output, names: Nicknames) -> None:
        self._output = output
        self._names = names

    def show(self, target: Target) -> None:
        """Write the step."""
        name = self._names.call(target.client)
        self._output.line(f"{say_ms(target.after_ms):>6}  {name}  {target.state}  {remark(target, name)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Table:
    """A table that changes in place: for a terminal."""

    def __init__(self, names: Nicknames, targets: Iterable[ClientId]) -> None:
        from rich.live import Live  # noqa: PLC0415 - slow to import, and only a terminal needs it

        self._names = names
        self._targets = {client: Target(client=client, state=Progress.CALLED) for client in targets}
        self._since = time.monotonic()
        self._live = Live(self, console=console(), refresh_per_second=FRAMES_PER_S)

    def show(self, target: Target) -> None:
        """Show the step at the next frame; the first step brings up the table."""
        self._targets[target.client] = target
        # Not earlier: a request that the agent refuses calls no device, and needs no table.
        self._live.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __rich__(self) -> "Grid":
        """Draw the table as it is now."""
        import rich.table  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415 - as above

        grid = rich.table.Table.grid(padding=(0, 2, 0, 0))
        for target in self._targets.values():
            name = self._names.call(target.client)
            state = Text(target.state, style=_STYLES.get(target.state, ""))
            said = Text(visible(remark(target, name)), style="dim")
            grid.add_row(Text(visible(name), style="bold"), state, Text(self._time(target)), said)
        return grid

    def _time(self, target: Target) -> str:
        if target.state.final:
            return say_ms(target.after_ms)
        return say_ms(int((time.monotonic() - self._since) * 1000))


class Silence:
    """Shows nothing: a script reads only the document."""

    def show(self, target: Target) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def view_for(output: Output, names: Nicknames, targets: Iterable[ClientId]) -> View:
    """Return the view for this output."""
    if output.as_json:
        return Silence()
    return Table(names, targets) if output.terminal else Lines(output, names)


def whose(target: Target) -> Sayer:
    """Return who reported a state."""
    return target.sayer or _WHOSE.get(target.state, Sayer.DEVICE)


def remark(target: Target, name: str) -> str:
    """Return who reported a state, and a refusal's reason; its sentence and next step are shown at the end."""
    says = f"{said_by(whose(target), name)} says"
    return f"({says})" if target.reason is None else f"({says}: {target.reason})"
