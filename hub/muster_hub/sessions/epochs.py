"""The hub's checks of an epoch before it asks the store: the epoch must agree with the request and the roster.

No signature is verified here: the members do that. These checks keep the hub's own state consistent.
"""

from collections.abc import Mapping

from msgspec import Struct

from muster_hub.routing.caller import Caller
from muster_hub.sessions.state import SessionState
from muster_protocol.epochs import Epoch, epoch_hash
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission, hash_of
from muster_protocol.frames import Admit
from muster_protocol.ids import ClientId, Fingerprint, Hash
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read


class Newcomer(Struct, frozen=True):
    """A device to admit: its admission as received, decoded, and its hash."""

    signed: Signed
    body: Admission
    hash: Hash

    @property
    def client(self) -> ClientId:
        """The device that it admits."""
        return self.body.recipient


class Proposal(Struct, frozen=True):
    """An epoch with its admissions and sealed keys, checked against each other and the session."""

    epoch: Epoch
    signed: Signed
    hash: Hash
    newcomers: Mapping[ClientId, Newcomer]
    kept: Mapping[ClientId, Fingerprint]
    """Members that stay, with their keys; the creator is one of them. Every other member is removed."""
    sealed: Mapping[ClientId, bytes]


def first_epoch(caller: Caller, signed: Signed, session: str) -> Hash:
    """Check the epoch of a new session and return its hash: number 1, with the creator as its only member.

    Raises ``Refused(mismatch)`` or ``Refused(malformed)``.
    """
    epoch = read(signed, Epoch)
    epoch.check()
    members = [(member.client, member.key) for member in epoch.members]
    if (epoch.session, epoch.number, members) != (session, 1, [(caller.client, caller.fingerprint)]):
        raise Refused(Reason.MISMATCH, "the epoch is not the first of this session")
    if signed.signer != caller.fingerprint:
        raise Refused(Reason.MISMATCH, "the epoch is signed by another key")
    return epoch_hash(signed)


def propose(caller: Caller, request: Admit, state: SessionState) -> Proposal:
    """Decode an ``admit`` request, check it against the session's state, and return it.

    Raises ``Refused``: ``not_a_member`` (only the creator makes epochs), ``mismatch``, ``malformed``.
    """
    if caller.client != state.creator:
        raise Refused(Reason.NOT_A_MEMBER, "only the session's creator makes epochs")
    epoch = read(request.epoch, Epoch)
    epoch.check()
    if epoch.session != state.session or request.epoch.signer != caller.fingerprint:
        raise Refused(Reason.MISMATCH, "the epoch is of another session or signer")
    if epoch.key_of(caller.client) != caller.fingerprint:
        raise Refused(Reason.MISMATCH, "the signer is not in the epoch, or has another key there")
    newcomers = {
        each.client: each for each in (_newcomer(caller, request, state, signed) for signed in request.admissions)
    }
    kept = {member.client: member.key for member in epoch.members if member.client not in newcomers}
    sealed = {each.client: each.sealed for each in request.sealed}
    proposal = Proposal(epoch, request.epoch, epoch_hash(request.epoch), newcomers, kept, sealed)
    _check(caller, request, proposal)
    return proposal


def _newcomer(caller: Caller, request: Admit, state: SessionState, signed: Signed) -> Newcomer:
    body = read(signed, Admission)
    named = (body.session, body.sender, body.sender_key, signed.signer)
    if named != (state.session, caller.client, caller.fingerprint, caller.fingerprint):
        raise Refused(Reason.MISMATCH, "the admission is of another device, key or session")
    if body.epoch != request.epoch or (body.mode, body.profile) != (state.mode, state.profile):
        raise Refused(Reason.MISMATCH, "the admission is to another epoch, mode or profile")
    return Newcomer(signed, body, hash_of(Kind.ADMISSION, signed))


def _check(caller: Caller, request: Admit, proposal: Proposal) -> None:
    if len(proposal.newcomers) != len(request.admissions) or caller.client in proposal.newcomers:
        raise Refused(Reason.MISMATCH, "a device is admitted twice, or admits itself")
    for client, newcomer in proposal.newcomers.items():
        if proposal.epoch.key_of(client) != newcomer.body.recipient_key:
            raise Refused(Reason.MISMATCH, "an admitted device is not in the epoch, or has another key there")
    if len(proposal.sealed) != len(request.sealed) or proposal.sealed.keys() != proposal.kept.keys() - {caller.client}:
        raise Refused(Reason.MISMATCH, "the key must be sealed once to each other member, and to no other device")
