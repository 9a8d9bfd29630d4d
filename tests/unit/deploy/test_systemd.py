"""What is written for operators says what the hub knows."""

import configparser
import re
import shlex
import tomllib
from pathlib import Path

from typer.main import get_command

from muster_hub.cli.command import app
from muster_hub.config.settings import ENVIRONMENT, MAY_BE, load
from muster_hub.process.service import REFUSED

DEPLOY = Path(__file__).parents[3] / "deploy"


def _unit() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names have capitals
    unit.read(DEPLOY / "systemd" / "muster-hub.service")
    return unit["Service"]


def test_the_unit_starts_the_hub_with_options_that_it_has() -> None:
    program, command, *options = shlex.split(_unit()["ExecStart"])
    assert (Path(program).name, command) == ("muster", "hub")
    known = {name for parameter in get_command(app).params for name in parameter.opts}
    assert {word for word in options if word.startswith("--")} <= known


def test_the_unit_names_settings_that_the_hub_has() -> None:
    name, _, _ = _unit()["Environment"].partition("=")
    assert name.removeprefix(ENVIRONMENT).lower() in MAY_BE


def test_the_unit_leaves_the_planned_stop_to_the_hub() -> None:
    assert _unit()["KillMode"] == "mixed"
    assert _unit()["RestartPreventExitStatus"] == str(REFUSED)


def test_every_line_of_the_sample_settings_is_one(tmp_path: Path) -> None:
    """Those that are commented out too."""
    sample = (DEPLOY / "systemd" / "hub.toml").read_text()
    lines = [line.removeprefix("# ") for line in sample.splitlines() if re.match(r"(# )?\w+ = ", line)]
    assert len(lines) > len(tomllib.loads(sample))
    for line in lines:
        file = tmp_path / "one.toml"
        file.write_text(line)
        ((name, value),) = tomllib.loads(line).items()
        settings = load({"config": str(file)}, {}, data_dir=tmp_path)
        assert str(getattr(settings, name)) == str(tuple(value) if isinstance(value, list) else value)
