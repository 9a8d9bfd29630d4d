"""The form of the hub's log."""

import json
from collections.abc import Iterator

import pytest
import structlog

from muster_hub.telemetry.logs import configure


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave the log as the other tests of this process expect it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == "", "only the ready message goes to standard output"
    return str(err).splitlines()


def test_a_log_that_is_no_terminal_has_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("auto", "info")
    structlog.get_logger("test").info("node_ready", text="two\nlines")
    (line,) = lines(capsys)
    fields = json.loads(line)
    assert (fields["event"], fields["level"], fields["text"]) == ("node_ready", "info", "two\nlines")
    assert fields["timestamp"].endswith("Z")


def test_events_under_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "warning")
    log = structlog.get_logger("test")
    log.info("below")
    log.warning("at")
    assert [json.loads(line)["event"] for line in lines(capsys)] == ["at"]


def test_the_log_for_people_is_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text", "info")
    structlog.get_logger("test").info("node_ready", count=2)
    (line,) = lines(capsys)
    assert "node_ready" in line
    assert not line.startswith("{")
