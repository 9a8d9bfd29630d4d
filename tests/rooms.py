"""The rooms of a package, the imports between them, and the diagrams of them in the documents.

``python -m tests.rooms`` prints the diagrams as the documents have to show them.
"""

import ast
import configparser
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "muster_hub": ROOT / "hub",
    "muster_client": ROOT / "client",
    "muster_client.cli": ROOT / "client",
}
"""Packages whose rooms have a contract in ``.importlinter``, and the folders on the import path that hold them."""

_DIAGRAM = re.compile(r"<!-- rooms: ([\w.]+) -->\n+```mermaid\n(.*?)```", re.DOTALL)
_EDGE = re.compile(r"(\w+) --> (\w+)")

Edges = Mapping[str, frozenset[str]]
"""Each room with the rooms that it imports."""


def layers(package: str) -> list[list[str]]:
    """Return the layers of a package's contract, from the top; a room in brackets may not exist and has none here."""
    found = [
        contract["layers"]
        for contract in _contracts()
        if contract.get("containers", "").strip() == package and "layers" in contract
    ]
    (text,) = found
    rows = [[name.strip(" ()") for name in line.split("|")] for line in text.strip().splitlines()]
    exist = _folder(package)
    return [kept for row in rows if (kept := [name for name in row if _is_room(exist, name)])]


def public_modules() -> list[str]:
    """Return the modules of the library that the command line may import, beside ``muster_client`` itself."""
    (contract,) = [one for one in _contracts() if one.get("source_modules", "").strip() == "muster_client.cli"]
    return [line.partition(" -> ")[2] for line in contract["ignore_imports"].strip().splitlines()]


@cache
def imports(package: str) -> Edges:
    """Return which rooms of a package import which others, read from its source, type-only imports included."""
    rooms = [room for row in layers(package) for room in row]
    return {room: frozenset(_imported(package, room)) & frozenset(rooms) - {room} for room in rooms}


def reduced(edges: Edges) -> Edges:
    """Return the edges without those that another path through the same edges stands for."""
    return {
        room: frozenset(end for end in ends if not any(end in _below(edges, other) for other in ends - {end}))
        for room, ends in edges.items()
    }


def diagrams(document: Path) -> dict[str, str]:
    """Return the diagrams of rooms in a document by their package."""
    return dict(_DIAGRAM.findall(document.read_text(encoding="utf-8")))


def drawn(diagram: str) -> Edges:
    """Return the edges that a diagram draws."""
    edges: dict[str, set[str]] = {}
    for line in diagram.splitlines()[1:]:
        edge = _EDGE.fullmatch(line.strip())
        if edge is None:
            edges.setdefault(line.strip(), set())
            continue
        edges.setdefault(edge[1], set()).add(edge[2])
        edges.setdefault(edge[2], set())
    return {room: frozenset(ends) for room, ends in edges.items()}


def draw(package: str) -> str:
    """Return the diagram of a package's rooms: an arrow for each import that no other arrows stand for."""
    edges, order = reduced(imports(package)), [room for row in layers(package) for room in row]
    lines = [f"    {room} --> {end}" for room in order for end in order if end in edges[room]]
    alone = [f"    {room}" for room in order if not any(room in line.split() for line in lines)]
    return "\n".join(["flowchart TD", *alone, *lines, ""])


def _contracts() -> list[configparser.SectionProxy]:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    return [contracts[name] for name in contracts.sections()]


def _folder(package: str) -> Path:
    return SOURCES[package].joinpath(*package.split("."))


def _is_room(folder: Path, name: str) -> bool:
    return (folder / name).is_dir() or (folder / f"{name}.py").is_file()


def _below(edges: Edges, room: str) -> set[str]:
    below: set[str] = set()
    ahead = [room]
    while ahead:
        new = edges[ahead.pop()] - below
        below |= new
        ahead.extend(new)
    return below


def _imported(package: str, room: str) -> Iterator[str]:
    folder = _folder(package)
    paths = (folder / room).rglob("*.py") if (folder / room).is_dir() else [folder / f"{room}.py"]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                yield from _rooms_of(package, node.module, [alias.name for alias in node.names])
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    yield from _rooms_of(package, alias.name, [])


def _rooms_of(package: str, module: str, names: list[str]) -> Iterator[str]:
    if module == package:
        yield from names
    elif module.startswith(f"{package}."):
        yield module.removeprefix(f"{package}.").split(".")[0]


if __name__ == "__main__":
    for name in SOURCES:
        print(f"<!-- rooms: {name} -->\n```mermaid\n{draw(name)}```\n")  # noqa: T201 - a program for the terminal
