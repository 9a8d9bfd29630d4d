"""Completion in the shell."""

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_each_shell_names_the_program(cli, shell):
    done = cli.process(_MUSTER_COMPLETE=f"source_{shell}")
    assert done.code == 0
    assert "_MUSTER_COMPLETE" in done.out
    assert "muster" in done.out


def test_commands_are_completed(cli):
    done = cli.process(_MUSTER_COMPLETE="complete_bash", COMP_WORDS="muster s", COMP_CWORD="1")
    assert done.out.split() == ["session"]


def test_subcommands_are_completed(cli):
    done = cli.process(_MUSTER_COMPLETE="complete_bash", COMP_WORDS="muster grant re", COMP_CWORD="2")
    assert sorted(done.out.split()) == ["renew", "revoke"]
