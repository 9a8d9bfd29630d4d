"""Trust by words that a person compares on a terminal."""

import base64

import pexpect
import pytest

QUESTION = "Do these words match the ones on its screen?"


def parts(id_text):
    """Take an id text apart: the id, and the fingerprint in hex."""
    _, client, spelled = id_text.split(":")
    return client, base64.b32decode(spelled.upper() + "====").hex()


def test_a_person_compares_the_words_and_says_yes(laptop, nas):
    words = " ".join(nas.ok("id", "--json").document["words"])
    screen = laptop.terminal("trust", "add", "nas", nas.id_text)
    screen.expect_exact(words)
    screen.expect_exact(QUESTION)
    screen.sendline("y")
    screen.expect_exact("You trust nas now.")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    (peer,) = laptop.ok("trust", "list", "--json").document["peers"]
    assert peer["nickname"] == "nas"
    assert peer["words"] == words.split()


@pytest.mark.parametrize("answer", ["n", "", "yeah"])
def test_anything_but_yes_changes_nothing(laptop, nas, answer):
    screen = laptop.terminal("trust", "add", "nas", nas.id_text)
    screen.expect_exact(QUESTION)
    screen.sendline(answer)
    screen.expect_exact("not_confirmed")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 1
    assert laptop.ok("trust", "list", "--json").document == {"peers": []}


def test_ctrl_c_at_the_question_changes_nothing(laptop, nas):
    screen = laptop.terminal("trust", "add", "nas", nas.id_text)
    screen.expect_exact(QUESTION)
    screen.sendintr()
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 130
    assert laptop.ok("trust", "list", "--json").document == {"peers": []}


def test_another_key_of_a_known_device_is_pointed_out(laptop, nas):
    laptop.trust("nas", nas)
    client, _ = parts(nas.id_text)
    spelled = base64.b32encode(b"\1" * 32).decode().rstrip("=").lower()
    screen = laptop.terminal("trust", "add", "nas", f"muster:{client}:{spelled}")
    screen.expect_exact("with another key")
    screen.expect_exact(QUESTION)
    screen.sendline("n")
    screen.expect(pexpect.EOF)
    screen.close()
    assert laptop.ok("trust", "list", "--json").document["peers"][0]["fingerprint"] == parts(nas.id_text)[1]
