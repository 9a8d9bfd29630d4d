"""The members of a session as its creator knows them, and what they say of it themselves (SPEC.md section 8.5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from muster_protocol.calls import CallMember, Plan
from muster_protocol.departures import AdmittedMember, check_departure
from muster_protocol.epochs import KnownEpoch
from muster_protocol.errors import Refused
from muster_protocol.exchange import Joined
from muster_protocol.frames import SessionKind
from muster_protocol.ids import ClientId, Hash
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.sealing import parse_receive_key
from muster_protocol.signed import Signed


@dataclass(slots=True)
class Memberships:
    """The members of the newest epoch beside the creator, those among them that go, and the epochs by their hash."""

    members: dict[ClientId, CallMember] = field(default_factory=dict)
    numbers: dict[Hash, int] = field(default_factory=dict)
    # All that the newest epoch names, also a device whose call ended while that epoch was under way: it is no member
    # here, but a member that has no trust in it goes all the same.
    _named: frozenset[ClientId] = frozenset()
    # Devices that are to be in no later epoch, unless they are admitted (again).
    _out: set[ClientId] = field(default_factory=set)

    def kept(self) -> Mapping[ClientId, CallMember]:
        """Return the members that the next epoch keeps."""
        return {client: member for client, member in self.members.items() if client not in self._out}

    def find(self, client: ClientId) -> CallMember:
        """Return a member; raises ``Refused(not_a_member)``."""
        if client not in self.members:
            raise Refused(Reason.NOT_A_MEMBER)
        return self.members[client]

    def leave_out(self, client: ClientId) -> None:
        """Have no later epoch keep a device, unless it is admitted (again)."""
        self._out.add(client)

    def is_left_out(self, client: ClientId) -> bool:
        """Return whether no later epoch is to keep a device."""
        return client in self._out

    def follow(self, epoch: KnownEpoch) -> None:
        """Take a committed epoch: those that it leaves out are members no more."""
        self.numbers[epoch.hash] = epoch.epoch.number
        self._named = frozenset(epoch.epoch.clients)
        for client in self.members.keys() - self._named:
            del self.members[client]
            self._out.discard(client)

    def admit(self, client: ClientId, member: CallMember) -> None:
        """Take a device that the newest epoch admits; statements from an earlier membership no longer count."""
        self._out.discard(client)
        self.members[client] = member

    def on_departure(self, plan: Plan, kind: Kind, signed: Signed, sender: ClientId) -> None:
        """Take the statement by which a member goes.

        Raises ``Refused``: ``not_a_member``, ``mismatch``, ``replayed``, ``bad_signature``, ``malformed``.
        """
        member = self.find(sender)
        trusts = self._named - {sender} if plan.kind is SessionKind.MESH else frozenset({plan.creator})
        check_departure(kind, signed, AdmittedMember(plan.session, sender, member.key, member.since, trusts))
        self._out.add(sender)

    def on_joined(self, plan: Plan, joined: Joined, sender: ClientId, admitted: tuple[Hash, Hash] | None) -> None:
        """Take a member's ``joined``, which was verified by its key.

        ``admitted``: the admission for which its own is still missing, and the epoch of that. Raises ``Refused``:
        ``not_a_member``, ``mismatch``, ``replayed``, ``malformed``.
        """
        member = self.find(sender)
        parse_receive_key(joined.receive_key)
        named = (joined.session, joined.member, joined.member_key)
        number = self.numbers.get(joined.epoch)
        if named != (plan.session, sender, member.key.fingerprint) or number is None:
            raise Refused(Reason.MISMATCH, "joined names another member, session or epoch")
        # An old ``joined`` said again would bring back a receive key that its member has dropped.
        if number <= member.joined:
            raise Refused(Reason.REPLAYED)
        if joined.admission is not None and admitted != (joined.admission, joined.epoch):
            raise Refused(Reason.MISMATCH, "joined names another admission")
        has_joined = member.has_joined or joined.admission is not None
        self.members[sender] = replace(member, receive_key=joined.receive_key, joined=number, has_joined=has_joined)
