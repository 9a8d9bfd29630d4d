"""Requests of ``muster session start`` that fail before an agent is asked."""

import pytest


@pytest.fixture
def calling(laptop, nas):
    """Return a device that trusts another one and has no agent."""
    laptop.trust("nas", nas)
    return laptop


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nas", "nas"], "duplicate_target"),
        (["nas", "NAS"], "duplicate_target"),
        (["nas", "--mode", "all"], "invalid_request"),
        (["nas", "--profile", "No Such"], "invalid_request"),
        (["nas", "--timeout", "soon"], "invalid_request"),
        ([], "invalid_request"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_5_the_request_is_invalid(calling, arguments, word):
    assert word in calling.fails(5, "session", "start", *arguments).err


def test_5_a_device_does_not_call_itself(calling):
    client = calling.id_text.split(":")[1]
    assert "self_target" in calling.fails(5, "session", "start", client).err


@pytest.mark.parametrize("name", ["unknown", "a" * 32])
def test_2_a_target_that_is_not_known(calling, name):
    done = calling.run("session", "start", "nas", name)
    assert done.code == 2
    assert "unknown_client" in done.err


def test_2_a_target_that_is_trusted_no_longer_and_no_session_is_made(calling):
    calling.ok("trust", "remove", "nas")
    done = calling.run("session", "start", "nas", "--json")
    document = done.document
    assert (done.code, document["exit_code"], document["session"]) == (2, 2, None)
    (target,) = document["targets"]
    assert (target["state"], target["reason"], target["said_by"]) == ("refused", "not_trusted", "device")
    people = calling.run("session", "start", "nas")
    assert people.code == 2
    assert "You do not trust nas." in people.err


def test_3_no_agent_runs(calling):
    calling.ok("grant", "add", "nas")
    assert "muster agent" in calling.fails(3, "session", "start", "nas").err.splitlines()[1]
