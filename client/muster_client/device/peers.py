"""The nicknames of peers, and the search for a peer by what a person types."""

import difflib
import re
from collections.abc import Sequence

from muster_client.errors import AmbiguousName, BadNickname, UnknownName
from muster_client.views import Peer
from muster_protocol.ids import ID_CHARS

MAX_NICKNAME_CHARS = 31
"""One less than a ClientId has, so that no nickname looks like one."""
MIN_PREFIX_CHARS = 4
"""How many characters of a ClientId must be typed. The beginning of a nickname may be shorter."""
MAX_NEAR = 3

_NICKNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}")


def check_nickname(nickname: str) -> str:
    """Return a nickname that is well-formed; raises ``BadNickname``."""
    if _NICKNAME.fullmatch(nickname) is None:
        raise BadNickname(
            f"a nickname has 1 to {MAX_NICKNAME_CHARS} of a-z, 0-9, dot, dash and underscore, a letter or digit first"
        )
    return nickname


def resolve(name: str, peers: Sequence[Peer]) -> Peer:
    """Return the peer with this nickname, or the unique one whose nickname or ClientId begins like this.

    Raises ``UnknownName`` with near matches, ``AmbiguousName``.
    """
    typed = name.strip().lower()
    exact = [peer for peer in peers if typed in {peer.client, (peer.nickname or "").lower()} and typed]
    found = exact or [peer for peer in peers if _begins(peer, typed)]
    if len(found) == 1:
        return found[0]
    if found:
        raise AmbiguousName(name, sorted(peer.name for peer in found))
    raise UnknownName(name, _near(typed, peers))


def _begins(peer: Peer, typed: str) -> bool:
    if not typed:
        return False
    long_enough = MIN_PREFIX_CHARS <= len(typed) <= ID_CHARS
    return (peer.nickname or "").lower().startswith(typed) or (long_enough and peer.client.startswith(typed))


def _near(typed: str, peers: Sequence[Peer]) -> list[str]:
    names = {peer.nickname.lower(): peer.nickname for peer in peers if peer.nickname is not None}
    return [names[match] for match in difflib.get_close_matches(typed, names, n=MAX_NEAR)]
