"""Each document of `--json` that needs a hub or an agent, against a schema of its own: no field more, none less."""

from typing import Literal

import msgspec


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


Words = tuple[str, str, str, str, str, str, str, str]
Mode = Literal["join", "inventory", "synchronize"]


class Presence(Strict):
    nickname: str | None
    client: str
    state: Literal["online", "offline", "unknown", "hidden"]
    since_ms: int | None
    cause: Literal["closed", "timeout", "node_lost", "revoked", "superseded"] | None


class Who(Strict):
    devices: list[Presence]


class Check(Strict):
    check: str
    device: bool | None
    hub: bool | None


class Why(Strict):
    creator: str
    target: str
    mode: Mode
    profile: str | None
    purpose: Literal["auto", "ask"]
    reason: str | None
    said_by: Literal["hub", "device"] | None
    sentence: str | None
    next_step: str | None
    checks: list[Check]


class Target(Strict):
    nickname: str | None
    client: str
    state: Literal["called", "delivered", "accepted", "joined", "refused"]
    said_by: Literal["hub", "peer", "device"]
    reason: str | None
    sentence: str | None
    next_step: str | None
    after_ms: int


class Start(Strict):
    session: str | None
    closed: bool
    mode: Mode
    profile: str | None
    kind: Literal["mesh", "star"]
    purpose: Literal["auto", "ask"]
    exit_code: int
    targets: list[Target]


class Member(Strict):
    nickname: str | None
    client: str
    state: Literal["seated", "joined", "out"] | None
    reason: str | None


class Session(Strict):
    session: str
    nickname: str | None
    creator: str
    mode: Mode
    profile: str | None
    kind: Literal["mesh", "star"] | None
    open: bool
    held: bool
    epoch: int | None
    created_at_ms: int
    ends_at_ms: int
    members: list[Member]


class Sessions(Strict):
    sessions: list[Session]


class OneSession(Strict):
    session: Session


class SessionEnd(Strict):
    session: str
    state: Literal["left", "closed"]


class Invite(Strict):
    id: str
    nickname: str | None
    creator: str
    session: str
    mode: Mode
    profile: str | None
    received_at_ms: int
    expires_at_ms: int


class Inbox(Strict):
    invites: list[Invite]


class Answered(Strict):
    accepted: bool
    invite: Invite


class HubKey(Strict):
    hub_url: str
    fingerprint: str
    words: Words
    changed: bool


def read(done, schema):
    (line,) = done.out.splitlines()
    return msgspec.json.decode(line, type=schema)


def test_presence(house):
    who = read(house["laptop"].ok("who", "--json"), Who)
    states = {one.nickname: (one.state, one.cause) for one in who.devices}
    assert states == {
        "nas": ("online", None),
        "phone": ("online", None),
        "attic": ("offline", "closed"),
        "guest": ("hidden", None),
    }


def test_why_yes_and_why_no(house):
    yes = read(house["laptop"].ok("why", "nas", "--json"), Why)
    assert (yes.reason, yes.said_by) == (None, None)
    assert all(one.hub is True for one in yes.checks)
    done = house["laptop"].run("why", "attic", "--json")
    assert done.code == 1
    no = read(done, Why)
    assert (no.reason, no.said_by) == ("offline", "hub")
    assert no.sentence in done.err or done.err == ""


def test_why_in_the_other_direction(house):
    done = house["laptop"].run("why", "phone", "me", "--json")
    assert done.code == 1
    why = read(done, Why)
    assert why.reason == "grant_missing"
    assert why.target == house["laptop"].id_text.split(":")[1]


def test_a_session_from_its_start_to_its_end(house):
    laptop = house["laptop"]
    started = read(laptop.ok("session", "start", "nas", "--wait", "--json"), Start)
    assert started.exit_code == 0
    assert [(one.nickname, one.state, one.said_by, one.reason) for one in started.targets] == [
        ("nas", "joined", "peer", None)
    ]
    listed = read(laptop.ok("session", "list", "--json"), Sessions)
    assert started.session in [one.session for one in listed.sessions]
    shown = read(laptop.ok("session", "show", started.session[:10], "--json"), OneSession).session
    assert shown.held
    assert {(one.nickname, one.state) for one in shown.members} == {(None, "joined"), ("nas", "joined")}
    assert read(house["nas"].ok("session", "leave", started.session, "--json"), SessionEnd).state == "left"
    assert read(laptop.ok("session", "close", started.session, "--json"), SessionEnd).state == "closed"


def test_an_invite_that_a_person_answers(house):
    laptop, phone = house["laptop"], house["phone"]
    started = read(laptop.ok("session", "start", "phone", "--ask", "--profile", "photos", "--json"), Start)
    assert started.targets[0].state == "delivered"
    phone.agents[0].hear('"event": "invited"')
    (waiting,) = read(phone.ok("inbox", "--json"), Inbox).invites
    assert (waiting.session, waiting.nickname, waiting.profile) == (started.session, "laptop", "photos")
    answered = read(phone.ok("accept", waiting.id[:6], "--json"), Answered)
    assert answered.accepted
    assert answered.invite == waiting
    assert read(phone.ok("inbox", "--json"), Inbox).invites == []


def test_the_hubs_key(house):
    assert read(house["laptop"].ok("hub", "trust", "--yes", "--json"), HubKey).changed is False
