"""``muster hub``: what the hub's package brings, and the device's own ``muster hub trust`` beside it."""

import asyncio
import shutil

import pexpect
import pytest

from muster_client import Agent
from muster_client.device.device import Device
from muster_protocol.ids import Fingerprint

ANOTHER = Fingerprint(b"\1" * 32)


def with_hub_command(cli, tmp_path, target):
    """Let the entry point ``hub`` lead to ``target``, whatever is installed."""
    facts = tmp_path / "first-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: first\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[muster.commands]\nhub = {target}\n")
    cli.environment["PYTHONPATH"] = str(tmp_path)
    return cli


def test_the_hubs_own_options_and_the_devices_trust_are_one_command(cli, tmp_path):
    brought = with_hub_command(cli, tmp_path, "muster_hub.cli.command:app")
    page = brought.ok("hub", "--help").out
    assert "--listen" in page
    assert "trust" in page.partition("Commands:")[2]
    assert 'listen = "127.0.0.1:0"' in brought.ok("hub", "--listen", "127.0.0.1:0", "--check").out


def test_without_its_parts_hub_says_what_to_install_and_trust_still_works(cli, tmp_path):
    missing = with_hub_command(cli, tmp_path, "a_part_that_is_missing:app")
    done = missing.fails(1, "hub")
    assert "hub_not_installed" in done.err
    assert "musterhub[hub]" in done.err.splitlines()[1]
    assert missing.ok("hub", "trust", "--help").out.startswith("Usage: muster hub trust")


@pytest.fixture
def misled(new_cli, hub_url):
    """Return a device that pinned another key than its hub shows."""
    made = new_cli("misled")
    with Device.create(made.folder, hub_url=hub_url) as device:
        device.pin_hub(ANOTHER)
        with Device.create(new_cli("other").folder, hub_url=hub_url) as other:
            device.peers.trust(other.client, other.fingerprint, "nas")
    return made


def test_a_hub_with_another_key_is_not_spoken_to(misled):
    done = misled.fails(1, "who")
    assert "hub_key_changed" in done.err
    assert "muster hub trust" in done.err.splitlines()[1]


def test_a_person_compares_the_hubs_words_and_goes_on(misled):
    screen = misled.terminal("hub", "trust")
    screen.expect_exact("This device pinned another key before:")
    screen.expect_exact("Do these words match the ones that its operator reads out?")
    screen.sendline("yes")
    screen.expect_exact("This device trusts the hub's key now.")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    assert "nas" in misled.ok("who").out


def test_a_script_names_the_key_that_it_expects(misled):
    done = misled.fails(1, "hub", "trust", "--fingerprint", ANOTHER.hex())
    assert "not_confirmed" in done.err
    shown = misled.ok("hub", "trust", "--yes", "--json").document["fingerprint"]
    again = misled.ok("hub", "trust", "--fingerprint", shown, "--json").document
    assert again["changed"] is False
    assert misled.ok("id", "--json").document["hub_fingerprint"] == shown


def test_without_a_terminal_no_key_is_trusted(misled):
    done = misled.run("hub", "trust")
    assert done.code == 1
    assert "no_terminal" in done.err
    assert misled.ok("id", "--json").document["hub_fingerprint"] == ANOTHER.hex()


def test_a_suspicion_is_cleared_by_a_person_only(new_cli, hub_url):
    device = new_cli("copied")
    device.ok("init", "--hub", hub_url)
    assert "no_terminal" in device.fails(1, "id", "confirm").err
    assert device.ok("id", "confirm", "--yes", "--json").document["cleared"] is True


async def run_agent(device):
    """Run the device's agent until it holds the newest continuity token, but without a process."""
    async with Agent.open(device.folder, control=False) as agent:
        await agent.connected()


def test_a_command_line_of_an_older_copy_is_told_so_and_confirms_nothing(new_cli, hub_url):
    device, copy = new_cli("original"), new_cli("older_copy")
    device.ok("init", "--hub", hub_url)
    asyncio.run(run_agent(device))
    shutil.copytree(device.folder, copy.folder)
    asyncio.run(run_agent(device))
    assert "note:  The hub suspects two copies of this device's data" in copy.ok("session", "list").err
    refused = copy.fails(1, "id", "confirm", "--yes")
    assert "clone_suspected" in refused.err
    assert "start `muster agent` here" in refused.err
    assert device.ok("id", "confirm", "--yes", "--json").document["cleared"] is True
    assert device.ok("session", "list").err == ""


def test_the_words_of_the_hub_are_shown_at_the_first_meeting_and_then_no_more(new_cli, hub_url):
    device = new_cli("new")
    device.ok("init", "--hub", hub_url)
    first, second = device.ok("session", "list"), device.ok("session", "list")
    shown = device.ok("hub", "trust", "--yes", "--json").document["words"]
    assert first.err == f"note:  This device trusts the key of {hub_url} from now on: {' '.join(shown)}\n"
    assert second.err == ""
