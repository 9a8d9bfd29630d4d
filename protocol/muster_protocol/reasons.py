"""Every reason for which Muster refuses anything: one closed table (SPEC.md section 9).

It is long because it is one table, in the order of its codes: each reason stands there once, with all that is said of
it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    """The step of the decision, or the part of the protocol, that a reason belongs to."""

    REQUEST = "request"
    TRUST = "trust"
    STANDING = "standing"
    GRANT = "grant"
    COMPATIBILITY = "compatibility"
    PRESENCE = "presence"
    PROOF = "proof"
    OUTCOME = "outcome"
    CODE = "code"
    HUB = "hub"


class Sayer(StrEnum):
    """Whose word a reason is. A device shows it, and takes a peer's word only from a signed answer."""

    HUB = "hub"
    PEER = "peer"
    DEVICE = "device"


class Reason(StrEnum):
    """The wire name of each reason."""

    MALFORMED = "malformed"
    EMPTY_TARGETS = "empty_targets"
    DUPLICATE_TARGET = "duplicate_target"
    SELF_TARGET = "self_target"
    TOO_MANY_TARGETS = "too_many_targets"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    UNSUPPORTED = "unsupported"
    CLOCK_AHEAD = "clock_ahead"
    CLOCK_BEHIND = "clock_behind"
    UNKNOWN_CLIENT = "unknown_client"
    NOT_TRUSTED = "not_trusted"
    NOT_MUTUALLY_TRUSTED = "not_mutually_trusted"
    KEY_MISMATCH = "key_mismatch"
    DEVICE_REVOKED = "device_revoked"
    CLONE_SUSPECTED = "clone_suspected"
    GRANT_MISSING = "grant_missing"
    GRANT_EXPIRED = "grant_expired"
    GRANT_REVOKED = "grant_revoked"
    GRANT_USED = "grant_used"
    MODE_NOT_GRANTED = "mode_not_granted"
    PROFILE_NOT_GRANTED = "profile_not_granted"
    INCOMPATIBLE_PROTOCOL = "incompatible_protocol"
    INCOMPATIBLE_APP = "incompatible_app"
    MODE_UNSUPPORTED = "mode_unsupported"
    OFFLINE = "offline"
    BAD_SIGNATURE = "bad_signature"
    WRONG_RECIPIENT = "wrong_recipient"
    MISMATCH = "mismatch"
    EXPIRED = "expired"
    REPLAYED = "replayed"
    CANNOT_OPEN = "cannot_open"
    EPOCH_FORKED = "epoch_forked"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    CANCELLED = "cancelled"
    SESSION_CLOSED = "session_closed"
    SESSION_FULL = "session_full"
    NOT_A_MEMBER = "not_a_member"
    JOIN_FAILED = "join_failed"
    MISTYPED = "mistyped"
    CODE_USED = "code_used"
    CODE_EXPIRED = "code_expired"
    CODE_WRONG = "code_wrong"
    STORE_UNAVAILABLE = "store_unavailable"
    OVERLOADED = "overloaded"
    SUPERSEDED = "superseded"
    HUB_KEY_CHANGED = "hub_key_changed"
    HUB_RESTORED = "hub_restored"
    INTERNAL = "internal"
    STORE_FULL = "store_full"
    NOT_ENROLLED = "not_enrolled"
    WRONG_ORIGIN = "wrong_origin"


@dataclass(frozen=True, slots=True)
class ReasonInfo:
    """What a reason means.

    ``code`` is stable for ever. ``sentence`` and ``next_step`` are for people; ``{peer}`` in them stands for the
    nickname that the reader gave to the other device. ``retry`` tells whether the same request can succeed later by
    itself.
    """

    code: int
    category: Category
    sayers: frozenset[Sayer]
    retry: bool
    sentence: str
    next_step: str


_HUB = frozenset({Sayer.HUB})
_PEER = frozenset({Sayer.PEER})
_DEVICE = frozenset({Sayer.DEVICE})
_HUB_DEVICE = _HUB | _DEVICE
_PEER_DEVICE = _PEER | _DEVICE
_ALL = _HUB | _PEER | _DEVICE

REASONS: dict[Reason, ReasonInfo] = {
    # request
    Reason.MALFORMED: ReasonInfo(
        101,
        Category.REQUEST,
        _ALL,
        retry=False,
        sentence="The message is not well-formed.",
        next_step="Update the program that sent it; if both are current, report it.",
    ),
    Reason.EMPTY_TARGETS: ReasonInfo(
        102,
        Category.REQUEST,
        _HUB_DEVICE,
        retry=False,
        sentence="No device was named.",
        next_step="Name at least one device.",
    ),
    Reason.DUPLICATE_TARGET: ReasonInfo(
        103,
        Category.REQUEST,
        _HUB_DEVICE,
        retry=False,
        sentence="{peer} was named more than once.",
        next_step="Name each device once.",
    ),
    Reason.SELF_TARGET: ReasonInfo(
        104,
        Category.REQUEST,
        _HUB_DEVICE,
        retry=False,
        sentence="{peer} is this device itself.",
        next_step="Name other devices; this one is in its session already.",
    ),
    Reason.TOO_MANY_TARGETS: ReasonInfo(
        105,
        Category.REQUEST,
        _HUB_DEVICE,
        retry=False,
        sentence="More devices were named than a session can hold.",
        next_step="Name fewer devices.",
    ),
    Reason.TOO_LARGE: ReasonInfo(
        106,
        Category.REQUEST,
        _ALL,
        retry=False,
        sentence="The message or one of its parts is larger than the limit.",
        next_step="Send less at once.",
    ),
    Reason.RATE_LIMITED: ReasonInfo(
        107,
        Category.REQUEST,
        _HUB,
        retry=True,
        sentence="Too many requests in too short a time.",
        next_step="Wait a few seconds and try again.",
    ),
    Reason.UNSUPPORTED: ReasonInfo(
        108,
        Category.REQUEST,
        _ALL,
        retry=False,
        sentence="The other side does not know this kind or version of message.",
        next_step="Update the older side.",
    ),
    Reason.CLOCK_AHEAD: ReasonInfo(
        109,
        Category.REQUEST,
        _ALL,
        retry=False,
        sentence="The statement is dated more than a day ahead of the clock.",
        next_step="Set the clocks of this device and of the hub right, then publish again.",
    ),
    Reason.CLOCK_BEHIND: ReasonInfo(
        110,
        Category.REQUEST,
        _PEER_DEVICE,
        retry=False,
        sentence="The clock of the device that grants went back by more than a day, so its grants do not count.",
        next_step="Set the clock of that device right, best by a time service (NTP), and try again.",
    ),
    # trust
    Reason.UNKNOWN_CLIENT: ReasonInfo(
        201,
        Category.TRUST,
        _DEVICE,
        retry=False,
        sentence="No device called {peer} is known here.",
        next_step="See which are known with `muster trust list`, or add it with `muster trust add`.",
    ),
    Reason.NOT_TRUSTED: ReasonInfo(
        202,
        Category.TRUST,
        _ALL,
        retry=False,
        sentence="You do not trust {peer}.",
        next_step="Compare its words and run `muster trust add`.",
    ),
    Reason.NOT_MUTUALLY_TRUSTED: ReasonInfo(
        203,
        Category.TRUST,
        _ALL,
        retry=False,
        sentence="{peer} has not trusted you, or someone in the session, on this hub.",
        next_step="On {peer}, run `muster trust add` for this device (and, in a mesh, for every member).",
    ),
    Reason.KEY_MISMATCH: ReasonInfo(
        204,
        Category.TRUST,
        _ALL,
        retry=False,
        sentence="A key has changed since you and {peer} compared them.",
        next_step="Compare the words again on both devices and run `muster trust add` where they changed.",
    ),
    # standing
    Reason.DEVICE_REVOKED: ReasonInfo(
        301,
        Category.STANDING,
        _HUB_DEVICE,
        retry=False,
        sentence="The device was revoked.",
        next_step="Nothing brings it back; set it up as a new device with `muster init`.",
    ),
    Reason.CLONE_SUSPECTED: ReasonInfo(
        302,
        Category.STANDING,
        _HUB_DEVICE,
        retry=False,
        sentence="Two copies of one device's data seem to be in use.",
        next_step="Find out which one is yours; the person at the device decides.",
    ),
    # grant
    Reason.GRANT_MISSING: ReasonInfo(
        401,
        Category.GRANT,
        _ALL,
        retry=False,
        sentence="There is no grant for automatic joins between you and {peer}.",
        next_step="Run `muster grant add` on the side that lacks it, or ask the person with `--ask`.",
    ),
    Reason.GRANT_EXPIRED: ReasonInfo(
        402,
        Category.GRANT,
        _ALL,
        retry=False,
        sentence="The grant between you and {peer} is outside its time.",
        next_step="Run `muster grant renew` on the side where it ran out.",
    ),
    Reason.GRANT_REVOKED: ReasonInfo(
        403,
        Category.GRANT,
        _ALL,
        retry=False,
        sentence="The grant between you and {peer} was revoked.",
        next_step="Run `muster grant add` on the side that revoked it, or ask the person with `--ask`.",
    ),
    Reason.GRANT_USED: ReasonInfo(
        404,
        Category.GRANT,
        _ALL,
        retry=False,
        sentence="The one-time grant between you and {peer} was used.",
        next_step="Run `muster grant add` again on that side.",
    ),
    Reason.MODE_NOT_GRANTED: ReasonInfo(
        405,
        Category.GRANT,
        _ALL,
        retry=False,
        sentence="The grant between you and {peer} does not go as far as this mode.",
        next_step="Ask for a weaker `--mode`, or grant a stronger one.",
    ),
    Reason.PROFILE_NOT_GRANTED: ReasonInfo(
        406,
        Category.GRANT,
        _ALL,
        retry=False,
        sentence="The grant between you and {peer} does not cover this profile.",
        next_step="Name another `--profile`, or grant this one.",
    ),
    # compatibility
    Reason.INCOMPATIBLE_PROTOCOL: ReasonInfo(
        501,
        Category.COMPATIBILITY,
        _ALL,
        retry=False,
        sentence="{peer} speaks no protocol version that you speak.",
        next_step="Update Muster on the older device.",
    ),
    Reason.INCOMPATIBLE_APP: ReasonInfo(
        502,
        Category.COMPATIBILITY,
        _ALL,
        retry=False,
        sentence="{peer} runs another application.",
        next_step="Start the same application on both.",
    ),
    Reason.MODE_UNSUPPORTED: ReasonInfo(
        503,
        Category.COMPATIBILITY,
        _ALL,
        retry=False,
        sentence="{peer} cannot serve this mode.",
        next_step="Ask for another `--mode`.",
    ),
    # presence
    Reason.OFFLINE: ReasonInfo(
        601,
        Category.PRESENCE,
        _HUB,
        retry=True,
        sentence="{peer} is offline.",
        next_step="Wake it and see that `muster agent` runs there.",
    ),
    # proof
    Reason.BAD_SIGNATURE: ReasonInfo(
        701,
        Category.PROOF,
        _ALL,
        retry=False,
        sentence="A signature does not verify.",
        next_step="Do not trust this message; if it persists, compare keys and report it.",
    ),
    Reason.WRONG_RECIPIENT: ReasonInfo(
        702,
        Category.PROOF,
        _ALL,
        retry=False,
        sentence="The message was meant for another device.",
        next_step="If it persists, the hub misdelivers: report it.",
    ),
    Reason.MISMATCH: ReasonInfo(
        703,
        Category.PROOF,
        _ALL,
        retry=False,
        sentence="The message does not belong to what came before it.",
        next_step="Start again; if it persists, report it.",
    ),
    Reason.EXPIRED: ReasonInfo(
        704,
        Category.PROOF,
        _ALL,
        retry=True,
        sentence="The request ran out of time.",
        next_step="Send it again.",
    ),
    Reason.REPLAYED: ReasonInfo(
        705,
        Category.PROOF,
        _ALL,
        retry=False,
        sentence="The message was seen before.",
        next_step="Nothing was done twice; if it persists, report it.",
    ),
    Reason.CANNOT_OPEN: ReasonInfo(
        706,
        Category.PROOF,
        _PEER_DEVICE,
        retry=True,
        sentence="{peer} could not open the session key; its process is probably new.",
        next_step="Invite it again.",
    ),
    Reason.EPOCH_FORKED: ReasonInfo(
        707,
        Category.PROOF,
        _ALL,
        retry=False,
        sentence="Two different member lists exist for one moment of the session.",
        next_step="Leave the session and start a new one; the hub or a member is not honest.",
    ),
    # outcome
    Reason.DECLINED: ReasonInfo(
        801,
        Category.OUTCOME,
        _PEER_DEVICE,
        retry=False,
        sentence="{peer} declined.",
        next_step="Ask the person at {peer}.",
    ),
    Reason.NO_ANSWER: ReasonInfo(
        802,
        Category.OUTCOME,
        _HUB_DEVICE,
        retry=True,
        sentence="No answer of {peer} came in time.",
        next_step="See with `muster why` what stands between you, then try again.",
    ),
    Reason.CANCELLED: ReasonInfo(
        803,
        Category.OUTCOME,
        _ALL,
        retry=False,
        sentence="The invite was withdrawn.",
        next_step="Nothing to do.",
    ),
    Reason.SESSION_CLOSED: ReasonInfo(
        804,
        Category.OUTCOME,
        _HUB_DEVICE,
        retry=False,
        sentence="The session is closed or was never there.",
        next_step="Start a new one with `muster session start`.",
    ),
    Reason.SESSION_FULL: ReasonInfo(
        805,
        Category.OUTCOME,
        _HUB_DEVICE,
        retry=True,
        sentence="The session has as many members as it can hold.",
        next_step="Start a second session, or let a member leave.",
    ),
    Reason.NOT_A_MEMBER: ReasonInfo(
        806,
        Category.OUTCOME,
        _HUB_DEVICE,
        retry=False,
        sentence="This device is not a member of the session, or may not do this in it.",
        next_step="Ask the session's creator.",
    ),
    Reason.JOIN_FAILED: ReasonInfo(
        807,
        Category.OUTCOME,
        _HUB_DEVICE,
        retry=True,
        sentence="No word that {peer} joined came in time.",
        next_step="Invite it again. If that fails too, ask the person at {peer}, then the hub's operator.",
    ),
    # code
    Reason.MISTYPED: ReasonInfo(
        901,
        Category.CODE,
        _DEVICE,
        retry=True,
        sentence="The code has a typing mistake.",
        next_step="Compare it with the other screen and type it again.",
    ),
    Reason.CODE_USED: ReasonInfo(
        902,
        Category.CODE,
        _ALL,
        retry=False,
        sentence="The code was used before.",
        next_step="Make a new one.",
    ),
    Reason.CODE_EXPIRED: ReasonInfo(
        903,
        Category.CODE,
        _ALL,
        retry=False,
        sentence="The code has expired.",
        next_step="Make a new one.",
    ),
    Reason.CODE_WRONG: ReasonInfo(
        904,
        Category.CODE,
        _PEER_DEVICE,
        retry=False,
        sentence="The codes on the two devices differ, and the code has ended.",
        next_step="Make a new one and read it aloud.",
    ),
    # hub
    Reason.STORE_UNAVAILABLE: ReasonInfo(
        1001,
        Category.HUB,
        _HUB,
        retry=True,
        sentence="The hub cannot reach its store, and acknowledges nothing.",
        next_step="Wait; if it lasts, the hub's operator looks at /readyz.",
    ),
    Reason.OVERLOADED: ReasonInfo(
        1002,
        Category.HUB,
        _HUB,
        retry=True,
        sentence="The hub is busy.",
        next_step="Wait a few seconds and try again.",
    ),
    Reason.SUPERSEDED: ReasonInfo(
        1003,
        Category.HUB,
        _HUB,
        retry=False,
        sentence="Another process of this device took its place.",
        next_step="Run one agent per device.",
    ),
    Reason.HUB_KEY_CHANGED: ReasonInfo(
        1004,
        Category.HUB,
        _HUB_DEVICE,
        retry=False,
        sentence="The hub shows another key than the one that this device pinned.",
        next_step="Compare the hub's fingerprint with its operator, then run `muster hub trust`.",
    ),
    Reason.HUB_RESTORED: ReasonInfo(
        1005,
        Category.HUB,
        _HUB_DEVICE,
        retry=True,
        sentence="The hub was restored from a backup.",
        next_step="Nothing to do; it is recorded.",
    ),
    Reason.INTERNAL: ReasonInfo(
        1006,
        Category.HUB,
        _HUB,
        retry=True,
        sentence="The hub made a mistake.",
        next_step="Try again; if it persists, report it with the time of day.",
    ),
    Reason.STORE_FULL: ReasonInfo(
        1007,
        Category.HUB,
        _HUB,
        retry=True,
        sentence="The memory of the hub's store is full."
        " Until there is room, the hub takes only what restricts or ends something.",
        next_step="Wait, or ask the hub's operator to give the store more memory.",
    ),
    Reason.NOT_ENROLLED: ReasonInfo(
        1008,
        Category.HUB,
        _HUB,
        retry=False,
        sentence="The hub takes only devices that it knows, and does not know this one.",
        next_step="Ask its operator, or the person of an enrolled device, for an invitation, and give it to"
        " `muster enrolment use`; or have the operator run `muster hub enrolment allow` with this device's id.",
    ),
    Reason.WRONG_ORIGIN: ReasonInfo(
        1009,
        Category.HUB,
        _HUB,
        retry=False,
        sentence="The hub does not answer to the address that this device dialled.",
        next_step="Set this device to an address that the hub answers to, by `muster hub use`; or have the hub's"
        " operator add the dialled one by `--origin`.",
    ),
}
