"""decision.json: calls with what is known of each party, and the answer with its trace (SPEC.md section 6)."""

from collections.abc import Callable
from copy import deepcopy

from muster_protocol.frames import Check
from muster_protocol.reasons import Reason
from vectors.topics.cast import DESK, LAPTOP, LAPTOP_KEYS, NAS, NOW, STRANGER, CastDevice
from vectors.topics.forms import Json, Vector, accepted

CREATOR, TARGET, MEMBER, OTHER = LAPTOP.client, NAS.client, DESK.client, STRANGER.client
FITTING: Json = {"protocol": [1, 1], "app": "muster", "modes": ["join", "inventory", "synchronize"]}
CHECKS = [check.value for check in Check]


def _party(device: CastDevice, *others: CastDevice) -> Json:
    return {
        "fingerprint": device.key.fingerprint.hex(),
        "standing": None,
        "pins": {other.client: other.key.fingerprint.hex() for other in others},
        "grants": {other.client: _grant(other) for other in others},
        "compatibility": FITTING,
        "online": True,
        "clock_behind": False,
    }


def _grant(peer: CastDevice) -> Json:
    return {
        "revoked": False,
        "peer_key": peer.key.fingerprint.hex(),
        "mode": "inventory",
        "profiles": ["files"],
        "used": False,
        "not_before": NOW - 1000,
        "expires_at": NOW + 1000,
    }


def _allowed() -> Json:
    """Return a call that all checks pass: the laptop calls the nas into a mesh that has the desk."""
    return {
        "now": NOW,
        "call": {
            "creator": CREATOR,
            "target": TARGET,
            "targets": [TARGET],
            "members": [MEMBER],
            "kind": "mesh",
            "mode": "inventory",
            "profile": "files",
            "purpose": "auto",
            "room": 14,
        },
        "parties": {
            CREATOR: _party(LAPTOP, NAS, DESK),
            TARGET: _party(NAS, LAPTOP, DESK),
            MEMBER: _party(DESK, LAPTOP, NAS),
        },
    }


_Change = Callable[[Json], object]


def _given(change: _Change) -> Json:
    given = deepcopy(_allowed())
    change(given)
    return given


def _call(**changes: object) -> _Change:
    return lambda given: given["call"].update(changes)


def _about(client: str, **changes: object) -> _Change:
    return lambda given: given["parties"][client].update(changes)


def _granted(giver: str, peer: str, **changes: object) -> _Change:
    return lambda given: given["parties"][giver]["grants"][peer].update(changes)


def _forgotten(client: str, table: str, peer: str) -> _Change:
    return lambda given: given["parties"][client][table].pop(peer)


def _all(*changes: _Change) -> _Change:
    def change(given: Json) -> None:
        for one in changes:
            one(given)

    return change


def _trace(failed: str | None, unknown: tuple[str, ...]) -> list[list[object]]:
    """Return the trace of a call that fails at one check; what comes behind it was not reached."""
    reached = CHECKS if failed is None else CHECKS[: CHECKS.index(failed) + 1]
    passed = {check: check != failed for check in reached if check not in unknown}
    return [[check, passed.get(check)] for check in CHECKS]


def _yes(name: str, change: _Change, *unknown: str) -> Vector:
    return accepted(name, _given(change), {"reason": None, "trace": _trace(None, unknown)})


def _no(name: str, change: _Change, reason: Reason, failed: str, *unknown: str) -> Vector:
    return accepted(name, _given(change), {"reason": reason.value, "trace": _trace(failed, unknown)})


def decision() -> list[Vector]:
    """Return calls that are allowed, then one for each way to fail, then what order hides and what is unknown."""
    return [*_allowed_calls(), *_requests(), *_trust(), *_standing(), *_grants(), *_fitting(), *_order(), *_unknown()]


def _allowed_calls() -> list[Vector]:
    no_grants = [_about(client, grants={}) for client in (CREATOR, TARGET)]
    profiles = [_granted(*pair, profiles=None) for pair in ((CREATOR, TARGET), (TARGET, CREATOR))]
    star = _all(_call(kind="star"), _forgotten(TARGET, "pins", MEMBER), _forgotten(MEMBER, "pins", TARGET))
    return [
        _yes("all is well", lambda _: None),
        _yes("by hand no grant is needed", _all(_call(purpose="ask"), *no_grants)),
        _yes("a grant for all profiles covers none", _all(_call(profile=None), *profiles)),
        _yes("a grant for all profiles covers any", _all(_call(profile="photos"), *profiles)),
        _yes("a stronger grant covers a weaker mode", _call(mode="join")),
        _yes("in a star the others need no trust", star),
        _yes("a grant counts in its first millisecond", _granted(TARGET, CREATOR, not_before=NOW)),
        _yes("a grant counts in its last millisecond", _granted(TARGET, CREATOR, expires_at=NOW + 1)),
        _yes("by hand a suspected clone may be called", _all(_call(purpose="ask"), _suspected(TARGET))),
        _yes("by hand a suspected clone may call", _all(_call(purpose="ask"), _suspected(CREATOR))),
    ]


def _suspected(client: str) -> _Change:
    return _about(client, standing="clone_suspected")


def _requests() -> list[Vector]:
    many = [f"{letter}" * 32 for letter in "abcdefghijklmno"]
    return [
        _yes("as many as there is room for", _call(targets=[TARGET, *many[:13]])),
        _no("no target", _call(targets=[]), Reason.EMPTY_TARGETS, "request"),
        _no("itself", _call(target=CREATOR, targets=[CREATOR]), Reason.SELF_TARGET, "request"),
        _no("named twice", _call(targets=[TARGET, TARGET]), Reason.DUPLICATE_TARGET, "request"),
        _no("more than there is room for", _call(targets=[TARGET, *many]), Reason.TOO_MANY_TARGETS, "request"),
        _no("no room at all", _call(room=0), Reason.TOO_MANY_TARGETS, "request"),
        _no("order: no target, and itself", _call(target=CREATOR, targets=[]), Reason.EMPTY_TARGETS, "request"),
        _no("order: itself, twice", _call(target=CREATOR, targets=[CREATOR] * 2), Reason.SELF_TARGET, "request"),
        _no("order: twice, no room", _call(targets=[TARGET] * 2, room=1), Reason.DUPLICATE_TARGET, "request"),
    ]


def _trust() -> list[Vector]:
    other = LAPTOP_KEYS[1].fingerprint.hex()
    mutually = Reason.NOT_MUTUALLY_TRUSTED
    return [
        _no("the creator does not trust the target", _forgotten(CREATOR, "pins", TARGET), Reason.NOT_TRUSTED, "trust"),
        _no("the target does not trust the creator", _forgotten(TARGET, "pins", CREATOR), mutually, "trust"),
        _no("an unknown target", lambda given: given["parties"].pop(TARGET), mutually, "trust"),
        _no("the creator pinned another key", _pin(CREATOR, TARGET), Reason.KEY_MISMATCH, "keys"),
        _no("the target pinned another key", _pin(TARGET, CREATOR), Reason.KEY_MISMATCH, "keys"),
        _no("the creator has a new key", _about(CREATOR, fingerprint=other), Reason.KEY_MISMATCH, "keys"),
        _no("a member does not trust the target", _forgotten(MEMBER, "pins", TARGET), mutually, "mesh"),
        _no("the target does not trust a member", _forgotten(TARGET, "pins", MEMBER), mutually, "mesh"),
        _no("a member pinned another key of the target", _pin(MEMBER, TARGET), Reason.KEY_MISMATCH, "mesh"),
        _no("an unknown member", lambda given: given["parties"].pop(MEMBER), mutually, "mesh"),
    ]


def _pin(holder: str, peer: str) -> _Change:
    return lambda given: given["parties"][holder]["pins"].update({peer: STRANGER.key.fingerprint.hex()})


def _standing() -> list[Vector]:
    found = []
    for who, client, check in (("creator", CREATOR, "creator_standing"), ("target", TARGET, "target_standing")):
        found += [
            _no(f"the {who}: {reason.value}", _about(client, standing=reason.value), reason, check)
            for reason in (Reason.DEVICE_REVOKED, Reason.CLONE_SUSPECTED)
        ]
        revoked = _all(_call(purpose="ask"), _about(client, standing="device_revoked"))
        found.append(_no(f"the {who}, revoked, by hand", revoked, Reason.DEVICE_REVOKED, check))
    return found


def _grants() -> list[Vector]:
    found = []
    for giver, peer, check in ((CREATOR, TARGET, "creator_grant"), (TARGET, CREATOR, "target_grant")):
        cases = {
            Reason.GRANT_MISSING: _forgotten(giver, "grants", peer),
            Reason.GRANT_REVOKED: _granted(giver, peer, revoked=True, expires_at=NOW, used=True),
            Reason.GRANT_EXPIRED: _granted(giver, peer, expires_at=NOW),
            Reason.CLOCK_BEHIND: _about(giver, clock_behind=True),
            Reason.GRANT_USED: _granted(giver, peer, used=True),
            Reason.MODE_NOT_GRANTED: _granted(giver, peer, mode="join"),
            Reason.PROFILE_NOT_GRANTED: _granted(giver, peer, profiles=["music"]),
        }
        found += [_no(f"{check}: {reason.value}", change, reason, check) for reason, change in cases.items()]
        early = _granted(giver, peer, not_before=NOW + 1)
        retired = _granted(giver, peer, peer_key=STRANGER.key.fingerprint.hex())
        found.append(_no(f"{check}: not yet", early, Reason.GRANT_EXPIRED, check))
        found.append(_no(f"{check}: given to another key", retired, Reason.GRANT_MISSING, check))
        found.append(_no(f"{check}: no profile asked", _only(giver, peer), Reason.PROFILE_NOT_GRANTED, check))
    return found


def _only(giver: str, peer: str) -> _Change:
    """Ask without a profile where one side alone grants a list of them."""
    return _all(_call(profile=None), _granted(peer, giver, profiles=None))


def _fitting() -> list[Vector]:
    versions = {"protocol": [2, 3], "app": "muster", "modes": ["join", "inventory"]}
    app = {"protocol": [1, 1], "app": "other", "modes": ["join", "inventory"]}
    modes = {"protocol": [1, 1], "app": "muster", "modes": ["join"]}
    return [
        _no("no common version", _about(TARGET, compatibility=versions), Reason.INCOMPATIBLE_PROTOCOL, "protocol"),
        _no("another application", _about(TARGET, compatibility=app), Reason.INCOMPATIBLE_APP, "app"),
        _no("a mode that it cannot serve", _about(TARGET, compatibility=modes), Reason.MODE_UNSUPPORTED, "mode"),
        _no("offline", _about(TARGET, online=False), Reason.OFFLINE, "presence"),
    ]


def _order() -> list[Vector]:
    """Return a target about which everything is wrong, and set it right from the front."""
    compatibility = {"protocol": [2, 2], "app": "other", "modes": ["join"]}
    wrong = [
        (_call(room=0), Reason.TOO_MANY_TARGETS, "request"),
        (_about(CREATOR, standing="device_revoked"), Reason.DEVICE_REVOKED, "creator_standing"),
        (_forgotten(CREATOR, "pins", TARGET), Reason.NOT_TRUSTED, "trust"),
        (_forgotten(TARGET, "pins", CREATOR), Reason.NOT_MUTUALLY_TRUSTED, "trust"),
        (_pin(TARGET, CREATOR), Reason.KEY_MISMATCH, "keys"),
        (_forgotten(MEMBER, "pins", TARGET), Reason.NOT_MUTUALLY_TRUSTED, "mesh"),
        (_about(TARGET, standing="device_revoked"), Reason.DEVICE_REVOKED, "target_standing"),
        (_forgotten(CREATOR, "grants", TARGET), Reason.GRANT_MISSING, "creator_grant"),
        (_granted(TARGET, CREATOR, used=True), Reason.GRANT_USED, "target_grant"),
        (_about(TARGET, compatibility=compatibility), Reason.INCOMPATIBLE_PROTOCOL, "protocol"),
        (_about(TARGET, compatibility=compatibility | {"protocol": [1, 1]}), Reason.INCOMPATIBLE_APP, "app"),
        (_about(TARGET, compatibility=FITTING | {"modes": ["join"]}), Reason.MODE_UNSUPPORTED, "mode"),
        (_about(TARGET, online=False), Reason.OFFLINE, "presence"),
    ]
    return [*_from_the_front(wrong), *_grant_order(CREATOR, TARGET, "creator_grant"), *_member_order()]


def _from_the_front(wrong: list[tuple[_Change, Reason, str]], about: str = "") -> list[Vector]:
    """Return the call with all that is wrong, then with what is left from each place on."""
    # Back to front: what removes an entry comes after what changes it.
    return [
        _no(
            f"order: {about}{check}, {reason.value}, hides what is behind it",
            _all(*(change for change, *_ in wrong[place:][::-1])),
            reason,
            check,
        )
        for place, (_, reason, check) in enumerate(wrong)
    ]


def _grant_order(giver: str, peer: str, check: str) -> list[Vector]:
    wrong: list[tuple[_Change, Reason, str]] = [
        (_granted(giver, peer, revoked=True), Reason.GRANT_REVOKED, check),
        (_about(giver, clock_behind=True), Reason.CLOCK_BEHIND, check),
        (_granted(giver, peer, peer_key=STRANGER.key.fingerprint.hex()), Reason.GRANT_MISSING, check),
        (_granted(giver, peer, expires_at=NOW), Reason.GRANT_EXPIRED, check),
        (_granted(giver, peer, used=True), Reason.GRANT_USED, check),
        (_granted(giver, peer, mode="join"), Reason.MODE_NOT_GRANTED, check),
        (_granted(giver, peer, profiles=["music"]), Reason.PROFILE_NOT_GRANTED, check),
    ]
    return _from_the_front(wrong, "one grant: ")


def _member_order() -> list[Vector]:
    """Call into a mesh where one member pinned another key of the target, and another member is unknown."""
    key, trust = Reason.KEY_MISMATCH, Reason.NOT_MUTUALLY_TRUSTED
    wrong = _pin(MEMBER, TARGET)
    both = _all(wrong, _forgotten(TARGET, "pins", MEMBER))
    first, second = (_all(wrong, _call(members=list(members))) for members in ((MEMBER, OTHER), (OTHER, MEMBER)))
    return [
        _no("order: mesh, trust before keys", both, trust, "mesh"),
        _no("order: mesh, the first member has another key", first, key, "mesh"),
        _no("order: mesh, the first member is unknown", second, trust, "mesh"),
    ]


def _unknown() -> list[Vector]:
    """Let a device decide over its own store: the other's pins, grants and presence are not its to know."""
    others = {"pins": None, "grants": None, "online": None}
    as_creator = _all(_about(TARGET, **others), _about(MEMBER, **others))
    as_target = _all(_about(CREATOR, **others), _about(MEMBER, **others))
    creators = ("target_grant", "presence")
    pinned = {device.client: device.key.fingerprint.hex() for device in (LAPTOP, NAS)}
    unknown = [_about(client, **others, compatibility=None, fingerprint=None) for client in (CREATOR, TARGET, MEMBER)]
    return [
        _yes("the creator's own store", as_creator, "mesh", "target_grant", "presence"),
        _yes("the target's own store", _all(as_target, _call(members=None)), "mesh", "creator_grant"),
        _yes("the target's own store, with the members", as_target, "creator_grant"),
        _yes("the target's own store, in a star", _all(as_target, _call(members=None, kind="star")), "creator_grant"),
        _yes(
            "the target's own store, with a member whose key is not known",
            _all(as_target, _about(MEMBER, fingerprint=None)),
            "creator_grant",
        ),
        _yes("in a star nothing is to be known of members", _all(as_creator, _call(kind="star")), *creators),
        _yes("without members nothing is to be known of them", _all(as_creator, _call(members=[])), *creators),
        _yes("of one member the pins are known", _all(as_creator, _about(MEMBER, pins=pinned)), *creators),
        _yes(
            "of one member the pins are known, of the target no key",
            _all(as_creator, _about(MEMBER, pins=pinned), _about(TARGET, fingerprint=None)),
            "keys",
            *creators,
        ),
        _yes(
            "nothing is known",
            _all(*unknown),
            *("trust", "keys", "mesh", "creator_grant", "target_grant", "protocol", "app", "mode", "presence"),
        ),
        _no(
            "the target's own store, without a grant",
            _all(as_target, _call(members=None), _forgotten(TARGET, "grants", CREATOR)),
            Reason.GRANT_MISSING,
            "target_grant",
            "mesh",
            "creator_grant",
        ),
        _no(
            "the creator's own store, without trust",
            _all(as_creator, _forgotten(CREATOR, "pins", TARGET)),
            Reason.NOT_TRUSTED,
            "trust",
        ),
    ]
