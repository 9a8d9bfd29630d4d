"""The next step for each reason why there is no connection to the hub."""

from muster_client.errors import DeviceError, HubRefused, Trouble
from muster_protocol.reasons import REASONS, Reason

NEXT_STEPS: dict[Trouble, str] = {
    Trouble.HUB_UNREACHABLE: (
        "See that its address in `muster id` is right; a hub of your own starts with `muster hub`."
    ),
    Trouble.HUB_NAME_UNKNOWN: (
        "See that the name in `muster id` is spelled right, and that this machine is on a network."
    ),
    Trouble.HUB_REDIRECTS: (
        "See that the URL in `muster id` is the hub's own; if it is, ask the hub's operator why something else answers."
    ),
    Trouble.NOT_A_HUB: "See that the URL in `muster id` leads to the hub and not to a web page or a login page.",
    Trouble.PROXY_FAILED: "See that HTTPS_PROXY and ALL_PROXY name a proxy that works, or name the hub in NO_PROXY.",
    Trouble.REPLY_UNREADABLE: "Update Muster on this machine; if it is the newest, tell the hub's operator.",
    Trouble.TLS_UNKNOWN_CA: (
        "Ask the hub's operator for an invitation (`muster enrolment use`), for its fingerprint (`muster hub trust"
        " --fingerprint HEX`), or for the certificate of an authority of theirs (`muster hub trust --tls-ca FILE`)."
    ),
    Trouble.TLS_WRONG_HOST: (
        "Use the name that the certificate is for, or ask the hub's operator for one with the name in `muster id`."
    ),
    Trouble.TLS_EXPIRED: "See that this machine's clock is right; if it is, the hub's operator has to renew it.",
    Trouble.TLS_NOT_YET_VALID: "See that this machine's clock is right; most likely it is behind.",
    Trouble.TLS_NOT_SPOKEN: "If the hub is on this machine, use ws:// in its URL; else ask its operator for the port.",
    Trouble.TLS_REQUIRED: "Use wss:// in the hub's URL.",
    Trouble.TLS_KEY_NOT_PROVEN: (
        "Something between this machine and the hub answers in its place: try another network, and tell its operator."
    ),
    Trouble.TLS_CUT: "Something on the way cuts TLS, a firewall or a full hub: try another network, or again later.",
    Trouble.TLS_FAILED: "Tell the hub's operator what the first line says.",
}
"""The next step for each ``Trouble``."""

MAKE_ROOM = "Make room on that disk."
"""The next step for data that could not be written, where the error names none."""


def gives_up(reason: Reason) -> bool:
    """Return whether the next step gives up an identity or a pin: no person takes it on an unsigned word."""
    return reason in {Reason.DEVICE_REVOKED, Reason.HUB_KEY_CHANGED}


def claimed(reason: Reason, peer: str) -> tuple[str, str]:
    """Return a reason that the hub gives without a signature, as its claim, and the next step."""
    info = REASONS[reason]
    said = info.sentence.replace("{peer}", peer)
    if gives_up(reason):
        return f"The hub says, and does not prove: {said}", "Ask the hub's operator; give up nothing for it."
    return f"The hub says: {said}", info.next_step.replace("{peer}", peer)


def with_addresses(sentence: str, refused: HubRefused) -> str:
    """Return the sentence of a refusal, with both addresses where the device dialled a wrong one."""
    if refused.reason is not Reason.WRONG_ORIGIN or not refused.detail:
        return sentence
    return f"{sentence.rstrip('.')}: {refused.detail}."


def cut(error: DeviceError) -> tuple[str, str]:
    """Split an error's message at the semicolon, and return what is wrong and what to do; the second may be empty."""
    sentence, _, step = str(error).partition("; ")
    return as_sentence(sentence), as_sentence(step)


def as_sentence(text: str) -> str:
    """Return words as a sentence, with a capital and a full stop; empty text stays empty."""
    said = text.rstrip(".")
    return said and f"{said[:1].upper()}{said[1:]}."
