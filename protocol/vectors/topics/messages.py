"""frames.json: a message of each type, then some with more, less or other than it should have (SPEC.md section 3.2)."""

from typing import Any

import msgpack

from muster_protocol import frames
from muster_protocol.cards import Mode
from muster_protocol.frames import Frame, encode_frame
from muster_protocol.ids import InviteId, SessionId, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, sign
from vectors.topics import story
from vectors.topics.cast import LAPTOP, LAPTOP_KEYS, NAS, NOW, invite_id
from vectors.topics.enrolment import CODE
from vectors.topics.forms import Vector, accepted, fields, must, refused
from vectors.topics.scene import LINKS, DialScene, welcome
from vectors.topics.statements import GRANT, TRUST

SESSION: SessionId = story.SESSION
INVITE: InviteId = invite_id("nas")
SEALED = bytes(range(256)) * 4


def messages(told: story.Story) -> list[Vector]:
    """Return the messages."""
    examples = _opening() + _statements() + _presence() + _sessions(told) + _invites(told) + _pushes(told)
    shown = {type(example) for example in examples}
    must(shown == set(frames.FRAMES.values()), "a type of message has no vector")
    return [*(_same(example) for example in examples), *_open(), *_refused(), *_answered()]


def _same(frame: Frame) -> Vector:
    data = encode_frame(frame)
    tag = frame.__struct_config__.tag
    written = msgpack.unpackb(data)
    absent = [name for name in frame.__struct_fields__ if name not in written]
    if isinstance(frame, frames.SessionUpdatePush):
        tag = f"{tag} {frame.state}"
    if isinstance(frame, frames.SessionReply):
        tag = f"{tag}, {'open' if frame.open else 'ended'}"
    name = f"{tag} without {', '.join(absent)}" if absent else f"{tag}"
    return accepted(name, {"message": data.hex()}, {"fields": fields(data), "same_bytes": True})


def _opening() -> list[Frame]:
    scene = DialScene(hub=LAPTOP_KEYS[0], links=LINKS[:1])
    plain = DialScene()
    hub = plain.hub_side()
    hello = plain.hello()
    met = hub.on_hello(hello)
    return [
        scene.challenge(),
        frames.decode_frame(hello),
        frames.decode_frame(welcome(hub, met)),
        frames.decode_frame(hub.refused(hello, Reason.OVERLOADED, NOW, 1000)),
        frames.Goaway(retry_after_ms=2000),
        frames.Ok(re=1),
        frames.Error(re=2, reason=Reason.OVERLOADED, detail="busy", retry_after_ms=1000),
        frames.Error(re=0, reason=Reason.MALFORMED),
        frames.Ack(id=3, pushes=("invite.0011223344556677", "answer.8899aabbccddeeff")),
    ]


def _trust() -> Signed:
    return sign(TRUST, LAPTOP.key)


def _statements() -> list[Frame]:
    listed = frames.KindAndStatement(Kind.TRUST, _trust())
    return [
        frames.PutStatement(id=4, kind=Kind.TRUST, statement=_trust()),
        frames.ListStatements(id=5, after=0),
        frames.Statements(re=5, statements=(listed,), more=False),
        frames.GetCard(id=6, client=NAS.client),
        frames.CardReply(re=6, card=NAS.card()),
        frames.StatementPush(client=NAS.client, kind=Kind.GRANT, statement=sign(GRANT, NAS.key)),
        frames.ClearSuspicion(id=7),
        frames.ConfirmToken(id=8, counter=8),
        frames.MakeCode(id=9),
        frames.CodeReply(re=9, code=CODE, expires_at=TimeMs(NOW + 86_400_000)),
    ]


def _presence() -> list[Frame]:
    states = [(state, None, None) for state in (frames.PresenceState.HIDDEN, frames.PresenceState.UNKNOWN)]
    devices = [frames.Presence(NAS.client, *state) for state in states]
    devices.append(frames.Presence(NAS.client, frames.PresenceState.ONLINE, NOW, None))
    devices += [frames.Presence(NAS.client, frames.PresenceState.OFFLINE, NOW, cause) for cause in frames.DropCause]
    return [
        frames.Who(id=9, clients=(NAS.client, LAPTOP.client)),
        frames.Watch(id=10, clients=()),
        frames.PresenceReply(re=9, devices=tuple(devices)),
        frames.PresencePush(devices=tuple(devices[:1])),
    ]


def _sessions(told: story.Story) -> list[Frame]:
    members = (
        frames.Member(LAPTOP.client, frames.MemberState.JOINED, NOW, None),
        frames.Member(NAS.client, frames.MemberState.OUT, NOW, Reason.JOIN_FAILED),
    )
    whole = frames.SessionReply(
        re=13,
        session=SESSION,
        creator=LAPTOP.client,
        mode=Mode.SYNCHRONIZE,
        profile="photos",
        kind=frames.SessionKind.MESH,
        open=True,
        created_at=NOW,
        ends_at=TimeMs(NOW + frames.MAX_SESSION_MS),
        epoch=2,
        members=members,
        epochs=told.epochs[:2],
        joined=(told.nas_joined,),
        departures=(frames.Departure(NAS.client, Kind.LEAVE, told.nas_leave),),
        sealed=SEALED,
        admission=told.nas_admission,
    )
    line = frames.SessionSummary(
        session=SESSION,
        creator=LAPTOP.client,
        mode=Mode.JOIN,
        profile=None,
        open=True,
        created_at=NOW,
        ends_at=TimeMs(NOW + 1),
        members=(LAPTOP.client, NAS.client),
    )
    return [
        frames.CreateSession(
            id=11,
            session=SESSION,
            seed=story.SEED,
            mode=Mode.JOIN,
            profile=None,
            kind=frames.SessionKind.STAR,
            lasts_ms=frames.MAX_SESSION_MS,
            epoch=told.epochs[0],
        ),
        frames.GetSession(id=13, session=SESSION, after=0),
        whole,
        frames.SessionReply(
            re=13,
            session=SESSION,
            creator=LAPTOP.client,
            mode=Mode.JOIN,
            profile=None,
            kind=frames.SessionKind.STAR,
            open=False,
            created_at=NOW,
            ends_at=TimeMs(NOW + 1),
            epoch=1,
            members=members[:1],
            epochs=(),
            joined=(),
            sealed=None,
            admission=None,
            departures=(),
        ),
        frames.ListSessions(id=14),
        frames.ListSessions(id=14, after=SESSION),
        frames.SessionsReply(re=14, sessions=(line,), more=False),
        frames.SendJoined(id=15, joined=told.nas_joined),
        frames.SendLeave(id=16, leave=told.nas_leave),
        frames.CloseSession(id=17, session=SESSION),
        frames.ResumeSession(id=18, session=SESSION),
    ]


def _invites(told: story.Story) -> list[Frame]:
    checks = {frames.Check.REQUEST: True, frames.Check.TRUST: False, frames.Check.KEYS: None}
    steps = tuple(frames.TraceStep(check, passed) for check, passed in checks.items())
    result = frames.InviteResult(NAS.client, Reason.OFFLINE)
    return [
        frames.Why(
            id=19,
            creator=LAPTOP.client,
            target=NAS.client,
            mode=Mode.JOIN,
            profile=None,
            purpose=frames.Purpose.AUTO,
        ),
        frames.DecisionReply(re=19, reason=Reason.NOT_TRUSTED, trace=steps),
        frames.SendInvites(id=20, session=SESSION, invites=(told.nas.invite, told.desk.invite)),
        frames.InviteResults(re=20, results=(result, frames.InviteResult(LAPTOP.client, None))),
        frames.CancelInvite(id=21, session=SESSION, client=NAS.client, invite=INVITE),
        frames.SendAnswer(id=22, answer=told.nas.answer),
        frames.Admit(
            id=23,
            session=SESSION,
            epoch=told.epochs[1],
            sealed=(frames.SealedFor(NAS.client, SEALED),),
            admissions=(told.nas_admission,),
        ),
        frames.Admitted(re=23, rejected=(result,)),
    ]


def _pushes(told: story.Story) -> list[Frame]:
    return [
        frames.InvitePush(push="invite.0011223344556677", invite=told.nas.invite),
        frames.InviteUpdatePush(
            push="invite.update.1", session=SESSION, client=NAS.client, invite=INVITE, reason=Reason.CANCELLED
        ),
        frames.AnswerPush(push="answer.8899aabbccddeeff", answer=told.nas.answer),
        frames.AdmissionPush(push="admission.0123456789abcdef", admission=told.nas_admission),
        frames.EpochPush(session=SESSION, epoch=told.epochs[2], sealed=told.sealed_to_nas),
        frames.JoinedPush(joined=told.nas_joined),
        frames.LeavePush(leave=told.nas_leave),
        frames.SessionUpdatePush(session=SESSION, client=None, state="closed", reason=None),
        frames.SessionUpdatePush(session=SESSION, client=None, state="changed", reason=None),
        frames.SessionUpdatePush(
            push="session.update.1",
            session=SESSION,
            client=NAS.client,
            state=frames.MemberState.OUT,
            reason=Reason.JOIN_FAILED,
        ),
    ]


def _packed(value: object) -> str:
    packed: bytes = msgpack.packb(value)
    return packed.hex()


def _open() -> list[Vector]:
    """Return messages that differ from what this version would write, and are taken all the same."""
    plain = {"t": "ok", "re": 1}
    more: dict[str, Any] = {
        "a field that is not known": plain | {"later": [1, {"deep": None}]},
        "the type behind the fields": {"re": 1, "t": "ok"},
    }
    found = [
        accepted(f"open: {name}", {"message": _packed(value)}, {"fields": plain, "same_bytes": False})
        for name, value in more.items()
    ]
    cancelled = {"t": "error", "re": 1, "reason": "cancelled"}
    nil = _packed(cancelled | {"retry_after_ms": None})
    found.append(
        accepted(
            "open: nil for a field that may be absent", {"message": nil}, {"fields": cancelled, "same_bytes": False}
        )
    )
    long_form = b"\x82\xa1t\xa2ok\xa2re\xce\x00\x00\x00\x01".hex()
    twice = b"\x83\xa1t\xa2ok\xa2re\x02\xa2re\x01".hex()
    found.append(
        accepted("open: a number in a longer form", {"message": long_form}, {"fields": plain, "same_bytes": False})
    )
    return [
        *found,
        accepted("open: a field twice: the last counts", {"message": twice}, {"fields": plain, "same_bytes": False}),
    ]


def _refused() -> list[Vector]:
    who = {"t": "who", "id": 1}
    bad: dict[str, tuple[Any, Reason]] = {
        "an unknown type": ({"t": "nonsense", "id": 1}, Reason.UNSUPPORTED),
        "no type": ({"id": 1}, Reason.MALFORMED),
        "a type that is binary": ({"t": b"who", "id": 1}, Reason.MALFORMED),
        "an array": (["who", 1], Reason.MALFORMED),
        "a number": (1, Reason.MALFORMED),
        "a request without its number": ({"t": "session.list"}, Reason.MALFORMED),
        "a negative number": ({"t": "session.list", "id": -1}, Reason.MALFORMED),
        "a number past 2^53 - 1": ({"t": "session.list", "id": 2**53}, Reason.MALFORMED),
        "a reply without its number": ({"t": "ok"}, Reason.MALFORMED),
        "an unknown reason": ({"t": "error", "re": 1, "reason": "nonsense"}, Reason.MALFORMED),
        "257 devices": (who | {"clients": [NAS.client] * 257}, Reason.MALFORMED),
        "a device in upper case": (who | {"clients": [NAS.client.upper()]}, Reason.MALFORMED),
        "no acknowledged push": ({"t": "ack", "id": 1, "pushes": []}, Reason.MALFORMED),
        "65 acknowledged pushes": ({"t": "ack", "id": 1, "pushes": ["x"] * 65}, Reason.MALFORMED),
        "a push id of 65 characters": ({"t": "ack", "id": 1, "pushes": ["x" * 65]}, Reason.MALFORMED),
        "a statement of a kind that is not put": (
            {"t": "statement.put", "id": 1, "kind": "leave", "statement": [b"", bytes(32), bytes(64)]},
            Reason.MALFORMED,
        ),
        "a statement with a fourth part": (
            {"t": "leave.send", "id": 1, "leave": [b"", bytes(32), bytes(64), None]},
            Reason.MALFORMED,
        ),
        "a signature of 63 bytes": (
            {"t": "leave.send", "id": 1, "leave": [b"", bytes(32), bytes(63)]},
            Reason.MALFORMED,
        ),
        "65 invites": (
            {"t": "invite.send", "id": 1, "session": SESSION, "invites": [[b"", bytes(32), bytes(64)]] * 65},
            Reason.MALFORMED,
        ),
        "an invite's id of 15 bytes": (
            {"t": "invite.cancel", "id": 1, "session": SESSION, "client": NAS.client, "invite": bytes(15)},
            Reason.MALFORMED,
        ),
    }
    return [
        refused(f"refused: {name}", {"message": _packed(value)}, reason, "shape")
        for name, (value, reason) in bad.items()
    ]


def _answered() -> list[Vector]:
    """Return messages that a hub cannot read, each with the number by which it answers."""
    top = 2**53 - 1
    numbers: dict[str, tuple[Any, int]] = {
        "a type that is not known": ({"t": "nonsense", "id": 7}, 7),
        "a field that is missing": ({"t": "who", "id": 7}, 7),
        "the highest number": ({"t": "who", "id": top}, top),
        "a number past it": ({"t": "who", "id": top + 1}, 0),
        "a negative number": ({"t": "who", "id": -1}, 0),
        "a number that is text": ({"t": "who", "id": "7"}, 0),
        "a number that is a boolean": ({"t": "who", "id": True}, 0),
        "no number": ({"t": "who"}, 0),
        "no map": (["who", 7], 0),
    }
    return [
        accepted(f"answered: {name}", {"op": "answered", "message": _packed(value)}, {"re": number})
        for name, (value, number) in numbers.items()
    ]
