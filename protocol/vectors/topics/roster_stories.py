"""stories.json: the other members as a member knows them, by their own statements alone (SPEC.md section 8.5)."""

from msgspec.structs import replace

from muster_protocol.exchange import Joined, Leave
from muster_protocol.ids import TimeMs
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read, sign
from vectors.topics import story
from vectors.topics.cast import DESK, LAPTOP, NAS, NOW, SECOND_MS, CastDevice
from vectors.topics.creator_script import refusal
from vectors.topics.forms import Json, Vector, accepted, signed

JOINED_AT = NOW + 4 * SECOND_MS


def roster_stories(told: story.Story) -> list[Vector]:
    """Return what a member takes of the others."""
    replayed = refusal(Reason.REPLAYED)
    no_member = refusal(Reason.NOT_A_MEMBER)
    epoch = told.epochs[2]
    other_key = replace(read(story.leave(NAS), Leave), member_key=DESK.key.fingerprint)
    # Dated before what the same member said under the key that it had first.
    under_other_key = replace(read(told.nas_joined, Joined), at=TimeMs(JOINED_AT + 1), member_key=DESK.key.fingerprint)
    script: list[tuple[Json, Json]] = [
        _look(NAS, joined=False),
        ({"do": "joined", "joined": signed(told.nas_joined)}, {}),
        _look(NAS, joined=True),
        _look(NAS, joined=False, key=LAPTOP),
        _look(DESK, joined=False),
        (_leave(_left(NAS, JOINED_AT - 1), epoch), replayed),
        (_leave(_left(NAS, JOINED_AT), told.epochs[3]), no_member),
        (_leave(sign(other_key, NAS.key), epoch), no_member),
        _look(NAS, joined=True),
        (_leave(_left(NAS, JOINED_AT), epoch), {}),
        _look(NAS, joined=False),
        (_leave(_left(NAS, JOINED_AT), epoch), replayed),
        (_leave(_left(NAS, JOINED_AT + 1), epoch), {}),
        ({"do": "joined", "joined": signed(told.nas_joined)}, replayed),
        ({"do": "joined", "joined": signed(_joined(told, JOINED_AT + 3))}, {}),
        _look(NAS, joined=True),
        ({"do": "joined", "joined": signed(_joined(told, JOINED_AT + 2))}, replayed),
        ({"do": "joined", "joined": signed(_joined(told, JOINED_AT + 3))}, {}),
        (_leave(_left(NAS, JOINED_AT + 2), epoch), replayed),
        _look(NAS, joined=True),
        ({"do": "joined", "joined": signed(sign(under_other_key, DESK.key))}, {}),
        _look(NAS, joined=True, key=DESK),
        (_leave(_left(DESK, JOINED_AT), epoch), {}),
    ]
    given = {"op": "others", "steps": [step for step, _ in script]}
    return [
        accepted("others: a member joins, leaves and comes back", given, {"outcomes": [each for _, each in script]})
    ]


def _look(member: CastDevice, *, joined: bool, key: CastDevice | None = None) -> tuple[Json, Json]:
    named = (key or member).key.fingerprint.hex()
    return {"do": "look", "client": member.client, "key": named}, {"joined": joined}


def _leave(leave: Signed, epoch: Signed) -> Json:
    return {"do": "leave", "leave": signed(leave), "epoch": signed(epoch)}


def _left(member: CastDevice, at: int) -> Signed:
    return sign(replace(read(story.leave(member), Leave), at=TimeMs(at)), member.key)


def _joined(told: story.Story, at: int) -> Signed:
    return sign(replace(read(told.nas_joined, Joined), at=TimeMs(at)), NAS.key)
