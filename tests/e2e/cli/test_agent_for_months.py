"""`muster agent status`, `install`, `uninstall`, and `muster doctor`, as their users meet them."""

import json
import os
from pathlib import Path

import pytest
from tests.e2e.cli.conftest import Cli

from muster_client.device.device import Device
from muster_protocol.ids import Fingerprint

STUB = """#!/bin/sh
echo "$@" >> {log}
exit {code}
"""


@pytest.fixture
def manager(laptop: Cli, tmp_path: Path):
    """Put something in place of the service manager that writes down what it was told; a test sets how it ends."""

    def put(code: int) -> Path:
        log = tmp_path / "told"
        for name in ("systemctl", "launchctl"):
            stub = tmp_path / name
            stub.write_text(STUB.format(log=log, code=code))
            stub.chmod(0o755)
        laptop.environment["PATH"] = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        laptop.environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
        laptop.environment["HOME"] = str(tmp_path)
        return log

    return put


def test_status_tells_of_a_running_agent(house):
    done = house["nas"].ok("agent", "status", "--json")
    document = done.document
    assert document["connected"] is True
    assert (document["unpublished"], document["keep_alive_ms"], document["keep_alive_learnt"]) == (0, 20_000, False)
    assert document["last_drop"] is None
    people = house["nas"].ok("agent", "status").out
    assert f"process {document['pid']}" in people
    assert "every 20 s" in people


def test_status_1_it_does_not_run(laptop):
    assert "no_agent" in laptop.fails(1, "agent", "status").err


def test_status_2_it_runs_and_is_not_connected(laptop):
    agent = laptop.start("agent", "--json")
    agent.hear('"event": "disconnected"')
    done = laptop.run("agent", "status", "--json")
    assert done.code == 2
    assert done.document["connected"] is False
    assert done.document["last_drop"]["cause"] == "unreachable"
    assert "nothing listens there" in done.document["last_drop"]["sentence"]
    assert "nothing listens there" in laptop.run("agent", "status").out
    assert agent.end() == 0


def test_install_writes_enables_and_uninstall_takes_back(laptop, manager):
    log = manager(0)
    shown = laptop.ok("agent", "install", "--accept", "granted", "--print").out
    document = laptop.ok("agent", "install", "--accept", "granted", "--json").document
    path = Path(document["path"])
    assert path.read_text().rstrip("\n") == document["text"].rstrip("\n") == shown.rstrip("\n")
    assert path.stat().st_mode & 0o077 == 0
    assert (document["installed"], document["to_run"]) == (True, [])
    assert any("enable" in line or "load" in line for line in log.read_text().splitlines())
    again = laptop.ok("agent", "install", "--json").document
    assert "granted" not in again["text"]
    assert laptop.ok("agent", "uninstall", "--json").document["installed"] is False
    assert not path.exists()
    assert "not_installed" in laptop.fails(1, "agent", "uninstall").err


def test_without_a_service_manager_the_file_is_written_and_the_commands_are_shown(laptop, manager):
    manager(1)
    done = laptop.ok("agent", "install")
    assert "Wrote " in done.out
    assert done.err.splitlines()[1].startswith("next:  Run this where you are logged in: ")
    removed = laptop.ok("agent", "uninstall")
    assert "Removed " in removed.out


def test_an_agent_that_runs_by_hand_is_not_installed_over(house, tmp_path):
    nas = house["nas"]
    done = nas.run("agent", "install", HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path))
    assert (done.code, "agent_running" in done.err) == (1, True)
    assert not list(tmp_path.iterdir())


def test_doctor_finds_all_in_order(house):
    document = house["nas"].ok("doctor", "--json").document
    assert document["state"] == "ok", document
    checks = [one["check"] for one in document["findings"]]
    assert checks == [
        *("device", "key", "data", "agent", "proxy", "dns", "tcp", "tls", "hub", "hub_key", "clock"),
        *("welcome", "round_trip", "keep_alive", "statements", "trust"),
    ]
    assert all(line.startswith("ok ") for line in house["nas"].ok("doctor").out.splitlines())


def test_doctor_without_a_device_says_what_comes_first(cli):
    done = cli.run("doctor")
    assert done.code == 1
    assert done.out.splitlines()[0].startswith("fail  device")
    assert "muster init" in done.out


def test_doctor_finds_a_key_that_others_can_read(laptop):
    (laptop.folder / "identity.key").chmod(0o644)
    done = laptop.run("doctor", "--json")
    assert done.code == 1
    (finding,) = done.document["findings"]
    assert (finding["check"], finding["state"]) == ("key", "fail")
    assert "chmod 600" in finding["next_step"]


def test_doctor_finds_data_that_others_can_read_and_a_hub_that_is_away(laptop, nas):
    laptop.trust("nas", nas)
    (laptop.folder / "device.db").chmod(0o644)
    done = laptop.run("doctor", "--json")
    assert done.code == 1
    found = {one["check"]: one["state"] for one in done.document["findings"]}
    assert (found["data"], found["agent"], found["tcp"], found["statements"]) == ("warn", "warn", "fail", "warn")


def test_doctor_finds_a_hub_with_another_key(new_cli, hub_url):
    made = new_cli("misled")
    with Device.create(made.folder, hub_url=hub_url) as device:
        device.pin_hub(Fingerprint(b"\1" * 32))
    done = made.run("doctor", "--json")
    assert done.code == 1
    failed = [one for one in done.document["findings"] if one["state"] == "fail"]
    assert [one["check"] for one in failed] == ["hub_key"]
    assert "muster hub trust" in failed[0]["next_step"]


def test_a_session_whose_only_target_cannot_be_called_is_closed_again(house):
    laptop = house["laptop"]
    done = laptop.run("session", "start", "attic", "--json")
    assert done.code == 1
    document = json.loads(done.out)
    assert document["closed"] is True
    open_ones = [one["session"] for one in laptop.ok("session", "list", "--json").document["sessions"] if one["open"]]
    assert document["session"] not in open_ones
    people = laptop.run("session", "start", "attic", "--wait")
    assert people.code == 1
    assert "(closed: every target refused)" in people.out


def test_an_authority_is_named_once_and_remembered(cli, tmp_path):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nonsense")
    assert "no PEM certificate" in cli.fails(5, "init", "--tls-ca", str(wrong)).err
    assert "no_device" in cli.fails(1, "id").err, "nothing was made"
    cli.ok("init", "--tls-ca", "system")
