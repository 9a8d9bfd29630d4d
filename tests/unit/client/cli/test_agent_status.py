"""What ``muster agent status`` shows of the running agent."""

import time

import pytest
from tests.unit.client.answering_agent import answering, status_of

from muster_client.device.device import Device
from muster_client.views import Drop
from muster_protocol.ids import Fingerprint, TimeMs
from muster_protocol.reasons import Reason
from muster_protocol.words import words

HUB = Fingerprint(bytes(range(32)))


@pytest.fixture
def client(laptop):
    with Device.open(laptop.folder) as device:
        return device.client


def fields(done) -> dict[str, str]:
    """Return the table that the command wrote."""
    rows = (line.split("  ", 1) for line in done.out.splitlines())
    return {name: text.strip() for name, text in rows}


def test_without_an_agent_the_exit_code_is_1(laptop):
    assert laptop.fails(1, "agent", "status", "--json").document["error"]["reason"] == "no_agent"


def test_a_connected_agent(laptop, client):
    since = TimeMs(time.time_ns() // 1_000_000 - 3 * 3_600_000)
    state = status_of(client, hub=HUB, connected_since=since, sessions=2, inbox=1)
    with answering(laptop.folder, state):
        table = fields(laptop.ok("agent", "status"))
        document = laptop.ok("agent", "status", "--json").document
    assert table["agent"] == "running, process 4711"
    assert table["hub words"] == " ".join(words(HUB))
    assert table["connected"] == "for 3h"
    assert (table["sessions"], table["inbox"], table["not sent yet"], table["last loss"]) == ("2", "1", "0", "none")
    assert table["keep-alive"] == "every 20 s"
    assert (document["hub_fingerprint"], document["connected_since_ms"]) == (HUB.hex(), since)
    assert document["last_drop"] is None


def test_an_agent_without_a_connection_ends_with_2_and_shows_why(laptop, client):
    now = time.time_ns() // 1_000_000
    lost = Drop(at=TimeMs(now - 120_000), cause="closed", reason=Reason.OVERLOADED, sentence="the hub is full")
    state = status_of(client, connected=False, unpublished=3, last_drop=lost)
    with answering(laptop.folder, state):
        table = fields(laptop.run("agent", "status"))
        done = laptop.run("agent", "status", "--json")
    assert done.code == 2
    assert done.document["last_drop"] == {
        "at_ms": lost.at,
        "cause": "closed",
        "reason": "overloaded",
        "sentence": "the hub is full",
    }
    assert (table["connected"], table["hub words"]) == ("no", "not connected to yet")
    assert table["last loss"] == "2m ago: the hub is full"
    assert table["not sent yet"].startswith("3 (")


def test_a_loss_without_a_sentence_is_shown_by_its_cause(laptop, client):
    lost = Drop(at=TimeMs(time.time_ns() // 1_000_000), cause="timeout", reason=None, sentence="")
    with answering(laptop.folder, status_of(client, last_drop=lost)):
        table = fields(laptop.ok("agent", "status"))
    assert table["last loss"].endswith("ago: timeout")
    assert table["connected"] == "yes", "an agent that does not tell since when"


def test_what_the_hub_says_of_the_device_and_what_the_network_does_are_shown(laptop, client):
    state = status_of(client, standing=Reason.CLONE_SUSPECTED, keep_alive_ms=7_000, keep_alive_learnt=True)
    with answering(laptop.folder, state):
        table = fields(laptop.ok("agent", "status"))
        document = laptop.ok("agent", "status", "--json").document
    assert "hub says" in table
    assert table["keep-alive"].startswith("every 7 s (shorter than usual")
    assert (document["standing"], document["keep_alive_learnt"]) == ("clone_suspected", True)
