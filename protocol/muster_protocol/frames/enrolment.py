"""Invitations that an enrolled device asks its hub for (SPEC.md section 4.6)."""

from muster_protocol.frames.envelope import Reply, Request
from muster_protocol.ids import EnrolmentCode, TimeMs


class MakeCode(Request, frozen=True, kw_only=True, tag="enrolment.code"):
    """Ask for a code by which one other device may enrol. Reply: ``enrolment``."""


class CodeReply(Reply, frozen=True, kw_only=True, tag="enrolment"):
    """A code for one device, until ``expires_at`` by the hub's clock."""

    code: EnrolmentCode
    expires_at: TimeMs
