"""``muster trust review``: a person decides on trust and grants that a copy of the device's data made."""

import shutil

import pexpect
import pytest

from muster_client.device.device import Device

QUESTION = "Accept it, reject it, or leave it for later? [a/r/L]"


def listed(cli):
    return [(one["client"], one["kind"]) for one in cli.ok("trust", "review", "--json").document["unconfirmed"]]


@pytest.fixture
def planted(new_cli, hub_url):
    """Give a device under whose key a copy of its data trusted, and granted, two others; their ids in that order."""
    victim, copy = new_cli("victim"), new_cli("copy")
    victim.ok("init", "--hub", hub_url)
    shutil.copytree(victim.folder, copy.folder)
    clients = []
    for name in ("printer", "camera"):
        other = new_cli(name)
        Device.create(other.folder, hub_url=hub_url).close()
        copy.trust(name, other)
        copy.grant(name)
        clients.append(other.id_text.split(":")[1])
    copy.ok("session", "list")
    assert "see `muster trust review`" in victim.ok("session", "list").err
    return victim, clients


def test_a_person_is_shown_each_and_asked_about_it(planted):
    victim, (printer, camera) = planted
    assert listed(victim) == [(printer, "trust"), (printer, "grant"), (camera, "trust"), (camera, "grant")]
    screen = victim.terminal("trust", "review")
    for client, what, answer in (
        (printer, "Trust in", "a"),
        (printer, "A grant (synchronize) to", "a"),
        (camera, "Trust in", "r"),  # and with it, its grant
    ):
        screen.expect_exact(f"{what} {client}, first seen ")
        screen.expect_exact("words of its key:")
        screen.expect_exact(QUESTION)
        screen.sendline(answer)
    screen.expect_exact("Nothing is unconfirmed")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    peers = victim.ok("trust", "list", "--json").document["peers"]
    assert [(peer["client"], peer["grant"]["state"]) for peer in peers] == [(printer, "live")]


@pytest.mark.parametrize("answer", ["", "l", "yes"])
def test_what_is_left_for_later_waits_and_counts_for_nothing(planted, answer):
    victim, _ = planted
    before = listed(victim)
    screen = victim.terminal("trust", "review")
    for _ in before:
        screen.expect_exact(QUESTION)
        screen.sendline(answer)
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    assert listed(victim) == before
    assert victim.ok("trust", "list", "--json").document == {"peers": []}


def test_a_script_accepts_all_or_decides_on_one(planted):
    victim, (printer, camera) = planted
    victim.ok("trust", "review", "--reject", printer)
    assert listed(victim) == [(camera, "trust"), (camera, "grant")]
    done = victim.ok("trust", "review", "--yes", "--json").document
    assert (done["unconfirmed"], done["more"], done["hub"]["published"]) == ([], False, True)
    assert [peer["client"] for peer in victim.ok("trust", "list", "--json").document["peers"]] == [camera]
    victim.fails(5, "trust", "review", "--yes", "--reject", printer)
