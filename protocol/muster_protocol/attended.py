"""What a device stores of a session that it joined: no later invite or admission says otherwise (SPEC.md section 7)."""

from dataclasses import dataclass
from typing import Self

from muster_protocol.cards import Mode
from muster_protocol.epochs import KnownEpoch
from muster_protocol.errors import Refused
from muster_protocol.exchange import Invite
from muster_protocol.frames import SessionKind
from muster_protocol.ids import Fingerprint, Hash
from muster_protocol.reasons import Reason


@dataclass(frozen=True, slots=True)
class Attended:
    """A session as the invite names it by which this device joined first, and the newest epoch that it opened."""

    kind: SessionKind
    mode: Mode
    profile: str | None
    creator_key: Fingerprint
    number: int
    epoch: Hash

    @classmethod
    def at(cls, invite: Invite, epoch: KnownEpoch) -> Self:
        """Return what a device stores that is in a session by this invite, and opened this epoch."""
        return cls(invite.kind, invite.mode, invite.profile, invite.sender_key, epoch.epoch.number, epoch.hash)

    def check_invite(self, invite: Invite) -> None:
        """Raise ``Refused(mismatch)`` for an invite into another session under the same id."""
        named = (invite.kind, invite.mode, invite.profile, invite.sender_key)
        if named != (self.kind, self.mode, self.profile, self.creator_key):
            raise Refused(Reason.MISMATCH, "another kind, mode, profile or creator's key than at first")

    def check_epoch(self, new: KnownEpoch) -> None:
        """Check that an admission's epoch is newer; epochs between the two may be unknown here.

        Raises ``Refused``: ``epoch_forked`` for another epoch of the same number, ``replayed`` for an older or the same
        one.
        """
        number = new.epoch.number
        if number <= self.number:
            forked = number == self.number and new.hash != self.epoch
            raise Refused(Reason.EPOCH_FORKED if forked else Reason.REPLAYED)
