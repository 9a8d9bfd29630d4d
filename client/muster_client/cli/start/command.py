"""``muster session start``: create a session and call devices into it, live."""

from collections.abc import Sequence
from typing import Annotated

import typer

from muster_client import DEFAULT_SESSION_MS, Device, SessionRequest
from muster_client.cli.arguments.invocation import Json, invocation
from muster_client.cli.arguments.profiles import parse_profile
from muster_client.cli.durations import parse_duration_ms
from muster_client.cli.output.display import Output
from muster_client.cli.output.exit_codes import ExitCode
from muster_client.cli.output.failures import NAMELESS, Failure, from_reason
from muster_client.cli.output.from_errors import from_error
from muster_client.cli.output.help_pages import examples
from muster_client.cli.output.nicknames import Nicknames, short
from muster_client.cli.start.attempt import Attempt, called
from muster_client.cli.start.run import Run
from muster_client.errors import InvalidRequest, NoAgent, NotTrusted, UnknownName
from muster_protocol.cards import Mode
from muster_protocol.errors import MusterError
from muster_protocol.exchange import DEFAULT_INVITE_MS
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Sayer

commands = typer.Typer()

Timeout = Annotated[
    int | None,
    typer.Option(
        "--timeout",
        parser=parse_duration_ms,
        metavar="TIME",
        help="Time to wait: 30s, 2m; default 5m.",
        show_default=False,
    ),
]
Lasts = Annotated[
    int | None,
    typer.Option(
        "--for",
        parser=parse_duration_ms,
        metavar="TIME",
        help="Duration of the session: 2h, 3d; default 24h, at most 7d.",
        show_default=False,
    ),
]

EXIT_CODES = """\b
Exit codes:
  0    all were invited; with --wait: all joined
  1    the session was created, but some targets refused
  2    a target is not trusted or not known, and no session was created
  3    the session could not be created
  4    --wait ran out of time
  5    the request is invalid
  255  unexpected
"""


@commands.command(
    epilog=examples(
        "muster session start nas",
        "muster session start nas laptop --wait --timeout 30s",
        "muster session start nas --mode synchronize --profile photos --json",
        "muster session start phone --ask --wait      the person there is asked",
    )
    + "\n\n"
    + EXIT_CODES
)
def start(
    context: typer.Context,
    targets: Annotated[list[str], typer.Argument(metavar="TARGET", help="The devices to call: nicknames or ids.")],
    *,
    mode: Annotated[Mode, typer.Option("--mode", help="The session's mode.")] = Mode.JOIN,
    profile: Annotated[
        str | None, typer.Option("--profile", parser=parse_profile, metavar="NAME", help="The session's profile.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the person at each device; no grant is needed.")] = False,
    star: Annotated[
        bool, typer.Option("--star", help="Members need to trust only this device, not each other.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every target has joined or refused.")] = False,
    timeout_ms: Timeout = None,
    lasts_ms: Lasts = None,
    as_json: Json = False,
) -> None:
    """Create a session and call devices into it.

    Each step of each device is shown as it happens. All targets are first checked against this device's own data.
    Ctrl-C withdraws the open invites.
    """
    output = Output(as_json=as_json)
    found = invocation(context)
    kind = SessionKind.STAR if star else SessionKind.MESH
    purpose = Purpose.ASK if ask else Purpose.AUTO
    with found.device() as device:
        clients = _resolve(device, targets)
        names = Nicknames(device)
        request = SessionRequest(clients, mode, profile, kind, purpose, lasts_ms or DEFAULT_SESSION_MS)
        run = Run(found.agent(), request, Attempt(called(clients), wait), names, output)
        try:
            code = _follow(run, device, request, timeout_ms or DEFAULT_INVITE_MS)
        except NotTrusted as error:
            code = run.refused_here(error.obstacles)
        except InvalidRequest as error:
            raise _invalid(error, names) from error
        except MusterError as error:
            raise run.broken_off(error) from error
    raise typer.Exit(code)


def _resolve(device: Device, names: Sequence[str]) -> tuple[ClientId, ...]:
    try:
        return tuple(device.client if name == device.client else device.peers.resolve(name).client for name in names)
    except UnknownName as error:
        failure = from_error(error)
        if failure is None:
            raise
        failure.exit_code = ExitCode.NOT_TRUSTED
        raise failure from error


def _follow(run: Run, device: Device, request: SessionRequest, timeout_ms: int) -> ExitCode:
    try:
        return run.follow(timeout_ms)
    except NoAgent:
        # No agent has checked the request; a refusal from this device's own data is reported first.
        device.check_request(request)
        raise


def _invalid(error: InvalidRequest, names: Nicknames) -> Failure:
    peer = NAMELESS if error.peer is None else names.get(error.peer) or short(error.peer)
    return from_reason(error.reason, Sayer.DEVICE, peer, exit_code=ExitCode.INVALID)
