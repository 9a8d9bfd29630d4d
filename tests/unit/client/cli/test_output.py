"""What the command line writes can be read, and commands no terminal."""

import json

import pytest
from msgspec import Struct

from muster_client.cli.output.display import Output
from muster_client.cli.output.failures import Failure, Word
from muster_client.cli.output.report_failure import tell

OUTSIDE = "a\x1b[2J\x07\x9b2J\x7f\r\nerror: \u202ereversed\u2066\u200b\u2028\U000e0041b"


class SentenceDocument(Struct, frozen=True):
    sentence: str


def written(capsys: pytest.CaptureFixture[str]) -> str:
    """Return all that was written, each line of which must print."""
    out, err = capsys.readouterr()
    lines = (out + err).split("\n")
    assert lines.pop() == ""
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("error: reversed") for line in lines)
    return str(out + err)


def test_lines_for_people_command_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.line(OUTSIDE, output.strong(OUTSIDE))
    output.note(OUTSIDE)
    output.fields([("name", OUTSIDE), ("other", output.quiet(OUTSIDE))])
    output.table(("name", "text"), [("nas", OUTSIDE)])
    assert r"a\x1b[2J\x07\x9b2J\x7f\r\nerror: \u202ereversed" in written(capsys)


def test_a_terminal_gets_no_style_but_the_programs_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    output = Output()
    output.terminal = True
    output.line(output.strong("\x1b[31mred"), " \x1b[0mplain")
    assert capsys.readouterr().out == "\x1b[1m\\x1b[31mred\x1b[0m \\x1b[0mplain\n"


def test_a_failure_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (False, True):
        tell(Failure(Word.UNEXPECTED, OUTSIDE, OUTSIDE, said_by=OUTSIDE), as_json=as_json)
        written(capsys)


def test_a_document_holds_the_text_as_it_is_and_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).document(SentenceDocument(OUTSIDE))
    assert json.loads(written(capsys)) == {"sentence": OUTSIDE}
