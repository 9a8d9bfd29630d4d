"""``muster doctor``: check this device and its connection to the hub."""

from pathlib import Path

import typer

from muster_client.cli.arguments.invocation import Json, invocation
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import DoctorDocument, FindingFields
from muster_client.cli.output.exit_codes import ExitCode
from muster_client.cli.output.help_pages import Group, examples
from muster_client.doctor import Finding, Health

commands = typer.Typer()

_WORST_FIRST = (Health.FAIL, Health.WARN, Health.OK)
_CHECK_COLUMN = 11


@commands.command(rich_help_panel=Group.DAILY, epilog=examples("muster doctor", "muster doctor --json"))
def doctor(context: typer.Context, *, as_json: Json = False) -> None:
    """Check everything from this device's files to its hub.

    Each line says ok, warn or fail, what was found, and the next step. The exit code is 1 if a check failed.
    """
    output = Output(as_json=as_json)
    # The event loop is slow to import, and most commands do not need it.
    import asyncio  # noqa: PLC0415

    found = asyncio.run(_examine(invocation(context).device_path, output))
    worst = next(state for state in _WORST_FIRST if any(one.state is state for one in found))
    if as_json:
        output.document(DoctorDocument(state=worst.value, findings=tuple(_fields(one) for one in found)))
    raise typer.Exit(ExitCode.NOT_DONE if worst is Health.FAIL else ExitCode.OK)


async def _examine(path: Path, output: Output) -> list[Finding]:
    from muster_client.doctor import examine  # noqa: PLC0415 - it needs the transport, which is slow to import

    found: list[Finding] = []
    async for one in examine(path):
        found.append(one)
        _show(one, output)
    return found


def _show(one: Finding, output: Output) -> None:
    state = one.state.value.ljust(4)
    said = output.quiet(state) if one.state is Health.OK else output.strong(state)
    output.line(said, f"  {one.check.ljust(_CHECK_COLUMN)}  {one.sentence}")
    if one.next_step is not None:
        output.line(f"      {'next:'.ljust(_CHECK_COLUMN)}  {one.next_step}")


def _fields(one: Finding) -> FindingFields:
    return FindingFields(check=one.check, state=one.state.value, sentence=one.sentence, next_step=one.next_step)
