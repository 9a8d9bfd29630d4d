"""Finding a peer by what a person types."""

import pytest

from muster_client.device.peers import check_nickname, resolve
from muster_client.errors import AmbiguousName, BadNickname, UnknownName
from muster_client.views import Peer
from muster_protocol.ids import ClientId, TimeMs


def peer(client: str, nickname: str | None) -> Peer:
    return Peer(ClientId(client.ljust(32, "a")), nickname, None, True, TimeMs(0), None, True)


PEERS = [peer("abcdef", "nas"), peer("abcdxy", "Nastja"), peer("mnopqr", "desk"), peer("zzzzzz", None)]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("nas", "nas"),  # exact wins over the beginning of another
        ("NAS", "nas"),
        ("nast", "Nastja"),
        ("d", "desk"),
        (" desk ", "desk"),
        ("mnop", "desk"),
        ("abcdef" + 26 * "a", "nas"),
        ("abcde", "nas"),
    ],
)
def test_a_nickname_or_a_unique_beginning_names_a_peer(typed: str, found: str) -> None:
    assert resolve(typed, PEERS).nickname == found


def test_a_peer_without_a_nickname_is_found_by_its_name() -> None:
    assert resolve("zzzz", PEERS).name == "zzzzzzaa"


@pytest.mark.parametrize(("typed", "matches"), [("na", ("Nastja", "nas")), ("abcd", ("Nastja", "nas"))])
def test_a_name_that_could_mean_two_is_reported(typed: str, matches: tuple[str, ...]) -> None:
    with pytest.raises(AmbiguousName) as caught:
        resolve(typed, PEERS)
    assert caught.value.matches == matches


@pytest.mark.parametrize(
    ("typed", "near"), [("dsk", ("desk",)), ("nastia", ("Nastja", "nas")), ("mno", ()), ("", ()), ("abc", ())]
)
def test_an_unknown_name_comes_with_near_ones(typed: str, near: tuple[str, ...]) -> None:
    with pytest.raises(UnknownName) as caught:
        resolve(typed, PEERS)
    assert caught.value.near == near


@pytest.mark.parametrize("nickname", ["a", "My-Laptop_2.home", "0", 31 * "x"])
def test_nicknames_of_the_allowed_shape(nickname: str) -> None:
    assert check_nickname(nickname) == nickname


@pytest.mark.parametrize("nickname", ["", "-x", ".", "a b", "naß", 32 * "a", "x\n", "a/b", "\x1b[31m"])
def test_other_nicknames_are_refused(nickname: str) -> None:
    with pytest.raises(BadNickname):
        check_nickname(nickname)
