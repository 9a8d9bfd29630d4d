"""The first commands on a new machine."""

import re
import stat

import pytest

ID_TEXT = re.compile(r"muster:[a-z2-7]{32}:[a-z2-7]{52}")

WITHOUT_A_DEVICE = (
    ["id"],
    ["id", "confirm", "--yes"],
    ["trust", "list"],
    ["trust", "add", "nas", "muster:" + "a" * 32 + ":" + "a" * 52, "--yes"],
    ["grant", "list"],
    ["who"],
    ["why", "nas"],
    ["inbox"],
    ["session", "list"],
    ["agent"],
    ["hub", "trust"],
)


def test_bare_muster_shows_the_help_and_the_first_step(cli):
    done = cli.run()
    assert done.code == 0
    assert done.out.startswith("Usage: muster")
    assert "Next: muster init" in done.err


def test_bare_muster_on_a_device_says_nothing_of_the_first_step(laptop):
    assert laptop.run().err == ""


@pytest.mark.parametrize("arguments", WITHOUT_A_DEVICE, ids=" ".join)
def test_without_a_device_every_command_names_the_first_step(cli, arguments):
    done = cli.fails(1, *arguments)
    assert "no_device" in done.err
    assert "muster init" in done.err.splitlines()[1]


def test_init_makes_a_device_and_says_how_to_go_on(cli):
    done = cli.ok("init", "--hub", "wss://hub.example.org", "--name", "the old one")
    assert ID_TEXT.search(done.out)
    assert "wss://hub.example.org" in done.out
    assert "the old one" in done.out
    assert "muster trust add" in done.out
    assert stat.S_IMODE((cli.folder / "identity.key").stat().st_mode) == 0o600


def test_init_keeps_the_identity_that_is_there(laptop):
    before = laptop.id_text
    done = laptop.fails(1, "init")
    assert "device_exists" in done.err
    assert laptop.id_text == before


@pytest.mark.parametrize("url", ["http://hub.example.org", "hub.example.org", "ws://hub.example.org"])
def test_init_refuses_what_no_device_dials(cli, url):
    assert "--hub" in cli.fails(5, "init", "--hub", url).err
    assert not (cli.folder / "identity.key").exists()


def test_init_allows_an_open_connection_only_when_told(cli):
    assert "ws://hub.example.org" in cli.ok("init", "--hub", "ws://hub.example.org", "--insecure").out


def test_id_is_the_same_in_words_and_as_a_document(laptop):
    people, document = laptop.ok("id").out, laptop.ok("id", "--json").document
    assert document["id_text"] in people
    assert " ".join(document["words"]) in people
    assert len(document["words"]) == 8
    assert document["id_text"].split(":")[1] == document["client"]
    assert document["hub_fingerprint"] is None


def test_id_draws_a_qr_code(laptop):
    plain, drawn = laptop.ok("id").out, laptop.ok("id", "--qr").out
    assert drawn.startswith(plain)
    assert len(drawn.splitlines()) > len(plain.splitlines()) + 15


def test_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it(laptop):
    (laptop.folder / "identity.key").chmod(0o644)
    done = laptop.fails(1, "id")
    assert "unsafe_key_file" in done.err
    assert "chmod 600" in done.err.splitlines()[1]


def test_the_folder_may_be_named_before_the_command(cli, new_cli):
    other = new_cli("elsewhere")
    cli.ok("--data-dir", str(other.folder), "init")
    assert cli.run("id").code == 1
    assert other.run("id").code == 0


def test_a_folder_named_behind_the_command_is_pointed_to_its_place(laptop):
    done = laptop.fails(5, "trust", "list", "--data-dir", "elsewhere")
    assert "muster --data-dir PATH trust list" in done.err


def test_the_version_needs_no_device(cli):
    assert cli.ok("--version").out.startswith("muster ")
