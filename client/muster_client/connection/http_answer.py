"""The words for a server that answers by HTTP and opens no WebSocket."""

import re

from muster_client.errors import HubUnreachable, Trouble
from muster_client.visible import visible

MAX_TARGET_CHARS = 255
"""How much of a redirect's target an error shows: as much as the URL of a hub may have."""
MAX_BODY_BYTES = 2_048
"""How much of an answer is searched for its first words."""
MAX_LINE_CHARS = 120

_REDIRECTS = range(300, 400)
_NOT_NOW = frozenset({429, 502, 503, 504})
_NO_UPGRADE = "a proxy before the hub that hands on no WebSocket (its Upgrade and Connection headers), or no hub"
_CAUSES = {
    400: "a proxy and a hub that do not fit together (PROXY protocol, forwarded address, WebSocket), or no hub",
    401: "a login page, or a proxy that asks for one",
    403: "a firewall, or a proxy that does not let this device through",
    404: _NO_UPGRADE,
    426: _NO_UPGRADE,
    429: "a hub, or a proxy before it, that gets too many connections from here",
    502: "a proxy whose hub does not run or cannot be reached",
    503: "a hub, or a proxy before it, that is full or just starting or stopping",
    504: "a proxy whose hub does not answer",
    511: "the login page of this network",
}
_PAGE = "a web page, or the login page of this network"
_TAG = re.compile(r"<[^<>]*>")


def from_answer(url: str, status: int, target: str | None, body: bytes) -> HubUnreachable:
    """Return the error for an answer: its status, the first words of its body, and the most likely cause.

    That of a redirect names its target. Nothing else of the answer is shown.
    """
    if status in _REDIRECTS and target is not None:
        shown = visible(target[:MAX_TARGET_CHARS])
        return HubUnreachable(f"{url} redirects to {shown}, and no redirect is followed", Trouble.HUB_REDIRECTS)
    words = first_words(body)
    said = f" ({words})" if words else ""
    cause = _CAUSES.get(status, _PAGE)
    trouble = Trouble.HUB_UNREACHABLE if status in _NOT_NOW else Trouble.NOT_A_HUB
    return HubUnreachable(f"{url} answered HTTP {status}{said} and opened no WebSocket: most likely {cause}", trouble)


def first_words(body: bytes) -> str:
    """Return the first line that says something, without the tags of a web page and safe to show."""
    text = _TAG.sub(" ", body[:MAX_BODY_BYTES].decode("utf-8", "replace"))
    line = next(filter(None, map(str.strip, text.splitlines())), "")
    return visible(line[:MAX_LINE_CHARS])
