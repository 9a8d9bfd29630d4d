"""One changed module under all vectors, in a process of its own."""

import ast
import importlib
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

from tests.mutants.change import applied, numbered
from tests.mutants.checks import dropped_checks
from tests.mutants.fields import Looser, loosened, looser_fields
from typing_extensions import override

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "protocol/muster_protocol"
LONGEST_S = 30
"""A changed loop may have no end. All vectors together take a second."""

CHEAP = (
    "ids",
    "fingerprints",
    "serials",
    "closes",
    "reasons",
    "continuity",
    "encoding",
    "shapes",
    "decision",
    "export",
)
"""The files that cost least. Most mutants need no other."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module of the package."""

    module: str
    change: str
    looser: Looser | None = None

    @property
    def name(self) -> str:
        """A name that stays while other code changes: no line number is in it."""
        return f"{self.module}: {self.change}"

    @property
    def path(self) -> Path:
        """The module's file."""
        path = PACKAGE.joinpath(*self.module.split("."))
        return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

    def tree(self) -> ast.Module:
        """Return the module with its change."""
        tree = ast.parse(self.path.read_text("utf-8"))
        if self.looser is not None:
            return applied(tree, loosened(tree, self.looser))
        return applied(tree, next(each for each in numbered(dropped_checks(tree)) if each.name == self.change))


def mutants() -> list[Mutant]:
    """Return all mutants. Run it in a process of its own, as it imports the package without a change."""
    paths = [path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")]
    modules = sorted({".".join(path.parts).removesuffix(".__init__") for path in paths} - {"__init__"})
    return [mutant for module in modules for mutant in _of_module(module)]


def _of_module(module: str) -> Iterator[Mutant]:
    tree = ast.parse(Mutant(module, "").path.read_text("utf-8"))
    yield from (Mutant(module, change.name) for change in numbered(dropped_checks(tree)))
    yield from (Mutant(module, name, looser) for name, looser in looser_fields(module))


@cache
def load_vectors() -> dict[str, list[dict[str, Any]]]:
    """Return the vectors of each file, in the order in which they are tried. Call it before processes are forked."""
    paths = {path.stem: path for path in (ROOT / "protocol/vectors").glob("*.json")}
    topics = sorted(paths, key=lambda topic: (topic not in CHEAP, topic))
    return {topic: json.loads(paths[topic].read_text("utf-8"))["vectors"] for topic in topics}


class _Loader(SourceFileLoader):
    """Loads the changed module in the place of its file."""

    def __init__(self, fullname: str, mutant: Mutant) -> None:
        super().__init__(fullname, str(mutant.path))
        self._mutant = mutant

    @override
    def get_code(self, fullname: str) -> CodeType | None:
        return compile(self._mutant.tree(), self.get_filename(fullname), "exec")


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != f"muster_protocol.{self._mutant.module}":
            return None
        folder = [str(self._mutant.path.parent)] if self._mutant.path.stem == "__init__" else None
        loader = _Loader(fullname, self._mutant)
        return spec_from_file_location(fullname, loader=loader, submodule_search_locations=folder)


def first_failure(mutant: Mutant | None) -> str | None:
    """Return the first vector that does not come out as it must, or None. Run it in a process of its own."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(LONGEST_S)
    if mutant is not None:
        sys.meta_path.insert(0, _Finder(mutant))
    try:
        table = importlib.import_module("tests.vectors.checks.table")
    except Exception as exc:  # noqa: BLE001 - a change may break anything
        return f"import: {exc!r}"
    for topic, each in load_vectors().items():
        for vector in each:
            try:
                came_out = table.outcome(topic, vector["input"])
            except Exception as exc:  # noqa: BLE001 - as above
                came_out = exc
            if came_out != table.wanted(vector):
                return f"{topic}: {vector['name']}"
    return None


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError
