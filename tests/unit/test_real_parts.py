"""A run that lacks a real part says so at its start and at its end, and does not succeed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.real_parts import PARTS, TESTS

TEST_THAT_NEEDS = """
import pytest

@pytest.mark.needs("faketime")
def test_with_a_moved_clock():
    pass

def test_without():
    pass
"""
SETTINGS = """
[pytest]
markers = needs: a real part
addopts = --strict-markers
"""


def _run(folder: Path, *options: str, path: str, ci: str = "") -> tuple[int, str]:
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "test_clocks.py").write_text(TEST_THAT_NEEDS)
    environ = os.environ | {"PATH": path, "CI": ci, "PYTHONPATH": str(TESTS.parent)}
    environ |= {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # plugins are slow to import
    command = [sys.executable, "-m", "pytest", "-p", "tests.real_parts", *options, str(folder)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout


def _program(folder: Path, name: str) -> None:
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


def test_a_missing_part_is_listed_first_and_its_tests_last(tmp_path: Path) -> None:
    code, output = _run(tmp_path, path="")
    assert code == pytest.ExitCode.TESTS_FAILED
    start, _, end = output.partition("1 not run, missing: faketime:")
    assert "real parts missing" in start
    assert "to run them: apt install faketime" in start
    assert "test_clocks.py (1)\nto run them: apt install faketime\n" in end
    assert "1 passed, 1 skipped" in end


def test_a_missing_part_is_reported_by_the_process_that_others_report_to(tmp_path: Path) -> None:
    code, output = _run(tmp_path, "-p", "xdist", "--numprocesses", "1", path="")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert output.count("1 not run, missing: faketime:") == 1


def test_a_missing_part_fails_its_tests_in_ci(tmp_path: Path) -> None:
    code, output = _run(tmp_path, path="", ci="true")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "1 passed, 1 error" in output
    assert "in CI a missing part is a failure" in output


def test_a_part_that_is_there_lets_its_tests_run(tmp_path: Path) -> None:
    _program(tmp_path, "faketime")
    code, output = _run(tmp_path, path=f"{tmp_path}{os.pathsep}/bin", ci="true")
    assert (code, "2 passed" in output) == (pytest.ExitCode.OK, True)


@pytest.mark.parametrize("name", PARTS)
def test_there_is_a_way_to_get_every_part(name: str) -> None:
    part = PARTS[name]
    assert bool(part.package) != bool(part.otherwise)
