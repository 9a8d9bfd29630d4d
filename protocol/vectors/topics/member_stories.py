"""stories.json: the steps of a called device, which joins and follows its session (SPEC.md sections 7 and 8)."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from muster_protocol.cards import Mode
from muster_protocol.epochs import Epoch, EpochMember, epoch_hash, in_order
from muster_protocol.exchange import CLOCK_SKEW_MS, Admission, Answer, epoch_info
from muster_protocol.frames import Purpose
from muster_protocol.ids import Hash, Signature, TimeMs, session_id
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read, sign
from vectors.topics import story
from vectors.topics.cast import (
    DESK,
    LAPTOP,
    NAS,
    NOW,
    SECOND_MS,
    STRANGER,
    epoch_key,
    invite_id,
    receive_key,
    receive_seed,
)
from vectors.topics.creator_script import refusal
from vectors.topics.forms import Json, Vector, accepted, public, signed
from vectors.topics.sealed import Sealer

AT = NOW + 2 * SECOND_MS
JOINED_AT = NOW + 4 * SECOND_MS
TRUSTED = {device.client: device.key.fingerprint.hex() for device in (LAPTOP, DESK)}


@dataclass(slots=True)
class MemberScript:
    """The steps of a called device, each with its outcome."""

    told: story.Story
    steps: list[Json] = field(default_factory=list)
    outcomes: list[Json] = field(default_factory=list)

    def add(self, do: str, outcome: Json, **given: object) -> None:
        """Add a step."""
        self.steps.append({"do": do, **given})
        self.outcomes.append(outcome)

    def accept(self, outcome: Json | None = None, now: int = AT) -> None:
        """Answer yes."""
        said = {"answer": signed(self.told.nas.answer)} if outcome is None else outcome
        self.add("accept", said, receive_seed=receive_seed("nas 1").hex(), now=now)

    def admission(self, admission: Signed, outcome: Json) -> None:
        """Take an admission."""
        self.add("admission", outcome, admission=signed(admission), now=AT)

    def admitted(self) -> None:
        """Answer yes, and take the admission that follows."""
        self.accept()
        self.admission(self.told.nas_admission, known(self.told.epochs[1], 2))

    def epoch(self, epoch: Signed, sealed: bytes, outcome: Json) -> None:
        """Take a pushed epoch."""
        self.add("epoch", outcome, epoch=signed(epoch), sealed=sealed.hex())

    def joined(self, name: str, outcome: Json) -> None:
        """Announce that this device is in, and offer the receive key of this name."""
        self.add("joined", outcome, receive_seed=receive_seed(name).hex(), now=JOINED_AT)

    def vector(self, name: str, versions: tuple[int, int] = (1, 1), invite: Signed | None = None) -> Vector:
        """Return the whole as a vector."""
        given = {
            "op": "member",
            "secret": NAS.secret.hex(),
            "me": NAS.client,
            "creator_key": public(LAPTOP.key.public),
            "protocol": list(versions),
            "invite": signed(invite or self.told.nas.invite),
            "trusts": TRUSTED,
            "steps": self.steps,
        }
        return accepted(f"member: {name}", given, {"outcomes": self.outcomes})


def known(epoch: Signed, number: int) -> Json:
    """Return the epoch that a member is in, and its key."""
    return {"epoch_hash": epoch_hash(epoch).hex(), "epoch_key": story.KEYS[number].hex()}


def member_stories(told: story.Story, sealer: Sealer) -> list[Vector]:
    """Return lives of a called device."""
    return [
        _too_early(told),
        _clock_behind(told),
        _without_version(told),
        _wrong_invite(told),
        _unfit(told),
        _refusing(told),
        _spent(told),
        _granted_later(told),
        _taken_back(told),
        _after_a_restart(told),
        _other_admissions(told),
        _other_epochs(told, sealer),
        _away(told, sealer),
        _joined_before(told),
    ]


def _joined_before(told: story.Story) -> Vector:
    """Let the device have been in the session: as something else, then at other epochs."""
    steps = MemberScript(told)
    invite, (first, second) = told.nas.invite_body, told.epochs[:2]
    before = {
        "kind": invite.kind.value,
        "mode": invite.mode.value,
        "profile": invite.profile,
        "creator_key": LAPTOP.key.fingerprint.hex(),
        "number": 1,
        "epoch": epoch_hash(first).hex(),
    }
    others = {"kind": "star", "mode": "join", "profile": None, "creator_key": DESK.key.fingerprint.hex()}

    def was(**changes: object) -> None:
        steps.add("own", {}, trusts=TRUSTED, sessions={invite.session: before | changes})

    for name, value in others.items():
        was(**{name: value})
        steps.accept(refusal(Reason.MISMATCH))
    was()
    steps.accept()
    for name, value in others.items():
        was(**{name: value})
        steps.admission(told.nas_admission, refusal(Reason.MISMATCH))
    elsewhere = epoch_hash(told.epochs[2]).hex()
    for number, epoch, reason in (
        (3, elsewhere, Reason.REPLAYED),
        (2, epoch_hash(second).hex(), Reason.REPLAYED),
        (2, elsewhere, Reason.EPOCH_FORKED),
    ):
        was(number=number, epoch=epoch)
        steps.admission(told.nas_admission, refusal(reason))
    # An epoch between the two may be unknown here.
    was(epoch=elsewhere)
    steps.admission(told.nas_admission, known(second, 2))
    return steps.vector("a session that it joined before, as something else or at other epochs")


def _too_early(told: story.Story) -> Vector:
    steps = MemberScript(told)
    steps.add("look", {"joined": False, "holds_key": False, "version": 1})
    steps.add("key", refusal(Reason.NOT_A_MEMBER))
    steps.joined("nas 2", refusal(Reason.NOT_A_MEMBER))
    steps.epoch(told.epochs[2], told.sealed_to_nas, refusal(Reason.NOT_A_MEMBER))
    steps.admission(told.nas_admission, refusal(Reason.CANNOT_OPEN))
    steps.add("refuse", refusal(Reason.MALFORMED), reason="offline", now=AT)
    steps.accept(refusal(Reason.EXPIRED), now=told.nas.invite_body.expires_at + CLOCK_SKEW_MS)
    steps.accept()
    steps.accept(refusal(Reason.REPLAYED))
    steps.admission(told.nas_admission, known(told.epochs[1], 2))
    steps.admission(told.nas_admission, refusal(Reason.REPLAYED))
    steps.joined("nas 2", {"joined": signed(told.nas_joined)})
    steps.add("look", {"joined": True, "holds_key": True, "version": 1})
    return steps.vector("each step too early, in its time, and once more")


def _clock_behind(told: story.Story) -> Vector:
    """Let the device's clock be as far behind the creator's as the clocks of two devices may be apart."""
    steps = MemberScript(told)
    behind = told.nas.invite_body.at - CLOCK_SKEW_MS
    steps.accept(refusal(Reason.CLOCK_AHEAD), now=behind - 1)
    answer = replace(read(told.nas.answer, Answer), at=TimeMs(behind))
    steps.accept({"answer": signed(sign(answer, NAS.key))}, now=behind)
    return steps.vector("a clock two days behind, and one a millisecond more")


def _without_version(told: story.Story) -> Vector:
    steps = MemberScript(told)
    steps.add("look", {"joined": False, "holds_key": False, "version": None})
    steps.accept(refusal(Reason.INCOMPATIBLE_PROTOCOL))
    return steps.vector("no common version", (2, 3))


def _wrong_invite(told: story.Story) -> Vector:
    steps = MemberScript(told)
    steps.accept(refusal(Reason.KEY_MISMATCH))
    other = replace(told.nas.invite_body, recipient_key=DESK.key.fingerprint)
    return steps.vector("an invite to another key of this device", invite=sign(other, LAPTOP.key))


def _unfit(told: story.Story) -> Vector:
    """Let the device know the creator's card: another application, or no mode that matters to it."""
    steps = MemberScript(told)
    card = {"protocol": [2, 2], "app": "other", "modes": []}
    steps.add("own", {}, trusts=TRUSTED, peers={LAPTOP.client: card})
    steps.accept(refusal(Reason.INCOMPATIBLE_APP))
    steps.add("own", {}, trusts=TRUSTED, peers={LAPTOP.client: card | {"app": "muster"}})
    steps.accept()
    return steps.vector("another application; the range of versions is that of the invite")


def _refusing(told: story.Story) -> Vector:
    """Let the device refuse, or say after its yes that it cannot open: it holds no key then."""
    steps = MemberScript(told)
    body = story.answer_body(told.nas.invite_body, told.nas.invite_hash)
    for reason in (Reason.DECLINED, Reason.CANNOT_OPEN):
        no = sign(replace(body, receive_key=None, reason=reason), NAS.key)
        steps.add("refuse", {"answer": signed(no)}, reason=reason.value, now=AT)
        steps.admission(told.nas_admission, refusal(Reason.CANNOT_OPEN))
    steps.accept(refusal(Reason.REPLAYED))
    return steps.vector("no, and an admission all the same")


def _spent(told: story.Story) -> Vector:
    """Let the one use of the device's own grant be spent on this invite, or on another."""
    steps = MemberScript(told)
    steps.add("own", {}, trusts={}, spent_on={LAPTOP.client: told.nas.invite_body.invite.hex()})
    steps.accept(refusal(Reason.NOT_MUTUALLY_TRUSTED))
    for invite, outcome in ((invite_id("another"), refusal(Reason.GRANT_USED)), (told.nas.invite_body.invite, None)):
        steps.add("own", {}, trusts=TRUSTED, spent_on={LAPTOP.client: invite.hex()})
        steps.accept(outcome)
    return steps.vector("a grant that was spent on this invite, or on another")


def _granted_later(told: story.Story) -> Vector:
    """Let the device's own grant begin long after the invite was made."""
    steps = MemberScript(told)
    day_later = told.nas.invite_body.at + CLOCK_SKEW_MS
    steps.add("own", {}, trusts=TRUSTED, granted_from=day_later + 1)
    steps.accept(refusal(Reason.GRANT_EXPIRED), now=day_later + 1)
    steps.add("own", {}, trusts=TRUSTED, granted_from=day_later)
    answer = replace(read(told.nas.answer, Answer), at=TimeMs(day_later))
    steps.accept({"answer": signed(sign(answer, NAS.key))}, now=day_later)
    return steps.vector("a grant that began two days after the invite, and one that began later")


def _taken_back(told: story.Story) -> Vector:
    """Let the device trust the creator no longer, before its yes and before the admission."""
    steps = MemberScript(told)
    desk = {DESK.client: TRUSTED[DESK.client]}
    other = {LAPTOP.client: STRANGER.key.fingerprint.hex()}
    steps.add("own", {}, trusts=desk)
    steps.accept(refusal(Reason.NOT_MUTUALLY_TRUSTED))
    steps.add("own", {}, trusts=desk | other)
    steps.accept(refusal(Reason.KEY_MISMATCH))
    steps.add("own", {}, trusts=TRUSTED)
    steps.accept()
    steps.add("own", {}, trusts=desk)
    steps.admission(told.nas_admission, refusal(Reason.NOT_TRUSTED))
    steps.add("own", {}, trusts=TRUSTED, spent_on={LAPTOP.client: invite_id("another").hex()})
    steps.admission(told.nas_admission, refusal(Reason.GRANT_USED))
    body = story.answer_body(told.nas.invite_body, told.nas.invite_hash)
    no = sign(replace(body, receive_key=None, reason=Reason.GRANT_USED), NAS.key)
    steps.add("refuse", {"answer": signed(no)}, reason=Reason.GRANT_USED.value, now=AT)
    steps.add("own", {}, trusts=TRUSTED)
    steps.admission(told.nas_admission, refusal(Reason.CANNOT_OPEN))
    return steps.vector("the device takes back its trust before its yes, and before it joins; then the invite is over")


def _after_a_restart(told: story.Story) -> Vector:
    """Let a process that did not make the answer, and then one that answered afresh, get the admission."""
    steps = MemberScript(told)
    body = story.admission_body(told.nas, told.epochs[1], read(told.nas_admission, Admission).sealed)
    unsigned = replace(told.nas_admission, signature=Signature(bytes(64)))
    forged = {
        "by another": (sign(body, STRANGER.key), refusal(Reason.MISMATCH, "signature")),
        "unsigned": (unsigned, refusal(Reason.BAD_SIGNATURE, "signature")),
        "to another": (sign(replace(body, recipient=DESK.client), LAPTOP.key), refusal(Reason.WRONG_RECIPIENT)),
        "of another mode": (sign(replace(body, mode=Mode.JOIN), LAPTOP.key), refusal(Reason.MISMATCH)),
        "for another invite": (sign(replace(body, invite_hash=Hash(bytes(32))), LAPTOP.key), refusal(Reason.MISMATCH)),
    }
    for admission, outcome in forged.values():
        steps.admission(admission, outcome)
    steps.admission(told.nas_admission, refusal(Reason.CANNOT_OPEN))
    steps.accept()
    other_answer = sign(replace(body, answer_hash=Hash(bytes(32))), LAPTOP.key)
    steps.admission(other_answer, refusal(Reason.CANNOT_OPEN))
    steps.admission(told.nas_admission, known(told.epochs[1], 2))
    return steps.vector("admissions to a process without the receive key: forged ones are never `cannot_open`")


def _other_admissions(told: story.Story) -> Vector:
    """Return admissions that differ in one field, after a yes."""
    body = story.admission_body(told.nas, told.epochs[1], read(told.nas_admission, Admission).sealed)
    epoch = read(told.epochs[1], Epoch)
    elsewhere = session_id(DESK.client, story.SEED)
    others = [
        replace(body, session=elsewhere),
        replace(body, invite=invite_id("another")),
        replace(body, sender=DESK.client),
        replace(body, sender_key=DESK.key.fingerprint),
        replace(body, recipient_key=DESK.key.fingerprint),
        replace(body, purpose=Purpose.ASK),
        replace(body, mode=Mode.JOIN),
        replace(body, profile=None),
        replace(body, epoch=sign(replace(epoch, session=elsewhere), LAPTOP.key)),
        replace(body, epoch=sign(_with_key(epoch, NAS.key.fingerprint), LAPTOP.key)),
        replace(body, epoch=sign(_with_key(epoch, LAPTOP.key.fingerprint), LAPTOP.key)),
    ]
    steps = MemberScript(told)
    steps.accept()
    for other in others:
        steps.admission(sign(other, LAPTOP.key), refusal(Reason.MISMATCH))
    steps.admission(sign(replace(body, recipient=DESK.client), LAPTOP.key), refusal(Reason.WRONG_RECIPIENT))
    steps.admission(told.nas_admission, known(told.epochs[1], 2))
    return steps.vector("admissions that differ in one field, then the right one")


def _with_key(epoch: Epoch, old: bytes) -> Epoch:
    """Return an epoch in which the member with this key has another."""
    other = DESK.key.fingerprint
    members = (EpochMember(each.client, other if each.key == old else each.key) for each in epoch.members)
    return replace(epoch, members=tuple(members))


def _other_epochs(told: story.Story, sealer: Sealer) -> Vector:
    """Return pushed epochs that differ in one field, to a member."""
    body = read(told.epochs[2], Epoch)
    third = told.epochs[2]
    laptop, nas, desk = (story.MEMBERS[device.client] for device in (LAPTOP, NAS, DESK))
    elsewhere = session_id(DESK.client, story.SEED)
    bad = {
        "of another session": (replace(body, session=elsewhere), Reason.MISMATCH),
        "of its number elsewhere": (replace(body, session=elsewhere, number=2), Reason.MISMATCH),
        "after another": (replace(body, previous=Hash(bytes(32))), Reason.MISMATCH),
        "without this member": (replace(body, members=in_order((laptop, desk))), Reason.MISMATCH),
        "without the creator": (replace(body, members=in_order((nas, desk))), Reason.MISMATCH),
        "out of order": (replace(body, members=body.members[::-1]), Reason.MALFORMED),
        "of the same number": (replace(body, number=2), Reason.EPOCH_FORKED),
    }
    steps = MemberScript(told)
    steps.admitted()
    steps.joined("nas 2", {"joined": signed(told.nas_joined)})
    for epoch, reason in bad.values():
        steps.epoch(sign(epoch, LAPTOP.key), told.sealed_to_nas, refusal(reason))
    info = epoch_info(epoch_hash(third), NAS.client)
    wrong = sealer.seal("another key in epoch 3 for the nas", epoch_key("another"), "nas 2", info)
    steps.epoch(third, wrong, refusal(Reason.MISMATCH))
    steps.epoch(sign(body, STRANGER.key), told.sealed_to_nas, refusal(Reason.MISMATCH, "signature"))
    steps.epoch(told.epochs[1], told.sealed_to_nas, refusal(Reason.REPLAYED))
    steps.epoch(third, told.sealed_to_nas, known(third, 3))
    steps.epoch(told.epochs[1], told.sealed_to_nas, refusal(Reason.REPLAYED))
    return steps.vector("epochs that differ in one field, then the right one")


def _away(told: story.Story, sealer: Sealer) -> Vector:
    """Let a member miss an epoch, and move on with the one after it."""
    third = told.epochs[2]
    fourth = sign(story.epoch_body(4, epoch_hash(third), tuple(story.MEMBERS.values())), LAPTOP.key)
    info = epoch_info(epoch_hash(fourth), NAS.client)
    sealed = sealer.seal("epoch 4 for the nas, which missed epoch 3", story.KEYS[4], "nas 1", info)
    steps = MemberScript(told)
    steps.admitted()
    steps.add("skipped", refusal(Reason.MISMATCH), epoch=signed(fourth))
    steps.add("skipped", {"epoch_hash": epoch_hash(third).hex()}, epoch=signed(third))
    steps.joined("nas 2", refusal(Reason.NOT_A_MEMBER))
    steps.add("key", refusal(Reason.NOT_A_MEMBER))
    steps.add("look", {"joined": True, "holds_key": False, "version": 1})
    steps.epoch(fourth, told.sealed_to_nas, refusal(Reason.CANNOT_OPEN, "sealing"))
    steps.epoch(fourth, sealed, known(fourth, 4))
    said = story.joined(NAS, fourth, None, receive_key("nas 2").public)
    steps.joined("nas 2", {"joined": signed(said)})
    return steps.vector("an epoch is missed, and the next one followed")
