"""The calls that the creator of one session makes: the invites that are live, and how far each called device is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from muster_protocol.calls import CallTarget, Live, PendingAdmission, TargetState
from muster_protocol.cards import ProtocolRange
from muster_protocol.errors import Refused
from muster_protocol.exchange import Answer, check_answer, hash_of
from muster_protocol.ids import ClientId, Hash, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import REASONS, Reason, Sayer
from muster_protocol.sealing import parse_receive_key
from muster_protocol.signed import Signed, verify


@dataclass(slots=True)
class TargetCalls:
    """The calls of one session, one for each device: a later call takes the place of an earlier one."""

    live: dict[ClientId, Live] = field(default_factory=dict)
    targets: dict[ClientId, CallTarget] = field(default_factory=dict)
    # Calls that the hub ended by its word: the device's own word may follow, and replaces it.
    _ended_by_hub: dict[ClientId, Live] = field(default_factory=dict)

    def begin(self, call: Live) -> None:
        """Take a call that is made now."""
        client = call.invite.recipient
        self.live[client] = call
        self._ended_by_hub.pop(client, None)
        self.targets[client] = CallTarget(client, TargetState.CALLED, call.invite.expires_at)

    def on_answer(self, signed: Signed, sender: ClientId, protocol: ProtocolRange, now: TimeMs) -> Reason | None:
        """Take an answer that accepts; return the reason of one that refuses, which changes nothing here.

        Raises ``Refused``: see ``Inviting.on_answer``.
        """
        call = self.live.get(sender) or self._ended_by_hub.get(sender)
        if call is None:
            raise Refused(Reason.MISMATCH, "no live invite")
        answer = verify(signed, call.peer, Answer)
        check_answer(answer, call.invite, call.invite_hash)
        match answer.receive_key, answer.reason:
            case None, Reason() as reason:
                if Sayer.PEER not in REASONS[reason].sayers:
                    raise Refused(Reason.MALFORMED, "not a reason that a device gives")
                return reason
            case bytes() as receive_key, None:
                if sender not in self.live:
                    raise Refused(Reason.MISMATCH, "the hub ended this call")
                version = _common_version(call, protocol, answer.protocol, now)
                parse_receive_key(receive_key)
                answer_hash = hash_of(Kind.ANSWER, signed)
                self.live[sender] = replace(
                    call, answer_hash=answer_hash, version=version, answered_at=answer.at, receive_key=receive_key
                )
                self.targets[sender] = CallTarget(sender, TargetState.ACCEPTED)
                return None
        raise Refused(Reason.MALFORMED, "an answer either accepts or refuses")

    def end(self, client: ClientId, reason: Reason, sayer: Sayer) -> CallTarget:
        """End the call of a device."""
        if sayer is not Sayer.HUB:
            self._ended_by_hub.pop(client, None)
        elif client in self.live:
            self._ended_by_hub[client] = self.live[client]
        self.live.pop(client, None)
        self.targets[client] = CallTarget(client, TargetState.REFUSED, reason=reason, sayer=sayer)
        return self.targets[client]

    def forget_seat(self, client: ClientId) -> None:
        """Forget the call by which a member was admitted, unless it is being called again since."""
        if self.targets[client].state not in {TargetState.CALLED, TargetState.ACCEPTED}:
            self.live.pop(client, None)

    def admit(self, client: ClientId, admission: Hash, epoch: Hash, deadline: TimeMs) -> None:
        """Take an admission that was committed: the device has until then to say ``joined``."""
        self.live[client] = replace(self.live[client], admitted=(admission, epoch))
        self.targets[client] = CallTarget(client, TargetState.ADMITTED, deadline)

    def admitted(self, client: ClientId) -> tuple[Hash, Hash] | None:
        """Return the committed admission of a device whose ``joined`` is missing, and its epoch; None without one."""
        call = self.live.get(client)
        return None if call is None else call.admitted

    def join(self, client: ClientId) -> CallTarget:
        """Take the ``joined`` of a device for its admission: its call is over."""
        del self.live[client]
        self.targets[client] = CallTarget(client, TargetState.JOINED)
        return self.targets[client]

    def waits(self, client: ClientId) -> bool:
        """Return whether a called device accepted and waits to be admitted."""
        return self.targets[client].state is TargetState.ACCEPTED

    def waiting(self) -> Mapping[ClientId, Live]:
        """Return the calls of the devices that wait to be admitted."""
        return {client: call for client, call in self.live.items() if self.waits(client)}

    def is_answered_by(self, client: ClientId, admission: PendingAdmission) -> bool:
        """Return whether the answer for which an admission was made still counts."""
        call = self.live.get(client)
        return call is not None and call.answer_hash == admission.answer_hash

    def due(self, now: TimeMs) -> tuple[CallTarget, ...]:
        """Return the calls that ran out by this device's clock."""
        return tuple(one for one in self.targets.values() if one.deadline is not None and one.deadline <= now)

    def next_deadline(self) -> TimeMs | None:
        """Return the time at which ``due`` has something, or None."""
        return min((one.deadline for one in self.targets.values() if one.deadline is not None), default=None)


def _common_version(call: Live, own: ProtocolRange, peer: ProtocolRange, now: TimeMs) -> int:
    """Return the version of the membership, if the answer is the first that accepts, and in time."""
    if call.answer_hash is not None:
        raise Refused(Reason.REPLAYED)
    if now >= call.invite.expires_at:
        raise Refused(Reason.EXPIRED)
    version = own.highest_common(peer)
    if version is None:
        raise Refused(Reason.INCOMPATIBLE_PROTOCOL)
    return version
