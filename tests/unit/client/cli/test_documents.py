"""Each document of ``--json`` that needs no agent, against a schema of its own: no field more, none less."""

from typing import Literal

import pytest
from tests.document_schemas import Mode, Schema, Words, read


class IdSchema(Schema):
    client: str
    fingerprint: str
    words: Words
    id_text: str
    name: str | None
    hub_url: str
    hub_fingerprint: str | None
    data_dir: str


class GrantSchema(Schema):
    mode: Mode
    profiles: list[str] | None
    once: bool
    not_before_ms: int
    expires_at_ms: int
    state: Literal["live", "not_yet", "expired", "used", "lapsed"]


class PeerSchema(Schema):
    nickname: str | None
    client: str
    fingerprint: str | None
    words: Words | None
    trusted: bool
    grant: GrantSchema | None


class HubSchema(Schema):
    published: bool
    reason: str | None


class ChangeSchema(Schema):
    peer: PeerSchema
    hub: HubSchema


class PeersSchema(Schema):
    peers: list[PeerSchema]


class GrantedSchema(Schema):
    nickname: str | None
    client: str
    grant: GrantSchema


class GrantsSchema(Schema):
    grants: list[GrantedSchema]


class ErrorPartSchema(Schema):
    reason: str
    said_by: str
    sentence: str
    next_step: str


class ErrorSchema(Schema):
    error: ErrorPartSchema


def test_who_this_device_is(laptop):
    read(laptop.ok("id", "--json"), IdSchema)


def test_init(cli):
    read(cli.ok("init", "--json"), IdSchema)


def test_trust_and_grants(laptop, nas):
    read(laptop.ok("trust", "add", "nas", nas.id_text, "--yes", "--json"), ChangeSchema)
    read(laptop.ok("grant", "add", "nas", "--json"), ChangeSchema)
    read(laptop.ok("grant", "renew", "nas", "--json"), ChangeSchema)
    assert read(laptop.ok("grant", "list", "--json"), GrantsSchema).grants
    assert read(laptop.ok("trust", "list", "--json"), PeersSchema).peers
    read(laptop.ok("grant", "revoke", "nas", "--json"), ChangeSchema)
    read(laptop.ok("trust", "remove", "nas", "--json"), ChangeSchema)


@pytest.mark.parametrize(
    "arguments", [["who", "unknown"], ["session", "start", "nobody"], ["trust", "add"]], ids=" ".join
)
def test_what_goes_wrong(laptop, arguments):
    read(laptop.run(*arguments, "--json"), ErrorSchema)
