"""Pipes and terminals: colours only on a terminal, and a silent end when the reader has gone."""

import os
import subprocess
import sys

import pexpect
import pytest


@pytest.mark.parametrize("arguments", [["id"], ["id", "--json"], ["--help"]], ids=" ".join)
def test_a_reader_that_is_gone_is_no_error(laptop, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "muster_client.cli", *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=laptop.whole_environment,
    )
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == b""


def test_on_a_terminal_the_id_stands_out_and_without_colour_it_does_not(laptop):
    coloured = laptop.terminal("id", NO_COLOR="")
    coloured.expect(pexpect.EOF)
    assert "\x1b[1mmuster:" in coloured.before
    plain = laptop.terminal("id", NO_COLOR="1")
    plain.expect(pexpect.EOF)
    assert "\x1b" not in plain.before
