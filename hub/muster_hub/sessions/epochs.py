"""What the hub checks of an epoch before it asks the store: that it says what the request and the roster say.

No signature is verified here: the members do that. The hub keeps its own books straight.
"""

from collections.abc import Mapping

from msgspec import Struct

from muster_hub.routing.caller import Caller
from muster_hub.sessions.state import SessionState
from muster_protocol.epochs import Epoch, epoch_hash
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission
from muster_protocol.frames import Admit, Purpose, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, Hash
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read


class Newcomer(Struct, frozen=True):
    """A device to be seated: its admission as it came, and what it says."""

    signed: Signed
    body: Admission

    @property
    def client(self) -> ClientId:
        """Whom it admits."""
        return self.body.recipient

    @property
    def is_auto(self) -> bool:
        """Tell whether grants let it in, and no person did."""
        return self.body.purpose is Purpose.AUTO


class Proposal(Struct, frozen=True):
    """An epoch with all that goes with it, checked against itself and the session."""

    epoch: Epoch
    signed: Signed
    hash: Hash
    newcomers: Mapping[ClientId, Newcomer]
    kept: Mapping[ClientId, Fingerprint]
    """Members who stay, with their keys; the caller is one of them."""
    dropped: tuple[ClientId, ...]
    """Members whom this epoch takes out."""
    sealed: Mapping[ClientId, bytes]


def first_epoch(caller: Caller, signed: Signed, session: str) -> Hash:
    """Check the epoch of a new session: number 1, with its creator alone. Raises ``Refused``; returns its hash."""
    epoch = read(signed, Epoch)
    epoch.check()
    seats = [(seat.client, seat.key) for seat in epoch.members]
    if (epoch.session, epoch.number, seats) != (session, 1, [(caller.client, caller.fingerprint)]):
        raise Refused(Reason.MISMATCH, "not the first epoch of this session")
    if signed.signer != caller.fingerprint:
        raise Refused(Reason.MISMATCH, "signed by another key")
    return epoch_hash(signed)


def propose(caller: Caller, request: Admit, state: SessionState) -> Proposal:
    """Read an ``admit`` request against the session as it stands.

    Raises ``Refused``: ``not_a_member`` (who only a creator may add or take out), ``mismatch``, ``malformed``.
    """
    epoch = read(request.epoch, Epoch)
    epoch.check()
    if epoch.session != state.session or request.epoch.signer != caller.fingerprint:
        raise Refused(Reason.MISMATCH, "an epoch of another session or signer")
    if epoch.key_of(caller.client) != caller.fingerprint:
        raise Refused(Reason.MISMATCH, "an epoch without its signer")
    newcomers = {
        each.client: each for each in (_newcomer(caller, request, state, signed) for signed in request.admissions)
    }
    kept = {seat.client: seat.key for seat in epoch.members if seat.client not in newcomers}
    dropped = tuple(client for client in state.present if client not in epoch.clients)
    sealed = {each.client: each.sealed for each in request.sealed}
    proposal = Proposal(epoch, request.epoch, epoch_hash(request.epoch), newcomers, kept, dropped, sealed)
    _check(caller, request, state, proposal)
    return proposal


def _newcomer(caller: Caller, request: Admit, state: SessionState, signed: Signed) -> Newcomer:
    body = read(signed, Admission)
    named = (body.session, body.sender, body.sender_key, signed.signer)
    if named != (state.session, caller.client, caller.fingerprint, caller.fingerprint):
        raise Refused(Reason.MISMATCH, "an admission of another device, key or session")
    if body.epoch != request.epoch or (body.mode, body.profile) != (state.mode, state.profile):
        raise Refused(Reason.MISMATCH, "an admission to another epoch, mode or profile")
    return Newcomer(signed, body)


def _check(caller: Caller, request: Admit, state: SessionState, proposal: Proposal) -> None:
    if caller.client != state.creator and (proposal.newcomers or proposal.dropped):
        raise Refused(Reason.NOT_A_MEMBER, "only the creator adds and takes out")
    if len(proposal.newcomers) != len(request.admissions) or caller.client in proposal.newcomers:
        raise Refused(Reason.MISMATCH, "a device is admitted twice, or admits itself")
    for client, newcomer in proposal.newcomers.items():
        if proposal.epoch.key_of(client) != newcomer.body.recipient_key:
            raise Refused(Reason.MISMATCH, "an epoch without its newcomer")
    if len(proposal.sealed) != len(request.sealed) or proposal.sealed.keys() != proposal.kept.keys() - {caller.client}:
        raise Refused(Reason.MISMATCH, "the key is sealed to each member once, and to nobody else")


def must_trust(state: SessionState, newcomer: ClientId, members: tuple[ClientId, ...]) -> tuple[ClientId, ...]:
    """Give the members whom a newcomer and who it must trust besides the creator: none in a star."""
    if state.kind is SessionKind.STAR:
        return ()
    return tuple(client for client in members if client not in (state.creator, newcomer))
