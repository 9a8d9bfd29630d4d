"""enrolment.json: invitations as the line that people paste (SPEC.md section 4.6)."""

from muster_protocol.enrolment import Invitation
from muster_protocol.ids import EnrolmentCode
from muster_protocol.reasons import Reason
from vectors.topics.cast import HUB, HUB_NEXT, random_bytes
from vectors.topics.forms import Vector, accepted, refused

CODE = EnrolmentCode(random_bytes("enrolment code", 10))
URLS = {
    "a name": "wss://hub.example.org",
    "an address and a port": "wss://192.0.2.7:7627",
    "an IPv6 address": "wss://[2001:db8::7]:7627",
    "a path": "wss://example.org/muster",
    "the longest": "wss://" + "a" * 249,
    "this machine": "ws://127.0.0.1:7627",
}
LONGEST = URLS["the longest"]
INVITATION = Invitation(URLS["an address and a port"], HUB.fingerprint, CODE)


def enrolment() -> list[Vector]:
    """Return invitations with their line, then lines that are read, and lines that are refused."""
    written = [_written(name, Invitation(url, HUB.fingerprint, CODE)) for name, url in URLS.items()]
    written.append(_written("another key", Invitation(INVITATION.url, HUB_NEXT.fingerprint, CODE)))
    return [*written, *_read(), *_refused()]


def _written(name: str, invitation: Invitation) -> Vector:
    return accepted(f"written: {name}", {"op": "write", **_parts(invitation)}, {"text": invitation.text()})


def _read() -> list[Vector]:
    text = INVITATION.text()
    url, _, letters = text.partition("#")
    spelled = {
        "as it is": text,
        "with white space around it": f"  {text}\n",
        "with capitals in its letters": f"{url}#{letters.upper()}",
    }
    found = [
        accepted(f"read: {name}", {"op": "read", "text": line}, _parts(INVITATION)) for name, line in spelled.items()
    ]
    longest = Invitation(LONGEST, HUB.fingerprint, CODE)
    return [*found, accepted("read: the longest URL", {"op": "read", "text": longest.text()}, _parts(longest))]


def _refused() -> list[Vector]:
    text = INVITATION.text()
    url, _, letters = text.partition("#")
    turned = "b" if letters[0] == "a" else "a"
    mistyped = {
        "a letter changed": f"{url}#{turned}{letters[1:]}",
        "the last letter changed": text[:-1] + ("b" if text[-1] == "a" else "a"),
        "the URL changed": f"{url[:-1]}8#{letters}",
        "a letter left out": f"{url}#{letters[1:]}",
        "a letter too many": f"{text}a",
        "a digit that base32 lacks": f"{url}#1{letters[1:]}",
        "nothing behind the mark": f"{url}#",
    }
    malformed = {
        "no mark": url,
        "no URL": f"#{letters}",
        "empty": "",
        "a URL that is too long": Invitation(LONGEST + "a", HUB.fingerprint, CODE).text(),
        "a letter that is not ASCII": f"{url}\u00e9#{letters}",
        "a control character": f"{url}\x1b#{letters}",
    }
    return [
        *(_no(name, line, Reason.MISTYPED) for name, line in mistyped.items()),
        *(_no(name, line, Reason.MALFORMED) for name, line in malformed.items()),
    ]


def _no(name: str, line: str, reason: Reason) -> Vector:
    return refused(f"read: {name}", {"op": "read", "text": line}, reason, "shape")


def _parts(invitation: Invitation) -> dict[str, str]:
    return {"url": invitation.url, "hub": invitation.hub.hex(), "code": invitation.code.hex()}
