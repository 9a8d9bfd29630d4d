"""The files that make the agent a service."""

import plistlib
import sys
from pathlib import Path

import pytest

from muster_client.paths import usual_path
from muster_client.service_unit import agent_service

HOME = Path("/home/ann")


def test_a_systemd_unit_expands_nothing_of_what_it_was_given(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    folder = Path('/data/50% "off"\\ $HOME/device')
    service = agent_service(folder, ["--on-session", "echo $MUSTER_MODE"], {}, HOME)
    (line,) = [line for line in service.text.splitlines() if line.startswith("ExecStart=")]
    assert '"/data/50%% \\"off\\"\\\\ $$HOME/device"' in line
    assert line.endswith('"agent" "--json" "--on-session" "echo $$MUSTER_MODE"')
    assert service.path == HOME / ".config/systemd/user" / service.name
    assert ("systemctl", "--user", "enable", service.name) in service.enable


def test_a_service_is_told_of_the_proxies_that_the_shell_knows_and_of_nothing_else(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    environment = {"https_proxy": "http://ann:p$%w@p:3128", "NO_PROXY": "", "PATH": "/bin", "MUSTER_DATA_DIR": "/d"}
    text = agent_service(Path("/d"), [], environment, HOME).text
    told = [line for line in text.splitlines() if line.startswith("Environment=")]
    assert told == ['Environment="https_proxy=http://ann:p$%%w@p:3128"']


def test_each_device_has_a_service_of_its_own(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    names = {agent_service(path, [], {}, HOME).name for path in (usual_path(), Path("/a"), Path("/b"))}
    assert len(names) == 3
    assert "muster-agent.service" in names


@pytest.mark.parametrize("options", [[], ["--accept", "granted"]])
def test_launchd_is_given_words_and_no_shell(monkeypatch, options):
    monkeypatch.setattr(sys, "platform", "darwin")
    service = agent_service(Path("/Users/ann/a b"), options, {"ALL_PROXY": "socks5h://p"}, HOME)
    read = plistlib.loads(service.text.encode())
    words = read["ProgramArguments"]
    assert words[words.index("--data-dir") :] == ["--data-dir", "/Users/ann/a b", "agent", "--json", *options]
    assert read["EnvironmentVariables"] == {"ALL_PROXY": "socks5h://p"}
    assert read["RunAtLoad"] is True
    assert service.path == HOME / "Library/LaunchAgents" / f"{service.name}.plist"
