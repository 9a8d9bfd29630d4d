"""The figures as a table for people, and as JSON to compare runs."""

import datetime as dt
import os
import platform
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from tests.bench.figures import Figure

RESULTS = Path(__file__).parent / "results"
WIDTH = 140
CHECK_US = 104
"""Checking a signature, on the machine that the targets were set on."""


def show(figures: list[Figure]) -> None:
    """Print the table."""
    table = Table(title="Per operation: CPU of the node's process, of its store's, on one core")
    for column in ("what", "unit"):
        table.add_column(column)
    for column in ("median", "least - greatest", "store", "floor", "target", "generator"):
        table.add_column(column, justify="right")
    for figure in figures:
        table.add_row(*_cells(figure))
    console = Console(width=WIDTH)
    console.print(table)
    (check,) = (figure.median for figure in figures if figure.name == "verify")
    console.print(
        f"Checking a signature takes {check:.0f} µs here, and took {CHECK_US} µs on the machine of the targets:"
        f" {check / CHECK_US:.1f} times."
    )


def _cells(figure: Figure) -> list[str]:
    least, greatest = figure.spread
    store = f"{sorted(figure.store)[len(figure.store) // 2]:.0f}" if figure.store else ""
    verdict = "" if figure.met is None else f"{figure.target:.0f} {'met' if figure.met else 'missed'}"
    return [
        figure.name,
        figure.unit,
        f"{figure.median:.1f}",
        f"{least:.1f} - {greatest:.1f}" if len(figure.values) > 1 else "",
        store,
        "" if figure.floor is None else f"{figure.floor:.0f} ({figure.floor_is})",
        verdict,
        "" if figure.load_share is None else f"{figure.load_share:.0%}",
    ]


def keep(figures: list[Figure]) -> Path:
    """Write the figures down; returns where."""
    RESULTS.mkdir(exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    document = {
        "at": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "figures": figures,
    }
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    return path
