"""Commands that other packages bring, and what happens when one of them breaks."""

from pathlib import Path

import pytest

APP = """
import typer

app = typer.Typer(help="Water the plants.")

@app.callback(invoke_without_command=True)
def water(litres: int = 1) -> None:
    typer.echo(f"{litres} litres")

@app.command()
def fail() -> None:
    raise ZeroDivisionError("a secret that no line may show")
"""


@pytest.fixture
def brought(cli, tmp_path):
    """Install a package beside this one: a folder with its metadata, as pip leaves it."""
    (tmp_path / "plants.py").write_text(APP)
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    facts = tmp_path / "plants-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: plants\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[muster.commands]\nplants = plants:app\nbroken = broken:app\n")
    cli.environment["PYTHONPATH"] = str(tmp_path)
    return cli


def test_a_brought_command_is_listed_and_runs(brought):
    assert "Water the plants." in brought.ok("--help").out
    assert brought.ok("plants", "--litres", "3").out == "3 litres\n"


def test_a_brought_command_whose_parts_are_missing_hides_nothing_else(brought):
    assert "plants" in brought.ok("--help").out
    assert "No such command 'broken'" in brought.fails(5, "broken").err


def test_a_mistake_is_one_line_and_leaves_its_traceback_in_a_private_file(brought, tmp_path):
    state = tmp_path / "state"
    done = brought.process("plants", "fail", XDG_STATE_HOME=str(state))
    assert done.code == 255
    assert len(done.err.splitlines()) == 2
    assert "ZeroDivisionError" in done.err
    assert "a secret" not in done.err
    (file,) = [path for path in state.rglob("*") if path.is_file()]
    assert str(file) in done.err
    assert "plants.py" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_with_debug_the_traceback_is_shown(brought, tmp_path):
    done = brought.process("plants", "fail", MUSTER_DEBUG="1", XDG_STATE_HOME=str(tmp_path))
    assert done.code == 255
    assert "Traceback" in done.err


def test_without_a_place_for_the_traceback_the_line_says_how_to_see_it(brought):
    assert "MUSTER_DEBUG=1" in brought.process("plants", "fail", XDG_STATE_HOME=str(Path("/dev/null"))).err
