"""``muster agent`` in this process. Its hub cannot be reached."""

import json
import os
import signal

import pytest
import structlog

from muster_client import Asked
from muster_client.cli.agent.log import AgentLog
from muster_client.cli.agent.run import policy_of
from muster_client.cli.arguments.accept import AcceptOption
from muster_client.control.lock import agent_lock
from muster_client.paths import LOCK_FILE


@pytest.fixture(autouse=True)
def restored():
    """Leave the log and the signals as the other tests of this process expect them."""
    before, handlers = structlog.get_config(), {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    structlog.configure(**before)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("accept", "asked", "auto"),
    [
        (AcceptOption.ALL, Asked.ASK, True),
        (AcceptOption.GRANTED, Asked.REFUSE, True),
        (AcceptOption.ASKED, Asked.ASK, False),
        (AcceptOption.NONE, Asked.REFUSE, False),
    ],
)
def test_the_option_decides_each_kind_of_invite(accept, asked, auto):
    policy = policy_of(accept)
    assert (policy.asked, policy.auto) == (asked, auto)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_agent(laptop, number, monkeypatch):
    """It runs, reports that its hub cannot be reached, and ends with 0; the next one can run."""
    write = AgentLog.tell

    def write_and_end(self, event):
        write(self, event)
        signal.raise_signal(number)

    monkeypatch.setattr(AgentLog, "tell", write_and_end)
    for _ in range(2):
        done = laptop.ok("agent", "--json", "--accept", "none")
        started, lost = (json.loads(line) for line in done.out.splitlines())
        assert (started["event"], lost["event"]) == ("agent_started", "disconnected")


def test_a_second_agent_ends_at_once(laptop):
    with agent_lock(laptop.folder / LOCK_FILE, None):
        assert str(os.getpid()) in laptop.fails(1, "agent").err
