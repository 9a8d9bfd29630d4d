"""The option that allows an address without TLS."""

from typing import Annotated

import typer

Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure", help="Allow ws:// (no TLS) to another machine: the network can then see who calls whom."
    ),
]
