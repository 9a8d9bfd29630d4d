"""The four messages of a join, each bound by hash to the one before, and the way out (SPEC.md section 7)."""

from typing import Annotated, ClassVar

from msgspec import Meta

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.errors import Refused
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.governance import Profile
from muster_protocol.ids import ClientId, Fingerprint, Hash, InviteId, Seed, SessionId, TimeMs
from muster_protocol.labels import SEAL_ADMISSION, SEAL_EPOCH, Kind
from muster_protocol.reasons import Reason
from muster_protocol.sealing import SEALED_BYTES, PublicReceiveKey
from muster_protocol.signed import Body, Signed, statement_hash

DEFAULT_INVITE_MS = 5 * 60 * 1000
"""How long an invite lives by the creator's clock, unless told otherwise."""
MAX_INVITE_MS = 24 * 3600 * 1000
CLOCK_SKEW_MS = 2 * 24 * 3600 * 1000
"""How far apart the clocks of a creator and a called device may be: each is wrong by a day at most."""
JOIN_DEADLINE_MS = 30 * 1000
"""How long after its seat a device has to say ``joined``."""

SealedKey = Annotated[bytes, Meta(min_length=SEALED_BYTES, max_length=SEALED_BYTES)]


class Exchange(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What invite, answer and admission all carry."""

    session: SessionId
    invite: InviteId
    sender: ClientId
    recipient: ClientId
    sender_key: Fingerprint
    recipient_key: Fingerprint
    purpose: Purpose
    mode: Mode
    profile: Profile | None
    protocol: ProtocolRange
    at: TimeMs


class Invite(Exchange, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The creator calls a device. ``seed`` shows that the session is the sender's own."""

    KIND: ClassVar[Kind] = Kind.INVITE

    kind: SessionKind
    seed: Seed
    expires_at: TimeMs

    @property
    def lifetime_ms(self) -> int:
        """How long the invite is valid by its own times: a day at most, 0 if it ends before it begins."""
        return min(max(self.expires_at - self.at, 0), MAX_INVITE_MS)


class Answer(Exchange, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The device accepts with a fresh receive key, or refuses with a reason: one of the two is None.

    The receive key is the device's nonce too: it is made for this answer and serves no other.
    """

    KIND: ClassVar[Kind] = Kind.ANSWER

    invite_hash: Hash
    receive_key: PublicReceiveKey | None
    reason: Reason | None


class Admission(Exchange, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The creator admits the device: the epoch that has it, and the epoch's key sealed to its receive key."""

    KIND: ClassVar[Kind] = Kind.ADMISSION

    invite_hash: Hash
    answer_hash: Hash
    epoch: Signed
    sealed: SealedKey


class Joined(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """A member holds the key of an epoch. ``admission`` is None when it was a member before.

    ``receive_key`` is for the next epoch.
    """

    KIND: ClassVar[Kind] = Kind.JOINED

    session: SessionId
    member: ClientId
    member_key: Fingerprint
    epoch: Hash
    admission: Hash | None
    receive_key: PublicReceiveKey
    at: TimeMs


class Leave(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """A member leaves."""

    KIND: ClassVar[Kind] = Kind.LEAVE

    session: SessionId
    member: ClientId
    member_key: Fingerprint
    at: TimeMs


def admission_info(invite_hash: Hash, answer_hash: Hash, epoch_hash: Hash) -> bytes:
    """Return the HPKE ``info`` of a key sealed in an admission."""
    return SEAL_ADMISSION + invite_hash + answer_hash + epoch_hash


def epoch_info(epoch_hash: Hash, member: ClientId) -> bytes:
    """Return the HPKE ``info`` of a key sealed to one who is a member already."""
    return SEAL_EPOCH + epoch_hash + member.encode()


def check_answer(answer: Answer, invite: Invite, invite_hash: Hash) -> None:
    """Check that an answer goes with the invite that it cites: every field that both carry.

    Raises ``Refused``: ``wrong_recipient``, or ``mismatch``.
    """
    if answer.recipient != invite.sender:
        raise Refused(Reason.WRONG_RECIPIENT)
    _check_context(answer, invite, (invite.recipient, invite.recipient_key, invite.sender_key))
    if answer.invite_hash != invite_hash:
        raise Refused(Reason.MISMATCH, "an answer to another invite")


def check_admission(admission: Admission, invite: Invite, invite_hash: Hash) -> None:
    """Check that an admission goes with the invite.

    Raises ``Refused``: ``wrong_recipient``, or ``mismatch``.
    """
    if admission.recipient != invite.recipient:
        raise Refused(Reason.WRONG_RECIPIENT)
    _check_context(admission, invite, (invite.sender, invite.sender_key, invite.recipient_key))
    if admission.invite_hash != invite_hash:
        raise Refused(Reason.MISMATCH, "an admission for another invite")


def _check_context(one: Exchange, invite: Invite, sides: tuple[ClientId, Fingerprint, Fingerprint]) -> None:
    same = (one.session, one.invite, one.purpose, one.mode, one.profile)
    if same != (invite.session, invite.invite, invite.purpose, invite.mode, invite.profile):
        raise Refused(Reason.MISMATCH, "another session, invite, purpose, mode or profile")
    if (one.sender, one.sender_key, one.recipient_key) != sides:
        raise Refused(Reason.MISMATCH, "another sender or other keys")


def hash_of(kind: Kind, signed: Signed) -> Hash:
    """Return the hash of a signed statement."""
    return statement_hash(kind, signed.body)
