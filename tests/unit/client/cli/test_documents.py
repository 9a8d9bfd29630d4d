"""Each document of `--json` that needs no agent, against a schema of its own: no field more, none less."""

from typing import Literal

import msgspec
import pytest


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


Words = tuple[str, str, str, str, str, str, str, str]
Mode = Literal["join", "inventory", "synchronize"]


class Id(Strict):
    client: str
    fingerprint: str
    words: Words
    id_text: str
    name: str | None
    hub_url: str
    hub_fingerprint: str | None
    data_dir: str


class Grant(Strict):
    mode: Mode
    profiles: list[str] | None
    once: bool
    not_before_ms: int
    expires_at_ms: int
    state: Literal["live", "not_yet", "expired", "used", "lapsed"]


class Peer(Strict):
    nickname: str | None
    client: str
    fingerprint: str | None
    words: Words | None
    trusted: bool
    grant: Grant | None


class Hub(Strict):
    published: bool
    reason: str | None


class Change(Strict):
    peer: Peer
    hub: Hub


class Peers(Strict):
    peers: list[Peer]


class Granted(Strict):
    nickname: str | None
    client: str
    grant: Grant


class Grants(Strict):
    grants: list[Granted]


class ErrorFields(Strict):
    reason: str
    said_by: str
    sentence: str
    next_step: str


class Error(Strict):
    error: ErrorFields


def read(done, schema):
    (line,) = done.out.splitlines()
    return msgspec.json.decode(line, type=schema)


def test_who_this_device_is(laptop):
    read(laptop.ok("id", "--json"), Id)


def test_init(cli):
    read(cli.ok("init", "--json"), Id)


def test_trust_and_grants(laptop, nas):
    read(laptop.ok("trust", "add", "nas", nas.id_text, "--yes", "--json"), Change)
    read(laptop.ok("grant", "add", "nas", "--json"), Change)
    read(laptop.ok("grant", "renew", "nas", "--json"), Change)
    assert read(laptop.ok("grant", "list", "--json"), Grants).grants
    assert read(laptop.ok("trust", "list", "--json"), Peers).peers
    read(laptop.ok("grant", "revoke", "nas", "--json"), Change)
    read(laptop.ok("trust", "remove", "nas", "--json"), Change)


@pytest.mark.parametrize(
    "arguments", [["who", "nobody"], ["session", "start", "nobody"], ["trust", "add"]], ids=" ".join
)
def test_what_goes_wrong(laptop, arguments):
    read(laptop.run(*arguments, "--json"), Error)
