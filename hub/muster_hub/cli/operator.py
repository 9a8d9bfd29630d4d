"""What the operator's commands share: the data folder of the hub, one question, and how the answer is shown."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from platformdirs import user_data_dir

from muster_hub.admin.client import NoHubError, ask
from muster_hub.admin.messages import AdminReply, AdminRequest, AnyReply
from muster_hub.config.settings import ENVIRONMENT

FAILED = 1

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="PATH", help="The hub's data folder, as `muster hub` has it.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")]


class Said(typer.Exit):
    """Ends the command with exit code 1, after one sentence on standard error."""

    def __init__(self, sentence: str) -> None:
        super().__init__(FAILED)
        typer.echo(sentence, err=True)


def default_data_dir() -> Path:
    """Return the default data folder of a hub."""
    return Path(user_data_dir("muster", appauthor=False)) / "hub"


def answered(context: typer.Context, data_dir: Path | None, request: AdminRequest) -> AnyReply:
    """Ask the running hub; ends the command with a sentence where none answers."""
    named = data_dir or context.obj or os.environ.get(f"{ENVIRONMENT}DATA_DIR") or default_data_dir()
    folder = Path(named).expanduser().absolute()
    try:
        return ask(folder, request)
    except NoHubError as error:
        raise Said(f"{error} Start it by `muster hub`, or name its folder by --data-dir.") from None


def show(document: AdminReply, lines: Sequence[str], *, as_json: bool) -> None:
    """Print a document for scripts, or lines for people."""
    typer.echo(msgspec.json.encode(document).decode() if as_json else "\n".join(lines))
