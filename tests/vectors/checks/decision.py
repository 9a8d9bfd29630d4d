"""decision.json: the one function over what the vector says is known."""

from tests.vectors.checks.forms import Json, compatibility, pins

from muster_protocol.cards import Mode
from muster_protocol.decision import Call, GrantFacts, Party, decide
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, TimeMs
from muster_protocol.reasons import Reason


def check_decision(given: Json) -> Json:
    parties = {ClientId(client): _party(client, form) for client, form in given["parties"].items()}
    found = decide(_call(given["call"]), parties, TimeMs(given["now"]))
    return {
        "reason": None if found.reason is None else found.reason.value,
        "trace": [[step.check.value, step.passed] for step in found.trace],
    }


def _call(form: Json) -> Call:
    return Call(
        creator=ClientId(form["creator"]),
        target=ClientId(form["target"]),
        targets=tuple(map(ClientId, form["targets"])),
        members=None if form["members"] is None else tuple(map(ClientId, form["members"])),
        kind=SessionKind(form["kind"]),
        mode=Mode(form["mode"]),
        profile=form["profile"],
        purpose=Purpose(form["purpose"]),
        room=form["room"],
    )


def _party(client: str, form: Json) -> Party:
    fingerprint, grants, fits = form["fingerprint"], form["grants"], form["compatibility"]
    return Party(
        client=ClientId(client),
        fingerprint=None if fingerprint is None else Fingerprint(bytes.fromhex(fingerprint)),
        standing=None if form["standing"] is None else Reason(form["standing"]),
        pins=None if form["pins"] is None else pins(form["pins"]),
        grants=None if grants is None else {ClientId(peer): _grant(grant) for peer, grant in grants.items()},
        compatibility=None if fits is None else compatibility(fits),
        online=form["online"],
        clock_behind=form["clock_behind"],
    )


def _grant(form: Json) -> GrantFacts:
    return GrantFacts(
        revoked=form["revoked"],
        peer_key=Fingerprint(bytes.fromhex(form["peer_key"])),
        mode=Mode(form["mode"]),
        profiles=None if form["profiles"] is None else tuple(form["profiles"]),
        used=form["used"],
        not_before=TimeMs(form["not_before"]),
        expires_at=TimeMs(form["expires_at"]),
    )
