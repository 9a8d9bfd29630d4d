"""From a hub that takes only invited devices to two devices on it, by the commands that a person types."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pexpect
import pytest
from tests.e2e.cli.conftest import Background

OPERATOR = [sys.executable, "-m", "muster_hub", "enrolment"]


@pytest.fixture(scope="module")
def hub_folder() -> Iterator[str]:
    """Run a hub that takes only invited devices, and return its data folder."""
    with tempfile.TemporaryDirectory(prefix="mhub-") as folder:
        command = [sys.executable, "-m", "muster_hub", "--listen", "127.0.0.1:0", "--data-dir", folder, "--json"]
        hub = Background([*command, "--enrolment", "invited"], dict(os.environ))
        hub.hear('{"url":"')
        yield folder
        hub.end()


def operator(folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OPERATOR, *arguments, "--data-dir", folder], check=False, capture_output=True, text=True, timeout=60
    )


def test_an_invitation_from_the_operator_and_one_from_a_device(hub_folder, new_cli):
    first, second = new_cli("first"), new_cli("second")
    invited = operator(hub_folder, "code")
    assert invited.stdout.count("\n") == 1, "the line alone, so that a script can pass it on"
    first.ok("init", "--code", invited.stdout.strip())
    first.ok("trust", "add", "second", "--yes", _id_text(second, first))
    assert "is not" not in first.ok("doctor", "--json").out
    line = first.ok("enrolment", "code", "--json").document["invitation"]
    assert second.ok("enrolment", "use", line).out.startswith("ws://127.0.0.1")
    third = new_cli("third")
    third.ok("init", "--code", line)
    assert "code_used" in third.fails(1, "session", "list").err
    listed = operator(hub_folder, "list").stdout
    for device in (first, second):
        assert device.ok("id", "--json").document["client"] in listed


def _id_text(device, beside):
    """Set up a device on the same hub, without an invitation, and return its id text."""
    url = beside.ok("id", "--json").document["hub_url"]
    return device.ok("init", "--hub", url, "--json").document["id_text"]


def test_a_device_without_an_invitation_is_told_what_to_do(hub_folder, new_cli):
    line = operator(hub_folder, "code").stdout.strip()
    stranger = new_cli("stranger")
    stranger.ok("init", "--hub", line.partition("#")[0])
    done = stranger.fails(1, "session", "list")
    assert "not_enrolled" in done.err
    assert "muster enrolment use" in done.err


def test_an_invitation_is_typed_in_where_no_history_keeps_it(hub_folder, new_cli):
    line = operator(hub_folder, "code").stdout.strip()
    device = new_cli("typed")
    screen = device.terminal("init", "--code", "-")
    screen.expect_exact("Invitation: ")
    screen.sendline(line)
    screen.expect_exact("This machine is a device now.")
    screen.expect(pexpect.EOF)
    assert device.ok("id", "--json").document["hub_fingerprint"] is not None


@pytest.mark.parametrize("line", ["nonsense", "wss://hub.example#abc", ""])
def test_a_wrong_line_makes_no_device(new_cli, line):
    device = new_cli("wrong")
    done = device.fails(5, "init", "--code", line)
    assert "invitation" in done.err.lower()
    assert not device.folder.exists()


def test_the_operators_commands_name_what_is_wrong(hub_folder, tmp_path):
    assert operator(hub_folder, "allow", "abc").returncode == 2
    away = operator(str(tmp_path), "list")
    assert (away.returncode, away.stdout) == (1, "")
    assert str(tmp_path) in away.stderr


def test_the_line_that_a_hub_on_every_address_prints_brings_a_device_in_over_tls(new_cli):
    with tempfile.TemporaryDirectory(prefix="mhub-") as folder:
        command = [sys.executable, "-m", "muster_hub", "--listen", "0.0.0.0:0", "--data-dir", folder]
        hub = Background(command, dict(os.environ))
        line = hub.hear("muster init --code ").split()[-1]
        device = new_cli("pasted")
        device.ok("init", "--code", line)
        device.ok("session", "list")
        findings = {each["check"]: each for each in device.ok("doctor", "--json").document["findings"]}
        assert findings["tls"]["state"] == "ok"
        assert "by the hub's own key" in findings["tls"]["sentence"]
        second = new_cli("by hand")
        second.ok("init", "--hub", line.partition("#")[0])
        assert "tls_unknown_ca" in second.fails(1, "session", "list").err
        hub.end()


def test_a_device_without_an_invitation_trusts_a_hubs_own_certificate_by_its_fingerprint(new_cli):
    with tempfile.TemporaryDirectory(prefix="mhub-") as folder:
        command = [sys.executable, "-m", "muster_hub", "--listen", "127.0.0.1:0", "--data-dir", folder, "--tls", "own"]
        hub = Background(command, dict(os.environ))
        words = hub.hear("muster init --hub ").split()
        device = new_cli("by fingerprint")
        device.ok("init", "--hub", words[0].rstrip(","))
        device.ok("hub", "trust", "--fingerprint", words[-1])
        device.ok("session", "list")
        hub.end()
