"""Text from outside on its way to a person."""

import pytest

from muster_client.visible import visible

C0, C1 = map(chr, range(0x20)), map(chr, range(0x7F, 0xA0))
REVERSING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
WITHOUT_WIDTH = "\u00ad\u200b\u200c\u200d\u2060\ufeff\U000e0001\U000e0041"
SEPARATORS = "\u2028\u2029"


@pytest.mark.parametrize("one", [*C0, *C1, *REVERSING, *WITHOUT_WIDTH, *SEPARATORS, "\udc9b"], ids=ascii)
def test_what_a_terminal_obeys_or_hides_becomes_its_escape(one: str) -> None:
    shown = visible(f"a{one}b")
    assert (shown[0], shown[1], shown[-1]) == ("a", "\\", "b")
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["", "nas", "Büro 2", "机房", "C:\\folder", "a long sentence…", "🙂"])
def test_what_prints_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
