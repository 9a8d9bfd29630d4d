"""Trust by fingerprints and id texts, without a terminal."""

import base64

import pytest

from muster_client import Device
from muster_client.device.clock import now_ms
from muster_protocol.governance import Trust, Untrust
from muster_protocol.ids import ClientId, Fingerprint, Serial
from muster_protocol.labels import Kind
from muster_protocol.signed import sign


def parts(id_text):
    """Take an id text apart: the id, and the fingerprint in hex."""
    _, client, spelled = id_text.split(":")
    return client, base64.b32decode(spelled.upper() + "====").hex()


def test_without_a_terminal_no_question_is_asked_and_nothing_is_trusted(laptop, nas):
    done = laptop.run("trust", "add", "nas", nas.id_text)
    assert done.code == 1
    assert "no_terminal" in done.err
    assert "--fingerprint" in done.err.splitlines()[-1]
    assert laptop.ok("trust", "list", "--json").document == {"peers": []}


@pytest.mark.parametrize("spelling", ["hex", "colons", "base32"])
def test_a_script_names_the_fingerprint(laptop, nas, spelling):
    client, fingerprint = parts(nas.id_text)
    spelled = {
        "hex": fingerprint,
        "colons": ":".join(fingerprint[at : at + 2] for at in range(0, 64, 2)).upper(),
        "base32": nas.id_text.split(":")[2],
    }[spelling]
    document = laptop.ok("trust", "add", "nas", client, "--fingerprint", spelled, "--json").document
    assert document["peer"]["fingerprint"] == fingerprint
    assert document["peer"]["trusted"] is True


def test_an_id_text_with_yes_needs_no_terminal(laptop, nas):
    laptop.ok("trust", "add", "nas", nas.id_text, "--yes")
    assert [peer["client"] for peer in laptop.ok("trust", "list", "--json").document["peers"]] == [
        parts(nas.id_text)[0]
    ]


def test_a_change_holds_here_while_the_hub_is_away_and_says_so(laptop, nas):
    done = laptop.ok("trust", "add", "nas", nas.id_text, "--yes", "--json")
    assert done.document["hub"] == {"published": False, "reason": "hub_unreachable"}
    assert "hub does not have it yet" in done.err


def test_an_id_alone_is_not_enough(laptop, nas):
    assert "--fingerprint" in laptop.fails(5, "trust", "add", "nas", parts(nas.id_text)[0], "--yes").err


def test_two_names_for_one_key_must_agree(laptop, nas):
    done = laptop.fails(5, "trust", "add", "nas", nas.id_text, "--fingerprint", "ab" * 32)
    assert "different keys" in done.err


@pytest.mark.parametrize("cut", [slice(0, -1), slice(0, 40), slice(7, None), slice(3, None)])
def test_an_id_text_that_lost_a_part_is_refused(laptop, nas, cut):
    laptop.fails(5, "trust", "add", "nas", nas.id_text[cut], "--yes")
    assert laptop.ok("trust", "list", "--json").document == {"peers": []}


def test_a_mistyped_last_character_is_not_taken_for_the_same_key(laptop, nas):
    text = nas.id_text
    other = "b" if text[-1] == "a" else chr(ord(text[-1]) + 1) if text[-1].isalpha() and text[-1] != "z" else "7"
    laptop.fails(5, "trust", "add", "nas", text[:-1] + other, "--yes")


def test_a_device_does_not_trust_itself(laptop):
    assert "this device itself" in laptop.fails(5, "trust", "add", "me2", laptop.id_text, "--yes").err


def test_a_nickname_has_a_shape_and_one_owner(laptop, nas, new_device):
    laptop.trust("nas", nas)
    assert "bad_nickname" in laptop.fails(5, "trust", "add", "nas", new_device("third").id_text, "--yes").err
    assert "bad_nickname" in laptop.fails(5, "trust", "add", "two words", nas.id_text, "--yes").err


def test_the_same_device_again_only_gets_another_name(laptop, nas):
    laptop.trust("nas", nas)
    laptop.ok("trust", "add", "attic", nas.id_text, "--yes")
    assert [peer["nickname"] for peer in laptop.ok("trust", "list", "--json").document["peers"]] == ["attic"]


def test_trust_is_taken_back_once(laptop, nas):
    laptop.trust("nas", nas)
    laptop.ok("grant", "add", "nas")
    peer = laptop.ok("trust", "remove", "nas", "--json").document["peer"]
    assert (peer["trusted"], peer["grant"]) == (False, None)
    assert "not_trusted" in laptop.fails(1, "trust", "remove", "nas").err
    assert laptop.ok("trust", "list").out.startswith("You trust no device yet.")


def test_an_unknown_name_is_met_with_one_that_is_like_it(laptop, nas):
    laptop.trust("nas", nas)
    done = laptop.fails(1, "trust", "remove", "nsa")
    assert "unknown_client" in done.err
    assert "Did you mean nas?" in done.err


def test_a_beginning_is_enough_unless_two_have_it(laptop, nas, new_device):
    laptop.ok("trust", "add", "nas-attic", nas.id_text, "--yes")
    laptop.ok("grant", "add", "nas-a")
    laptop.ok("trust", "add", "nas-cellar", new_device("cellar").id_text, "--yes")
    done = laptop.fails(5, "grant", "revoke", "nas")
    assert "nas-attic, nas-cellar" in done.err
    assert laptop.ok("grant", "list", "--json").document["grants"][0]["grant"]["state"] == "live"


def test_a_list_through_a_pipe_is_plain_and_aligned(laptop, nas):
    laptop.trust("nas", nas)
    head, row = laptop.ok("trust", "list").out.splitlines()
    assert head.split() == ["DEVICE", "ID", "AUTOMATIC", "JOINS", "HUB", "KNOWS"]
    assert row.split() == ["nas", parts(nas.id_text)[0][:8], "none", "not", "yet"]
    assert head.index("ID") == row.index(parts(nas.id_text)[0][:8])


@pytest.fixture
def planted(laptop, nas):
    """Trust under the laptop's key that its own store did not make; the id of the device that it names."""
    client, fingerprint = parts(nas.id_text)
    with Device.open(laptop.folder) as device:
        trust = Trust(
            client=device.client,
            serial=Serial(now_ms()),
            peer=ClientId(client),
            peer_key=Fingerprint(bytes.fromhex(fingerprint)),
        )
        device.apply_own(Kind.TRUST, sign(trust, device.key))
    return client


def test_what_a_copy_of_the_data_trusts_is_listed_and_counts_once_it_is_accepted(laptop, planted):
    assert laptop.ok("trust", "list", "--json").document == {"peers": []}
    (unconfirmed,) = laptop.ok("trust", "review", "--json").document["unconfirmed"]
    assert (unconfirmed["client"], unconfirmed["kind"]) == (planted, "trust")
    assert planted[:8] in laptop.ok("trust", "review").out
    done = laptop.ok("trust", "review", "--accept", planted[:8], "--json").document
    assert done["unconfirmed"] == []
    assert [peer["client"] for peer in laptop.ok("trust", "list", "--json").document["peers"]] == [planted]


@pytest.mark.parametrize("all_or_one", ["--yes", "--accept"])
def test_a_script_accepts_nothing_that_was_not_listed(laptop, planted, all_or_one):
    choice = [all_or_one] if all_or_one == "--yes" else [all_or_one, planted]
    assert "has not listed yet" in laptop.fails(5, "trust", "review", *choice).err
    laptop.ok("trust", "review")
    with Device.open(laptop.folder) as device:
        newer = Trust(
            client=device.client,
            serial=Serial(now_ms() + 1000),
            peer=ClientId(planted),
            peer_key=Fingerprint(bytes(32)),
        )
        device.apply_own(Kind.TRUST, sign(newer, device.key))
    laptop.fails(5, "trust", "review", *choice)
    assert laptop.ok("trust", "list", "--json").document == {"peers": []}


def test_what_the_person_rejects_is_gone_and_its_end_goes_to_the_hub(laptop, planted):
    done = laptop.ok("trust", "review", "--reject", planted, "--json").document
    assert done == {
        "unconfirmed": [],
        "ended": [],
        "more": False,
        "hub": {"published": False, "reason": "hub_unreachable"},
    }
    assert laptop.ok("trust", "list", "--json").document == {"peers": []}
    with Device.open(laptop.folder) as device:
        assert Kind.UNTRUST in [held.kind for held in device.unpublished()]


def test_what_a_copy_of_the_data_ended_is_listed_once(laptop, nas):
    client, fingerprint = parts(nas.id_text)
    with Device.open(laptop.folder) as device:
        device.peers.trust(ClientId(client), Fingerprint(bytes.fromhex(fingerprint)), "nas")
        ends = Untrust(client=device.client, serial=Serial(now_ms() + 1000), peer=ClientId(client))
        device.apply_own(Kind.UNTRUST, sign(ends, device.key))
        device.rotate()
    last = laptop.ok("trust", "review").out.splitlines()[-1]
    assert last.split() == ["nas", "untrust"]
    assert laptop.ok("trust", "review", "--json").document["ended"] == []


def test_a_device_for_which_nothing_waits_is_refused(laptop, planted):
    laptop.fails(5, "trust", "review", "--accept", "nothing")
    laptop.fails(5, "trust", "review", "--accept", planted, "--reject", planted)
    laptop.fails(5, "trust", "review", "--accept", planted, "--yes")
