"""stories.json: one machine through many steps, and what comes out at each."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from tests.own_store import StoredData, full_grant
from tests.vectors.checks.forms import Json, compatibility, pins, public_key, shown, signed, versions
from tests.vectors.checks.layers import layer_of

from muster_protocol.attended import Attended
from muster_protocol.calls import PendingAdmission, Plan
from muster_protocol.cards import Mode
from muster_protocol.epochs import Epoch
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission, Invite, Joined, Leave, hash_of
from muster_protocol.frames import SessionKind
from muster_protocol.ids import ClientId, Fingerprint, Hash, InviteId, Seed, SessionId, TimeMs
from muster_protocol.inviting import Inviting
from muster_protocol.joining import Joining, verify_invite
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.roster import Roster
from muster_protocol.sealing import EpochKey, ReceiveKey
from muster_protocol.signed import read


def check_stories(given: Json) -> Json:
    """Return the outcome of each step: what comes out, or the refusal."""
    machine = _MACHINES[given["op"]](given)
    return {"outcomes": [_outcome(machine, step) for step in given["steps"]]}


def _outcome(machine: Any, step: Json) -> Json:
    try:
        found: Json = getattr(machine, step["do"])(step)
    except Refused as refusal:
        return {"refused": {"reason": refusal.reason.value, "layer": layer_of(refusal)}}
    return found


def _set_own(own: StoredData, form: Json) -> Json:
    """Let a device trust these peers under these keys, and grant each of them everything."""
    own.pins = pins(form["trusts"])
    own.spent_on = {
        ClientId(peer): InviteId(bytes.fromhex(invite)) for peer, invite in form.get("spent_on", {}).items()
    }
    own.peers = {ClientId(peer): compatibility(form) for peer, form in form.get("peers", {}).items()}
    own.sessions = {SessionId(session): _attended(form) for session, form in form.get("sessions", {}).items()}
    began = TimeMs(form.get("granted_from", 0))
    grants = {peer: full_grant(key, used=peer in own.spent_on) for peer, key in own.pins.items()}
    own.grants = {peer: replace(grant, not_before=began) for peer, grant in grants.items()}
    return {}


def _attended(form: Json) -> Attended:
    return Attended(
        kind=SessionKind(form["kind"]),
        mode=Mode(form["mode"]),
        profile=form["profile"],
        creator_key=Fingerprint(bytes.fromhex(form["creator_key"])),
        number=form["number"],
        epoch=Hash(bytes.fromhex(form["epoch"])),
    )


def _key(step: Json, name: str) -> ReceiveKey:
    return ReceiveKey.from_seed(bytes.fromhex(step[name]))


@dataclass(slots=True)
class _Creator:
    machine: Inviting
    owned: StoredData

    def own(self, step: Json) -> Json:
        return _set_own(self.owned, step)

    def begin(self, step: Json) -> Json:
        return {"epoch": shown(self.machine.begin(EpochKey(bytes.fromhex(step["key"])), TimeMs(step["now"])))}

    def committed(self, step: Json) -> Json:
        self.machine.committed(TimeMs(step["now"]))
        return self.look(step)

    def invite(self, step: Json) -> Json:
        body = read(signed(step["invite"]), Invite)
        made = self.machine.invite(
            body.recipient,
            public_key(step["target_key"]),
            invite=body.invite,
            purpose=body.purpose,
            expires_at=body.expires_at,
            now=body.at,
        )
        return {"same_bytes": made == signed(step["invite"])}

    def answer(self, step: Json) -> Json:
        target = self.machine.on_answer(signed(step["answer"]), ClientId(step["sender"]), TimeMs(step["now"]))
        return {"state": target.state.value}

    def admit(self, step: Json) -> Json:
        made = self.machine.admit(EpochKey(bytes.fromhex(step["key"])), TimeMs(step["now"]))
        if made is None:
            return {"epoch": None}
        for form in step.get("admissions", ()):
            self._take(form)
        return {
            "epoch": shown(made.epoch),
            "sealed_to": [client for client, _ in made.sealed],
            "admitted": [client for client, _ in made.admissions],
        }

    def _take(self, form: Json) -> None:
        """Take the vector's admission for the machine's own, which it sealed again."""
        admission, pending = signed(form), self.machine._pending
        body = read(admission, Admission)
        assert pending is not None
        shown = PendingAdmission(hash_of(Kind.ADMISSION, admission), body.answer_hash)
        admissions = {**pending.admissions, body.recipient: shown}
        self.machine._pending = dataclasses.replace(pending, admissions=admissions)

    def rejected(self, step: Json) -> Json:
        reasons = {ClientId(client): Reason(reason) for client, reason in step["reasons"].items()}
        self.machine.rejected(reasons, TimeMs(step["now"]))
        return self.look(step)

    def again(self, step: Json) -> Json:
        made = self.machine.again(TimeMs(step["now"]))
        return {"epoch": None if made is None else shown(made.epoch)}

    def unanswered(self, step: Json) -> Json:
        self.machine.unanswered(TimeMs(step["now"]))
        return self.look(step)

    def shown(self, step: Json) -> Json:
        epochs = {Hash(bytes.fromhex(epoch)) for epoch in step["epochs"]}
        self.machine.shown(epochs, TimeMs(step["now"]))
        return self.look(step)

    def resume(self, step: Json) -> Json:
        return {"wanted": self.machine.on_resume(ClientId(step["client"]))}

    def recalls(self, step: Json) -> Json:
        return {"clients": list(self.machine.take_recalls(TimeMs(step["now"])))}

    def renew(self, step: Json) -> Json:
        self.machine.renew_recalls(ClientId(step["client"]))
        return {}

    def joined(self, step: Json) -> Json:
        target = self.machine.on_joined(signed(step["joined"]), ClientId(step["sender"]))
        return {"state": None if target is None else target.state.value}

    def departure(self, step: Json) -> Json:
        self.machine.on_departure(Kind(step["kind"]), signed(step["statement"]), ClientId(step["sender"]))
        return {}

    def ended(self, step: Json) -> Json:
        self.machine.refuse(ClientId(step["client"]), Reason(step["reason"]), Sayer(step["sayer"]))
        return self.look(step)

    def time(self, step: Json) -> Json:
        ended = self.machine.on_time(TimeMs(step["now"]))
        return {"ended": [target.client for target in ended], **self.look(step)}

    def look(self, _step: Json) -> Json:
        """Return how far each called device is, which members joined or block, and the epoch that counts."""
        targets = {
            client: [target.state.value, target.reason and target.reason.value, target.sayer and target.sayer.value]
            for client, target in self.machine.targets.items()
        }
        number = self.machine.epoch.epoch.number
        return {
            "targets": targets,
            "joined": [client for client in self.machine.targets if self.machine.has_joined(client)],
            "blocked": {client: reason.value for client, reason in self.machine.blocked.items()},
            "next_deadline": self.machine.next_deadline(),
            "epoch": number,
        }

    def key(self, _step: Json) -> Json:
        return {"key": self.machine.epoch_key.hex()}


def _creator(given: Json) -> _Creator:
    key = SigningKey.from_secret(bytes.fromhex(given["secret"]))
    plan = Plan(
        creator=ClientId(given["client"]),
        seed=Seed(bytes.fromhex(given["seed"])),
        mode=Mode(given["mode"]),
        profile=given["profile"],
        kind=SessionKind(given["kind"]),
        protocol=versions(given["protocol"]),
    )
    own = StoredData(plan.creator, key.fingerprint)
    _set_own(own, given)
    return _Creator(Inviting(key, plan, own), own)


@dataclass(slots=True)
class _Member:
    machine: Joining
    owned: StoredData

    def own(self, step: Json) -> Json:
        return _set_own(self.owned, step)

    def accept(self, step: Json) -> Json:
        return {"answer": shown(self.machine.accept(_key(step, "receive_seed"), TimeMs(step["now"])))}

    def refuse(self, step: Json) -> Json:
        return {"answer": shown(self.machine.refuse(Reason(step["reason"]), TimeMs(step["now"])))}

    def admission(self, step: Json) -> Json:
        self.machine.on_admission(signed(step["admission"]), TimeMs(step["now"]))
        return self._known()

    def epoch(self, step: Json) -> Json:
        self.machine.on_epoch(signed(step["epoch"]), bytes.fromhex(step["sealed"]))
        return self._known()

    def skipped(self, step: Json) -> Json:
        self.machine.on_skipped(signed(step["epoch"]))
        return {"epoch_hash": self.machine.epoch.hash.hex()}

    def joined(self, step: Json) -> Json:
        return {"joined": shown(self.machine.joined_statement(_key(step, "receive_seed"), TimeMs(step["now"])))}

    def look(self, _step: Json) -> Json:
        machine = self.machine
        return {"joined": machine.joined, "holds_key": machine.holds_key, "version": machine.version}

    def key(self, _step: Json) -> Json:
        return self._known()

    def _known(self) -> Json:
        return {"epoch_hash": self.machine.epoch.hash.hex(), "epoch_key": self.machine.epoch_key.hex()}


def _member(given: Json) -> _Member:
    key = SigningKey.from_secret(bytes.fromhex(given["secret"]))
    invite = signed(given["invite"])
    me = ClientId(given["me"])
    received = verify_invite(invite, public_key(given["creator_key"]), me)
    own = StoredData(me, key.fingerprint)
    _set_own(own, given)
    return _Member(Joining(key, received, versions(given["protocol"]), own), own)


@dataclass(slots=True)
class _Others:
    """The other members as a member knows them; their keys have verified what they say."""

    roster: Roster

    def joined(self, step: Json) -> Json:
        self.roster.on_joined(read(signed(step["joined"]), Joined))
        return {}

    def leave(self, step: Json) -> Json:
        self.roster.on_leave(read(signed(step["leave"]), Leave), read(signed(step["epoch"]), Epoch))
        return {}

    def look(self, step: Json) -> Json:
        key = Fingerprint(bytes.fromhex(step["key"]))
        return {"joined": self.roster.has_joined(ClientId(step["client"]), key)}


def _others(_given: Json) -> _Others:
    return _Others(Roster())


_MACHINES: dict[str, Callable[[Json], object]] = {"creator": _creator, "member": _member, "others": _others}
