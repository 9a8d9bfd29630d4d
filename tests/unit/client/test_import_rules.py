"""The contract of the command line's imports: a module of the library is private until the contract names it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rooms import ROOT

CONTRACT = "The command line imports only the public modules of the library"
ROOMS = "In the client every room stands on those beneath it"


def verdicts(tree: Path) -> dict[str, bool]:
    """Run the import contracts over a copy of the client, and return which of them are kept."""
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([program, "--no-logo", "--no-cache"], cwd=tree, capture_output=True, text=True, check=False)
    ends = {" KEPT": True, " BROKEN": False}
    lines = run.stdout.splitlines()
    return {line.split(end)[0]: kept for line in lines for end, kept in ends.items() if end in line}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the client with the contracts, whose modules are found before the installed ones."""
    shutil.copytree(ROOT / "client/muster_client", tmp_path / "muster_client")
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["added", "device/added", "control/added"])
def test_the_command_line_may_not_import_a_new_module(tree: Path, name: str) -> None:
    (tree / f"muster_client/{name}.py").write_text('"""A module that the contract does not name."""\n')
    assert verdicts(tree)[CONTRACT]
    with (tree / "muster_client/cli/durations.py").open("a") as durations:
        durations.write(f"import muster_client.{name.replace('/', '.')}\n")
    assert not verdicts(tree)[CONTRACT]


def test_a_new_room_needs_a_place_in_the_contract(tree: Path) -> None:
    assert verdicts(tree)[ROOMS]
    (tree / "muster_client/added.py").write_text('"""A room without a place."""\n')
    assert not verdicts(tree)[ROOMS]
