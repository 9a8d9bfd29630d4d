"""SPEC.md against the code: every field, type, reason, close code and label stands there, in its place."""

import re
from pathlib import Path

import pytest
from tests.vectors.checks.statements import BODIES

from muster_protocol.closes import CloseCode, code_of, is_stop
from muster_protocol.connect import Hello
from muster_protocol.exchange import Exchange
from muster_protocol.frames import AGENT_REQUESTS, FRAMES, Check, Request
from muster_protocol.labels import Kind
from muster_protocol.reasons import REASONS, Reason, Sayer
from muster_protocol.signed import Body

SPECIFICATION = (Path(__file__).resolve().parents[2] / "protocol/SPEC.md").read_text("utf-8")
EXCHANGE = ("invite", "answer", "admission")
COMMON = len(Exchange.__struct_fields__)

_CITED = re.compile(r"SPEC\.md,? sections? (\d+(?:\.\d)?)(?: (?:and|to) (\d+(?:\.\d)?))?")


def _tables() -> list[list[list[str]]]:
    """Return every table as rows of cells."""
    blocks = re.findall(r"(?:^\|.*\n)+", SPECIFICATION, re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in block.splitlines()] for block in blocks]


def _positions(name: str) -> list[tuple[int, str]]:
    """Return the field positions in the table of a body: the one whose header or section names it."""
    for table in _tables():
        header = table[0]
        if header[0] == "#" and re.sub(r"`|,.*", "", header[1]) == name:
            return [(int(row[0]), row[1].strip("`")) for row in table[2:]]
    raise KeyError(name)


def _fields(body: type[Body], start: int = 0) -> list[tuple[int, str]]:
    return list(enumerate(body.__struct_fields__))[start:]


@pytest.mark.parametrize("kind", sorted(set(BODIES) - {*EXCHANGE, "card", "rotation"}))
def test_the_table_of_a_body_has_its_fields_in_their_order(kind: str) -> None:
    assert _positions(kind) == _fields(BODIES[kind])


def test_card_and_rotation_have_their_fields_in_their_order() -> None:
    tables = [table for table in _tables() if table[0][:2] == ["#", "field"]]
    found = [[(int(row[0]), row[1].strip("`")) for row in table[2:]] for table in tables]
    assert found == [_fields(BODIES["card"]), _fields(BODIES["rotation"])]


def test_the_hello_body_has_its_fields_in_their_order() -> None:
    assert _positions("hello body") == _fields(Hello)


def test_the_common_fields_of_a_join_are_in_their_order() -> None:
    assert _positions("common") == _fields(Exchange)


@pytest.mark.parametrize("kind", EXCHANGE)
def test_the_messages_of_a_join_go_on_from_the_common_fields(kind: str) -> None:
    assert _positions(kind) == _fields(BODIES[kind], COMMON)


def _named_fields(row: list[str]) -> list[str]:
    cells = [cell for cell in row[1:] if cell not in {"hub", "device"}]
    return [re.sub(r"[`?]", "", part.split()[0]) for part in cells[0].split("; ") if part.startswith("`")]


@pytest.mark.parametrize("tag", sorted(FRAMES))
def test_the_row_of_a_message_names_its_fields(tag: str) -> None:
    rows = [row for table in _tables() if table[0][0] in {"type", "reply"} for row in table[2:] if row[0] == f"`{tag}`"]
    assert [_named_fields(row) for row in rows] == [list(FRAMES[tag].__struct_fields__)]


def test_every_request_says_what_answers_it() -> None:
    tables = [table for table in _tables() if table[0] == ["type", "fields", "reply"]]
    named = {row[0].strip("`") for table in tables for row in table[2:]}
    assert named == {tag for tag, frame in FRAMES.items() if issubclass(frame, Request)}


def test_the_table_of_who_may_ask_is_that_of_the_code() -> None:
    table = next(table for table in _tables() if table[0] == ["request", "agent", "`cli`"])
    requests = {tag: frame for tag, frame in FRAMES.items() if issubclass(frame, Request)}
    assert {row[0].strip("`"): row[1:] for row in table[2:]} == {
        tag: ["yes", "no" if frame in AGENT_REQUESTS else "yes"] for tag, frame in requests.items()
    }


def test_the_table_of_reasons_is_that_of_the_code() -> None:
    table = next(table for table in _tables() if table[0][:2] == ["code", "reason"])
    assert table[2:] == [
        [
            str(info.code),
            f"`{reason.value}`",
            info.category.value,
            ", ".join(sayer.value for sayer in Sayer if sayer in info.sayers),
            "yes" if info.retry else "no",
            info.sentence,
            info.next_step,
        ]
        for reason, info in REASONS.items()
    ]


def test_the_table_of_close_codes_is_that_of_the_code() -> None:
    table = next(table for table in _tables() if table[0][:3] == ["code", "name", "family"])
    assert [row[:3] for row in table[2:]] == [
        [str(code.value), f"`{code.name.lower()}`", "stop" if is_stop(code) else "come back"] for code in CloseCode
    ]


def test_the_table_of_codes_of_a_refused_hello_is_that_of_the_code() -> None:
    table = next(table for table in _tables() if table[0] == ["reason in `refused`", "code"])
    shown = {reason: row[1] for row in table[2:] for reason in re.findall(r"`(\w+)`", row[0])}
    other = table[-1]
    assert other[0] == "any other"
    assert {reason: shown.get(reason.value, other[1]) for reason in Reason} == {
        reason: f"{code_of(reason).value} `{code_of(reason).name.lower()}`" for reason in Reason
    }


def test_the_checks_of_the_decision_stand_in_their_order() -> None:
    table = next(table for table in _tables() if table[0][:2] == ["check", "rule"])
    assert [row[0].strip("`") for row in table[2:]] == [check.value for check in Check]


def test_every_kind_of_statement_is_named_among_the_labels() -> None:
    section = SPECIFICATION.split("### 2.2 Labels")[1].split("### 2.3")[0]
    assert not [kind.value for kind in Kind if f"`{kind.value}`" not in section]


def test_every_section_that_the_code_cites_is_there() -> None:
    root = Path(__file__).resolve().parents[2]
    sources = [path for folder in ("protocol", "hub", "client") for path in (root / folder).rglob("*.py")]
    cited = {
        (path.name, section)
        for path in sources
        for match in _CITED.finditer(path.read_text("utf-8"))
        for section in match.groups()
        if section
    }
    there = set(re.findall(r"^###? (\d+(?:\.\d)?) ", SPECIFICATION, re.MULTILINE))
    assert cited
    assert not [where for where in cited if where[1] not in there]
