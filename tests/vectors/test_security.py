"""SECURITY.md against the tests: each claim names tests that run, one of them of the product itself."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECURITY = (ROOT / "protocol/SECURITY.md").read_text("utf-8")
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
FOLDERS = ("attacks", "integration", "property", "schedules", "fault", "rubbish", "e2e", "unit", "vectors")
OF_THE_PRODUCT = (
    "tests/attacks/",
    "tests/integration/",
    "tests/schedules/",
    "tests/fault/",
    "tests/rubbish/",
    "tests/e2e/",
    "tests/unit/client/",
    "tests/unit/hub/",
)
"""Here a real hub, a device's own agent or its data are tested, and not the machines of the protocol alone."""
NOT_COLLECTED = re.compile(r"\b(collect_ignore\w*|pytest_ignore_collect|__test__)\b")
NOT_RUN = re.compile(r"\b(skip|skipif|xfail|importorskip)\b")

Claim = tuple[str, str]


def _rows() -> dict[str, list[Claim]]:
    """Return each property of the table with the tests that it names."""
    table = SECURITY.split("| property | tests |\n|---|---|\n")[1]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    return {row.split(" | ")[0].removeprefix("| "): _NAMED.findall(row) for row in rows}


def _claims() -> set[Claim]:
    return {claim for claims in _rows().values() for claim in claims}


@cache
def _module(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"))


@cache
def _functions(path: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of a module by their names."""
    found = [node for node in _module(path).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {node.name: node for node in found}


def test_every_test_that_is_named_is_in_the_table() -> None:
    assert _claims() == set(_NAMED.findall(SECURITY))


def test_every_property_names_a_test_of_the_product() -> None:
    rows = _rows()
    assert rows
    without = [name for name, claims in rows.items() if not any(path.startswith(OF_THE_PRODUCT) for path, _ in claims)]
    assert not without


def test_every_test_that_is_claimed_is_collected() -> None:
    """pytest collects each function with such a name in a module with such a name, unless a file says otherwise."""
    paths = sorted({path for path, _ in _claims()})
    assert all(path.split("/")[1] in FOLDERS and Path(path).name.startswith("test_") for path in paths)
    assert not [f"{path}::{name}" for path, name in sorted(_claims()) if name not in _functions(path)]
    sources = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    assert not [path for path in sources if NOT_COLLECTED.search(path.read_text("utf-8"))]


def test_no_test_that_is_claimed_is_skipped_or_expected_to_fail() -> None:
    found = [
        f"{path}::{name}"
        for path, name in sorted(_claims())
        if NOT_RUN.search(ast.unparse(_functions(path)[name])) or NOT_RUN.search(_marks_of_all(path))
    ]
    assert not found


@cache
def _marks_of_all(path: str) -> str:
    """Return what a module says of all its tests at once."""
    return "\n".join(
        ast.unparse(node)
        for node in _module(path).body
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) and "pytest" in ast.unparse(node)
    )


def test_every_section_that_is_cited_exists() -> None:
    specification = (ROOT / "protocol/SPEC.md").read_text("utf-8")
    there = set(re.findall(r"^###? (\d+(?:\.\d)?) ", specification, re.MULTILINE))
    cited = {
        number
        for group in re.findall(r"\(((?:\d+(?:\.\d)?)(?:, \d+(?:\.\d)?)*)\)", SECURITY)
        for number in group.split(", ")
        if not number.startswith("0")
    }
    assert cited
    assert cited <= there
