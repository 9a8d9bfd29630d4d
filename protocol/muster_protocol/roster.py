"""What a member knows of the other members of its session by their own statements (SPEC.md section 8.5)."""

from dataclasses import dataclass, field

from muster_protocol.epochs import Epoch
from muster_protocol.errors import Refused
from muster_protocol.exchange import Joined, Leave
from muster_protocol.ids import ClientId, Fingerprint, TimeMs
from muster_protocol.reasons import Reason


@dataclass(slots=True)
class Roster:
    """The newest ``joined`` and ``leave`` of each other member, which its key verified; its own clock orders them."""

    _joined: dict[ClientId, tuple[Fingerprint, TimeMs]] = field(default_factory=dict)
    _left: dict[ClientId, TimeMs] = field(default_factory=dict)

    def has_joined(self, client: ClientId, key: Fingerprint | None) -> bool:
        """Return whether a member joined under this key, and did not leave since."""
        joined = self._joined.get(client)
        return joined is not None and joined[0] == key

    def on_joined(self, joined: Joined) -> None:
        """Take a verified ``joined``; raises ``Refused(replayed)`` for one older than what the member said since."""
        key, at = self._joined.get(joined.member, (joined.member_key, TimeMs(0)))
        if joined.at < self._left.get(joined.member, TimeMs(0)) or (key == joined.member_key and joined.at < at):
            raise Refused(Reason.REPLAYED, "from before the member left, or joined again")
        self._joined[joined.member] = (joined.member_key, joined.at)

    def on_leave(self, leave: Leave, epoch: Epoch) -> None:
        """Take a verified ``leave`` of a member of the newest epoch.

        Raises ``Refused``: ``not_a_member``; ``replayed`` for one that was taken, or from before its ``joined``.
        """
        if epoch.key_of(leave.member) != leave.member_key:
            raise Refused(Reason.NOT_A_MEMBER)
        joined, left = self._joined.get(leave.member), self._left.get(leave.member)
        if (joined is not None and leave.at < joined[1]) or (left is not None and leave.at <= left):
            raise Refused(Reason.REPLAYED, "of an earlier membership")
        self._joined.pop(leave.member, None)
        self._left[leave.member] = leave.at
