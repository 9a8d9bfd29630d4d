"""What client/README.md says of the command line is so."""

import json
import re
from pathlib import Path

import msgspec
import typer
from typer.core import TyperGroup

from muster_client.cli.app import app
from muster_client.cli.output import documents
from muster_client.cli.output.failures import Word
from muster_client.cli.output.report_failure import ErrorDocument
from muster_client.doctor.next_steps import NEXT_STEPS
from muster_client.errors import Trouble

README = (Path(__file__).resolve().parents[4] / "client/README.md").read_text("utf-8")

DOCUMENTS: dict[str, type[msgspec.Struct]] = {
    "`init`, `id`": documents.IdDocument,
    "`id confirm`": documents.ConfirmedDocument,
    "`trust add`, `trust remove`, `grant add`, `grant renew`, `grant revoke`": documents.ChangeDocument,
    "`trust list`": documents.PeersDocument,
    "`trust review`": documents.ReviewDocument,
    "`grant list`": documents.GrantsDocument,
    "`who`": documents.PresenceDocument,
    "`why`": documents.WhyDocument,
    "`inbox`": documents.InboxDocument,
    "`accept`, `decline`": documents.AnsweredDocument,
    "`session start`": documents.StartDocument,
    "`session list`, `session show`": documents.SessionDocument,
    "`session leave`, `session close`": documents.SessionEndDocument,
    "`enrolment code`": documents.InvitationDocument,
    "`enrolment use`": documents.HubDocument,
    "`hub use`": documents.HubUrlsDocument,
    "`hub trust`": documents.HubKeyDocument,
    "`agent status`": documents.AgentStatusDocument,
    "`agent install`, `agent uninstall`": documents.ServiceDocument,
    "`doctor`": documents.DoctorDocument,
}


def sections():
    """Return each part of the chapter on documents by its heading."""
    chapter = README.partition("\n## Documents\n")[2].partition("\n## ")[0]
    return {part.partition("\n")[0]: part for part in chapter.split("\n### ")[1:]}


def examples(text):
    return re.findall(r"```json\n(.*?)\n```", text, re.DOTALL)


def test_every_document_has_an_example_of_its_own_shape():
    found = sections()
    assert set(found) == set(DOCUMENTS)
    for heading, struct in DOCUMENTS.items():
        (example,) = examples(found[heading])
        read = msgspec.json.decode(example, type=struct)
        # The same document again: so the example has all fields, and no others.
        assert json.loads(msgspec.json.encode(read)) == json.loads(example), heading


def test_every_field_is_explained():
    for heading, struct in DOCUMENTS.items():
        for field in msgspec.structs.fields(struct):
            assert f"`{field.encode_name}" in sections()[heading], (heading, field.encode_name)


def test_the_error_document_is_as_shown():
    example = examples(README.partition("\n## Documents\n")[2].partition("\n### ")[0])[0]
    assert json.loads(msgspec.json.encode(msgspec.json.decode(example, type=ErrorDocument))) == json.loads(example)


def test_every_word_of_the_command_line_is_explained_and_no_other():
    table = README.partition("\n| reason | what it means |\n|---|---|\n")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == sorted(word.value for word in Word)


def test_every_trouble_of_a_connection_is_explained_and_no_other():
    table = README.partition("\n| no connection | what it means |\n|---|---|\n")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == sorted(trouble.value for trouble in Trouble)
    assert set(NEXT_STEPS) == set(Trouble)


def test_every_command_is_listed():
    def names(command, path):
        if isinstance(command, TyperGroup):
            for name, below in command.commands.items():
                yield from names(below, f"{path} {name}")
        else:
            yield path

    chapter = README.partition("\n## Commands\n")[2].partition("\n## ")[0]
    assert not [name for name in names(typer.main.get_command(app), "muster") if f"`{name}" not in chapter]
