"""What the demo shows."""

from typing import Any

from fleet import FLEET, CalledDevice
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

console = Console(highlight=False)


def opening() -> None:
    """Say what is about to happen."""
    console.print(
        Panel.fit(
            "[bold]Muster[/bold]: one device calls its trusted devices into a session.\n"
            "A real hub, real agents and real keys, all on this machine.\n"
            "It takes some seconds and cleans up behind itself.",
            border_style="cyan",
        )
    )


def step(text: str) -> None:
    """Begin a part."""
    console.print(f"\n[bold cyan]>[/bold cyan] [bold]{text}[/bold]")


def say(text: str) -> None:
    """Tell a fact within a part."""
    console.print(f"  {text}", soft_wrap=True)


def outcomes(document: dict[str, Any], fleet: tuple[CalledDevice, ...] = FLEET) -> bool:
    """Show what became of each called device; return whether all of it is as it should be."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for column in ("", "device", "what about it", "outcome", "whose word", "time"):
        table.add_column(column, justify="right" if column == "time" else "left", no_wrap=True)
    told = {target["nickname"]: target for target in document["targets"]}
    good = True
    for called in fleet:
        target = told.get(called.name, {})
        expected = as_expected(called, target)
        good = good and expected
        table.add_row(
            "[green]ok[/green]" if expected else "[red]no[/red]",
            called.name,
            f"[dim]{called.story}[/dim]",
            _outcome(target) if expected else f"{_outcome(target)}, expected {called.reason or 'joined'}",
            _sayer(called, target),
            f"{target['after_ms']} ms" if "after_ms" in target else "",
        )
    console.print(table)
    return good


def as_expected(called: CalledDevice, target: dict[str, Any]) -> bool:
    """Compare one outcome with the story."""
    if called.reason is None:
        return bool(target.get("state") == "joined")
    return bool(target.get("state") == "refused" and target.get("reason") == called.reason)


def _outcome(target: dict[str, Any]) -> str:
    if target.get("state") == "joined":
        return "[green]joined[/green]"
    return f"[yellow]{target.get('reason') or target.get('state') or 'missing'}[/yellow]"


def _sayer(called: CalledDevice, target: dict[str, Any]) -> str:
    words = {"hub": "the hub", "peer": called.name, "device": "the laptop"}
    if target.get("state") == "joined":
        return called.name
    return words.get(target.get("said_by") or "", "")
