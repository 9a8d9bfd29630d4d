"""The contract of the command line's imports: a module of the library is private until the contract names it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rooms import ROOT

CONTRACT = "The command line imports only the public modules of the library"
ROOMS = "In the client every room stands on those beneath it"
CONTRACT_IDS = ("command-line-uses-the-public-names", "rooms-of-the-client")
IN_ROOMS = ("device/added", "control/added")
A_ROOM = "added"


def report(tree: Path) -> str:
    """Run these import contracts over a copy of the client, and return what is said of them."""
    program = str(Path(sys.executable).with_name("lint-imports"))
    options = [option for contract in CONTRACT_IDS for option in ("--contract", contract)]
    command = [program, "--no-logo", "--no-cache", *options]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False).stdout


def add(tree: Path, *names: str) -> None:
    """Add modules that the contracts do not name."""
    for name in names:
        (tree / f"muster_client/{name}.py").write_text('"""Nobody knows this module."""\n')


def dotted(name: str) -> str:
    return f"muster_client.{name.replace('/', '.')}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the client with the contracts, whose modules are found before the installed ones."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "client/muster_client", folder / "muster_client")
    shutil.copy(ROOT / ".importlinter", folder)
    return folder


@pytest.fixture(scope="module")
def with_modules(tree: Path) -> str:
    """Return what is said of new modules in rooms that are there already."""
    add(tree, *IN_ROOMS)
    return report(tree)


@pytest.fixture(scope="module")
def with_a_room(tree: Path, with_modules: str) -> str:
    """Return what is said of a new room on top of them."""
    add(tree, A_ROOM)
    return report(tree)


@pytest.fixture(scope="module")
def with_imports(tree: Path, with_a_room: str) -> str:
    """Return what is said once the command line imports all of them."""
    with (tree / "muster_client/cli/durations.py").open("a") as durations:
        durations.writelines(f"import {dotted(name)}\n" for name in (*IN_ROOMS, A_ROOM))
    return report(tree)


@pytest.mark.parametrize("name", [*IN_ROOMS, A_ROOM])
def test_the_command_line_may_not_import_a_new_module(with_a_room: str, with_imports: str, name: str) -> None:
    assert f"{CONTRACT} KEPT" in with_a_room
    assert f"{CONTRACT} BROKEN" in with_imports
    assert f"muster_client.cli is not allowed to import {dotted(name)}:" in with_imports


def test_a_new_room_needs_a_place_in_the_contract(with_modules: str, with_a_room: str) -> None:
    assert f"{ROOMS} KEPT" in with_modules
    assert f"{ROOMS} BROKEN" in with_a_room
