"""Each document of ``--json`` that needs a hub or an agent, against a schema of its own: no field more, none less."""

from typing import Literal

from tests.document_schemas import Mode, Schema, Words, read


class PresenceSchema(Schema):
    nickname: str | None
    client: str
    state: Literal["online", "offline", "unknown", "hidden"]
    since_ms: int | None
    cause: Literal["closed", "timeout", "node_lost", "revoked", "superseded"] | None


class WhoSchema(Schema):
    devices: list[PresenceSchema]


class CheckSchema(Schema):
    check: str
    device: bool | None
    hub: bool | None


class WhySchema(Schema):
    creator: str
    target: str
    mode: Mode
    profile: str | None
    purpose: Literal["auto", "ask"]
    reason: str | None
    said_by: Literal["hub", "device"] | None
    sentence: str | None
    next_step: str | None
    checks: list[CheckSchema]


class TargetSchema(Schema):
    nickname: str | None
    client: str
    state: Literal["called", "delivered", "accepted", "joined", "refused"]
    said_by: Literal["hub", "peer", "device"]
    reason: str | None
    sentence: str | None
    next_step: str | None
    after_ms: int


class BlockingSchema(Schema):
    nickname: str | None
    client: str
    sentence: str
    next_step: str


class StartSchema(Schema):
    session: str | None
    closed: bool
    mode: Mode
    profile: str | None
    kind: Literal["mesh", "star"]
    purpose: Literal["auto", "ask"]
    exit_code: int
    targets: list[TargetSchema]
    blocking: list[BlockingSchema]


class MemberSchema(Schema):
    nickname: str | None
    client: str
    state: Literal["seated", "joined", "out"] | None
    said_by: Literal["device", "peer", "hub"]
    reason: str | None
    denied: bool
    blocks: bool


class SessionSchema(Schema):
    session: str
    nickname: str | None
    creator: str
    mode: Mode
    profile: str | None
    kind: Literal["mesh", "star"] | None
    open: bool
    held: bool
    epoch: int | None
    created_at_ms: int | None
    ends_at_ms: int
    times_said_by: Literal["device", "hub"]
    members: list[MemberSchema]


class SessionsSchema(Schema):
    sessions: list[SessionSchema]


class OneSessionSchema(Schema):
    session: SessionSchema


class SessionEndSchema(Schema):
    session: str
    state: Literal["left", "closed"]


class InviteSchema(Schema):
    id: str
    number: int
    nickname: str | None
    creator: str
    session: str
    mode: Mode
    profile: str | None
    received_at_ms: int
    expires_at_ms: int


class InboxSchema(Schema):
    invites: list[InviteSchema]


class AnsweredSchema(Schema):
    accepted: bool
    invite: InviteSchema


class HubKeySchema(Schema):
    hub_url: str
    fingerprint: str
    words: Words
    changed: bool


def test_presence(house):
    who = read(house["laptop"].ok("who", "--json"), WhoSchema)
    states = {one.nickname: (one.state, one.cause) for one in who.devices}
    assert states == {
        "nas": ("online", None),
        "phone": ("online", None),
        "attic": ("offline", "closed"),
        "guest": ("hidden", None),
    }


def test_why_yes_and_why_no(house):
    yes = read(house["laptop"].ok("why", "nas", "--json"), WhySchema)
    assert (yes.reason, yes.said_by) == (None, None)
    assert all(one.hub is True for one in yes.checks)
    done = house["laptop"].run("why", "attic", "--json")
    assert done.code == 1
    no = read(done, WhySchema)
    assert (no.reason, no.said_by) == ("offline", "hub")
    assert no.sentence in done.err or done.err == ""


def test_why_in_the_other_direction(house):
    done = house["laptop"].run("why", "phone", "me", "--json")
    assert done.code == 1
    why = read(done, WhySchema)
    assert why.reason == "grant_missing"
    assert why.target == house["laptop"].id_text.split(":")[1]


def test_a_session_from_its_start_to_its_end(house):
    laptop = house["laptop"]
    started = read(laptop.ok("session", "start", "nas", "--wait", "--json"), StartSchema)
    assert started.exit_code == 0
    assert [(one.nickname, one.state, one.said_by, one.reason) for one in started.targets] == [
        ("nas", "joined", "peer", None)
    ]
    listed = read(laptop.ok("session", "list", "--json"), SessionsSchema)
    assert started.session in [one.session for one in listed.sessions]
    shown = read(laptop.ok("session", "show", started.session[:10], "--json"), OneSessionSchema).session
    assert shown.held
    assert {(one.nickname, one.state, one.said_by) for one in shown.members} == {
        (None, "joined", "device"),
        ("nas", "joined", "peer"),
    }
    assert read(house["nas"].ok("session", "leave", started.session, "--json"), SessionEndSchema).state == "left"
    assert read(laptop.ok("session", "close", started.session, "--json"), SessionEndSchema).state == "closed"


def test_an_invite_that_a_person_answers(house):
    laptop, phone = house["laptop"], house["phone"]
    started = read(laptop.ok("session", "start", "phone", "--ask", "--profile", "photos", "--json"), StartSchema)
    assert started.targets[0].state == "delivered"
    phone.agents[0].hear('"event": "invited"')
    (waiting,) = read(phone.ok("inbox", "--json"), InboxSchema).invites
    assert (waiting.session, waiting.nickname, waiting.profile) == (started.session, "laptop", "photos")
    answered = read(phone.ok("accept", str(waiting.number), "--json"), AnsweredSchema)
    assert answered.accepted
    assert answered.invite == waiting
    assert read(phone.ok("inbox", "--json"), InboxSchema).invites == []


def test_the_hubs_key(house):
    assert read(house["laptop"].ok("hub", "trust", "--yes", "--json"), HubKeySchema).changed is False
