"""The help alone must be enough to go on."""

from itertools import pairwise

import pytest
import typer
from typer.core import TyperGroup

from muster_client.cli.app import app


def paths(command, so_far=()):
    """Name every command below ``command``, and the groups too."""
    yield so_far
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from paths(below, (*so_far, name))


COMMANDS = [path for path in paths(typer.main.get_command(app)) if path and path != ("hub",)]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(cli, path):
    done = cli.ok(*path, "--help")
    assert done.out.startswith(f"Usage: muster {' '.join(path)}")
    assert f"    muster {' '.join(path)}" in done.out
    assert "\x1b" not in done.out
    assert max(map(len, done.out.splitlines())) <= 100


def test_the_first_page_leads_a_newcomer(cli):
    out = cli.ok("--help").out
    headings = ["First steps:", "Every day:", "Trust and grants:", "Running a hub:", "Options:", "Examples:"]
    places = [out.index(heading) for heading in headings]
    assert places == sorted(places)
    steps = ["muster init", "muster id", "muster trust add", "muster grant add", "muster agent", "muster session start"]
    ways = [out.rindex(step) for step in steps]
    assert ways == sorted(ways)
    for heading, following in pairwise(headings[:5]):
        assert "  $ muster " in out[out.index(heading) : out.index(following)]


def test_session_start_tells_its_exit_codes(cli):
    out = cli.ok("session", "start", "--help").out
    for code in ("0", "1", "2", "3", "4", "5", "255"):
        assert f"\n    {code} " in out


@pytest.mark.parametrize("group", ["trust", "grant", "session"])
def test_a_group_without_a_command_shows_its_page(cli, group):
    assert cli.ok(group).out.startswith(f"Usage: muster {group}")


@pytest.mark.parametrize(
    ("typed", "meant"), [(["sesion"], "session"), (["trust", "ad"], "add"), (["grnat"], "grant"), (["whoo"], "who")]
)
def test_a_mistyped_command_is_met_with_the_one_that_is_meant(cli, typed, meant):
    assert f"Did you mean '{meant}'" in cli.fails(5, *typed).err


@pytest.mark.parametrize("arguments", [["trust", "add", "nas"], ["who", "--no-such"], ["session", "start"]])
def test_a_wrong_call_is_invalid_and_points_to_the_help(cli, arguments):
    assert "--help" in cli.fails(5, *arguments).err
