"""An error's message as the two lines of a finding."""

import pytest

from muster_client.doctor import as_sentence, cut
from muster_client.errors import UnusableData


@pytest.mark.parametrize(
    ("message", "sentence", "step"),
    [
        ("it is full; make room; now", "It is full.", "Make room; now."),
        ("it is full", "It is full.", ""),
        ("It is full.; ", "It is full.", ""),
    ],
)
def test_a_message_is_split_at_its_first_semicolon(message: str, sentence: str, step: str) -> None:
    assert cut(UnusableData(message)) == (sentence, step)


def test_empty_text_stays_empty() -> None:
    assert as_sentence("") == ""
    assert as_sentence("a.") == "A."
