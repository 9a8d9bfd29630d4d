"""``muster agent install`` and ``uninstall``, with a service manager that the tests put in its place."""

import sys

import pytest
from tests.unit.client.answering_agent import answering, status_of

from muster_client.device.device import Device


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return the folder of this user's programs; the user's files are under it too, and Linux is the system."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def service_manager(machine, exit_code: int) -> None:
    """Put a ``systemctl`` there that writes down what it is asked to do, and ends with this code."""
    program = machine / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {machine}/asked\nexit {exit_code}\n')
    program.chmod(0o700)


def asked(machine) -> list[str]:
    return [line.split()[1] for line in (machine / "asked").read_text().splitlines()]


def installed(machine) -> list[str]:
    return [path.name for path in machine.glob("config/systemd/user/*")]


def test_install_writes_the_unit_and_starts_it(laptop, machine):
    service_manager(machine, 0)
    document = laptop.ok("agent", "install", "--accept", "granted", "--on-session", "./sync.sh", "--json").document
    assert document["installed"]
    assert document["to_run"] == []
    (unit,) = machine.glob("config/systemd/user/*")
    assert (str(unit), unit.name, unit.read_text()) == (document["path"], document["service"], document["text"])
    assert unit.stat().st_mode & 0o077 == 0, "it may name a proxy with its password"
    assert '"--accept" "granted" "--on-session" "./sync.sh"' in document["text"]
    assert asked(machine) == ["daemon-reload", "enable", "restart"]


def test_installing_again_replaces_the_options(laptop, machine):
    service_manager(machine, 0)
    laptop.ok("agent", "install", "--accept", "granted")
    assert "granted" not in laptop.ok("agent", "install", "--json").document["text"]
    assert len(installed(machine)) == 1


def test_install_says_how_to_keep_it_running_after_logout(laptop, machine):
    service_manager(machine, 0)
    done = laptop.ok("agent", "install")
    assert "runs as a service now" in done.out
    assert "loginctl enable-linger" in done.err


@pytest.mark.parametrize("reachable", [True, False], ids=["refuses", "is not there"])
def test_where_the_service_manager_fails_the_commands_to_run_are_shown(laptop, machine, reachable):
    if reachable:
        service_manager(machine, 1)
    document = laptop.ok("agent", "install", "--json").document
    assert [command.split()[2] for command in document["to_run"]] == ["daemon-reload", "enable", "restart"]
    assert installed(machine) == [document["service"]]
    assert " && ".join(document["to_run"]) in laptop.ok("agent", "install").err


def test_print_changes_nothing(laptop, machine):
    text = laptop.ok("agent", "install", "--print").out
    assert "[Service]" in text
    assert laptop.ok("agent", "install", "--print", "--json").document["text"].rstrip("\n") == text.rstrip("\n")
    assert installed(machine) == []


def test_an_agent_that_runs_by_hand_has_to_end_first(laptop, machine):
    service_manager(machine, 0)
    with Device.open(laptop.folder) as device:
        state = status_of(device.client)
    with answering(laptop.folder, state):
        error = laptop.fails(1, "agent", "install", "--json").document["error"]
        assert (error["reason"], "4711" in error["sentence"]) == ("agent_running", True)
        assert installed(machine) == []
    laptop.ok("agent", "install")
    with answering(laptop.folder, state):
        # The service's own agent is no other one.
        laptop.ok("agent", "install")


def test_uninstall_stops_the_service_before_its_file_goes(laptop, machine):
    service_manager(machine, 0)
    laptop.ok("agent", "install")
    (machine / "asked").unlink()
    document = laptop.ok("agent", "uninstall", "--json").document
    assert (document["installed"], document["to_run"]) == (False, [])
    assert asked(machine) == ["disable", "daemon-reload"]
    assert installed(machine) == []


def test_uninstall_shows_what_it_could_not_do_itself(laptop, machine):
    service_manager(machine, 0)
    laptop.ok("agent", "install")
    service_manager(machine, 1)
    done = laptop.ok("agent", "uninstall")
    assert "Removed" in done.out
    assert "disable --now" in done.err
    assert installed(machine) == []


def test_uninstall_of_what_is_not_installed_fails(laptop, machine):
    assert laptop.fails(1, "agent", "uninstall", "--json").document["error"]["reason"] == "not_installed"
