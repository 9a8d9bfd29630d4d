"""Failures as two lines for people and as a document."""


def test_a_failure_is_a_document_too(laptop):
    done = laptop.fails(1, "trust", "remove", "nas", "--json")
    error = done.document["error"]
    assert error["reason"] == "unknown_client"
    assert error["said_by"] == "this device"
    assert error["sentence"] in done.err
    assert error["next_step"] in done.err


def test_a_wrong_call_is_a_document_too(laptop):
    assert laptop.fails(5, "who", "--json", "--no-such").document["error"]["reason"] == "invalid_request"


def test_without_trust_no_device_can_be_asked_for(laptop):
    assert laptop.ok("who", "--json").document == {"devices": []}


def test_without_a_hub_who_says_where_it_looked(laptop, nas):
    laptop.trust("nas", nas)
    assert "ws://127.0.0.1:1" in laptop.fails(1, "who").err
