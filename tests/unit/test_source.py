"""What must hold of the source itself, and what no linter looks at."""

import re
from collections import defaultdict
from pathlib import Path

from muster_protocol.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (ROOT / "hub/muster_hub", ROOT / "client/muster_client", ROOT / "protocol/muster_protocol")
FOLDERS = ("hub", "client", "protocol", "deploy", "tests", ".ci", ".github")

CODE = frozenset({".py", ".lua", ".js", ".css", ".html", ".sh"})
PROSE = frozenset({".md", ".toml", ".yml", ".yaml", ".ini", ".txt"})
NAMELESS_CODE = frozenset({"Makefile", "run"})

MAX_LINES = 400
LONG_FILES: dict[str, str] = {
    "protocol/muster_protocol/reasons.py": "one closed table: every reason with its sentence and its next step",
}
"""The files of more than MAX_LINES lines, by path from the root, each with the reason why it is one file."""

SAYS_NOTHING = frozenset({"utils", "helpers", "manager", "base"})
# The brackets keep this very line from being found.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")
CLASS = re.compile(r"^[ \t]*class (\w+)[:(]", re.MULTILINE)
LUA_HEADER = re.compile(r"#!lua[^\n]*\n(?P<header>(?:--[^\n]*\n)+)")
LUA_INPUT = re.compile(r"\b(?:KEYS|ARGV)\b")


def _is_ours(path: Path) -> bool:
    made_by_tools = any(part.startswith("__pycache__") or part.endswith(".egg-info") for part in path.parts)
    return path.is_file() and not made_by_tools


def _files() -> list[Path]:
    """Return every file that people write, in the folders of the project and at its top."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if _is_ours(path)]
    return sorted(found + [path for path in ROOT.iterdir() if _is_ours(path)])


def _code() -> list[Path]:
    return [path for path in _files() if path.suffix in CODE or path.name in NAMELESS_CODE]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _lua_scripts() -> list[Path]:
    return [path for path in _code() if path.suffix == ".lua"]


def _lua_fault(text: str) -> str | None:
    """Return what a script's header lacks: the engine line, then comments that name every input that the code uses."""
    match = LUA_HEADER.match(text)
    if match is None:
        return "does not start with '#!lua' and a comment"
    header, body = match["header"], text[match.end() :]
    code = re.sub(r"--[^\n]*", "", body)
    unnamed = {"KEYS", *LUA_INPUT.findall(code)} - set(LUA_INPUT.findall(header))
    return f"its header does not name {', '.join(sorted(unnamed))}" if unnamed else None


def test_every_script_names_its_engine_its_keys_and_its_arguments() -> None:
    scripts = _lua_scripts()
    assert scripts, "no script of the store was found: has its folder moved?"
    faults = {_name(path): fault for path in scripts if (fault := _lua_fault(path.read_text("utf-8")))}
    assert not faults


def test_long_files_are_listed_with_a_reason() -> None:
    lengths = {_name(path): len(path.read_text("utf-8").splitlines()) for path in _code()}
    too_long = {name for name, lines in lengths.items() if lines > MAX_LINES}
    assert too_long == set(LONG_FILES), "LONG_FILES must list the long files, and no others"
    assert all(LONG_FILES.values())


def test_nothing_is_left_to_be_done_later() -> None:
    prose = [path for path in _files() if path.suffix in PROSE]
    found = [
        f"{_name(path)}:{number}"
        for path in [*_code(), *prose]
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert not found


def test_every_module_has_a_name_that_says_something() -> None:
    assert not [_name(path) for path in _code() if path.stem in SAYS_NOTHING or path.parent.name in SAYS_NOTHING]


def test_every_reason_is_in_the_specification() -> None:
    specification = (ROOT / "protocol/SPEC.md").read_text("utf-8")
    assert not [reason.value for reason in Reason if f"`{reason.value}`" not in specification]


def test_every_package_says_that_it_is_typed() -> None:
    assert not [_name(package) for package in PACKAGES if not (package / "py.typed").is_file()]


def test_no_two_classes_have_one_name() -> None:
    """The name of a class alone says which one is meant, in the packages, examples, vectors and tests together."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in [path for path in _code() if path.suffix == ".py"]:
        for name in CLASS.findall(path.read_text("utf-8")):
            found[name].append(_name(path))
    assert {"StoreServer", "CalledDevice", "DialScene", "HubConnection"} <= set(found), "a folder was not read"
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}
