"""Through pipes: facts on one channel, words on the other, and a quiet end when nobody reads."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("arguments", [["id"], ["id", "--json"], ["--help"]], ids=" ".join)
def test_a_reader_that_is_gone_is_no_error(laptop, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "muster_client.cli", *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=laptop.environment,
    )
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == b""


def test_a_failure_is_a_document_too(laptop):
    done = laptop.fails(1, "trust", "remove", "nas", "--json")
    error = done.document["error"]
    assert error["reason"] == "unknown_client"
    assert error["said_by"] == "this device"
    assert error["sentence"] in done.err
    assert error["next_step"] in done.err


def test_a_wrong_call_is_a_document_too(laptop):
    assert laptop.fails(5, "who", "--json", "--no-such").document["error"]["reason"] == "invalid_request"


def test_without_trust_there_is_nobody_to_ask_for(laptop):
    assert laptop.ok("who", "--json").document == {"devices": []}


def test_without_a_hub_who_says_where_it_looked(laptop, nas):
    laptop.trust("nas", nas)
    assert "ws://127.0.0.1:1" in laptop.fails(1, "who").err
