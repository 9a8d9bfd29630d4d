"""``muster agent install`` and ``uninstall``: the agent as a service of the user."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from muster_client.cli.arguments.accept import AcceptOption
from muster_client.cli.arguments.invocation import Invocation, Json, invocation
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import ServiceDocument
from muster_client.cli.output.failures import Failure, Word
from muster_client.cli.output.help_pages import examples
from muster_client.errors import AgentRunning, NoAgent

if TYPE_CHECKING:
    from muster_client.service_unit import Service

COMMAND_TIMEOUT_S = 30

commands = typer.Typer()


@commands.command(
    epilog=examples("muster agent install", "muster agent install --accept granted", "muster agent install --print")
)
def install(
    context: typer.Context,
    *,
    on_session: Annotated[
        str | None, typer.Option("--on-session", metavar="CMD", help="As for `muster agent`.")
    ] = None,
    accept: Annotated[AcceptOption, typer.Option("--accept", help="As for `muster agent`.")] = AcceptOption.ALL,
    show: Annotated[bool, typer.Option("--print", help="Print the service's file and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Install and start the agent as a service of this user.

    It starts at login, and again after a crash: a systemd user unit, or a launchd agent on macOS. It uses the proxy
    variables of this shell. If the service manager cannot be reached from here, the file is written and the
    commands to run are shown.
    """
    output = Output(as_json=as_json)
    found = invocation(context)
    with found.device() as device:
        service = _service(device.path, on_session, accept)
    if show:
        output.show(_document(service, installed=False, failed=()), lambda: output.drawing(service.text.rstrip("\n")))
        return
    _no_other_agent(found, service)
    _write(service)
    failed = _run_all(service.enable)
    output.show(_document(service, installed=True, failed=failed), lambda: _tell(service, failed, output))


@commands.command(epilog=examples("muster agent uninstall"))
def uninstall(context: typer.Context, *, as_json: Json = False) -> None:
    """Stop the service and remove its file."""
    output = Output(as_json=as_json)
    with invocation(context).device() as device:
        service = _service(device.path, None, AcceptOption.ALL)
    if not service.path.exists():
        raise Failure(
            Word.NOT_INSTALLED, "The agent of this device is not installed as a service.", "See `muster agent status`."
        )
    # The service manager has to stop it while the file is still there, and to forget it afterwards.
    failed = _run_all(service.disable[:1])
    service.path.unlink()
    failed = service.disable if failed else _run_all(service.disable[1:])
    document = _document(service, installed=False, failed=failed)
    output.show(document, lambda: _tell_removed(service, failed, output))


def _service(device: Path, on_session: str | None, accept: AcceptOption) -> "Service":
    # The proxy code is slow to import, and most commands do not need it.
    from muster_client.service_unit import agent_service  # noqa: PLC0415

    options = [] if accept is AcceptOption.ALL else ["--accept", accept.value]
    options += [] if on_session is None else ["--on-session", on_session]
    return agent_service(device, options, os.environ, Path.home())


def _write(service: "Service") -> None:
    from muster_client.service_unit import write_service  # noqa: PLC0415 - as above

    write_service(service)


def _no_other_agent(found: Invocation, service: "Service") -> None:
    """Raise ``AgentRunning`` if an agent runs by hand: the service could not start beside it."""
    if service.path.exists():
        return
    try:
        raise AgentRunning(found.agent().status().pid)
    except NoAgent:
        return


def _run_all(listed: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Run the commands in order; return the first that failed and all after it."""
    for done, command in enumerate(listed):
        try:
            ended = subprocess.run(  # noqa: S603 - fixed commands, no shell
                command, check=False, capture_output=True, timeout=COMMAND_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired):
            return tuple(listed[done:])
        if ended.returncode:
            return tuple(listed[done:])
    return ()


def _document(service: "Service", *, installed: bool, failed: Sequence[tuple[str, ...]]) -> ServiceDocument:
    return ServiceDocument(
        service=service.name,
        path=str(service.path),
        text=service.text,
        installed=installed,
        to_run=tuple(shlex.join(command) for command in failed),
    )


def _tell(service: "Service", failed: Sequence[tuple[str, ...]], output: Output) -> None:
    output.line(f"Wrote {service.path}.")
    if failed:
        _tell_to_run(failed, output)
        return
    output.line("The agent runs as a service now. See it with: muster agent status")
    if service.name.endswith(".service"):
        output.note("note:  It stops when you log out; `loginctl enable-linger` keeps it running.")


def _tell_removed(service: "Service", failed: Sequence[tuple[str, ...]], output: Output) -> None:
    output.line(f"Removed {service.path}.")
    if failed:
        _tell_to_run(failed, output)


def _tell_to_run(failed: Sequence[tuple[str, ...]], output: Output) -> None:
    output.note("note:  The service manager could not be reached from here.")
    output.note(f"next:  Run this where you are logged in: {' && '.join(map(shlex.join, failed))}")
