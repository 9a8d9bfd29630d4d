"""Eight words for a fingerprint."""

from hashlib import sha256

from muster_protocol.ids import Fingerprint
from muster_protocol.words import word_list, words

LIST_SHA256 = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
"""Of the words of BIP-39 as that document publishes them: one a line."""


def test_the_list_is_the_one_that_others_ship() -> None:
    text = "".join(f"{word}\n" for word in word_list())
    assert sha256(text.encode()).hexdigest() == LIST_SHA256
    assert len(set(word_list())) == 2048


def test_words_are_eleven_bits_each_from_the_front() -> None:
    assert words(Fingerprint(bytes(32))) == ("abandon",) * 8
    assert words(Fingerprint(b"\xff" * 32)) == ("zoo",) * 8
    number = sum(index << 11 * (7 - index) for index in range(8))
    listed = word_list()
    assert words(Fingerprint(number.to_bytes(11, "big") + bytes(21))) == listed[:8]


def test_words_show_the_first_88_bits_and_no_more() -> None:
    one = bytes(range(32))
    assert words(Fingerprint(one[:11] + bytes(21))) == words(Fingerprint(one))
    assert words(Fingerprint(one[:10] + b"\xff" + one[11:])) != words(Fingerprint(one))
