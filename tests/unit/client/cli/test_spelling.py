"""Durations, fingerprints and ids as people read and write them."""

import pytest

from muster_client.cli.arguments.id_text import id_text, parse_fingerprint, parse_id, spell_fingerprint
from muster_client.cli.durations import parse_duration_ms, say_ms
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, Fingerprint

CLIENT = ClientId("lkr4f3k67d4swrd6jggjq3ykqwkeapjs")
KEY = Fingerprint(bytes(range(32)))


@pytest.mark.parametrize(
    ("duration_ms", "said"),
    [
        (0, "0.0s"),
        (840, "0.8s"),
        (9_949, "9.9s"),
        (42_000, "42s"),
        (59_999, "1m"),
        (250_000, "4m 10s"),
        (3_600_000, "1h"),
        (5_400_000, "1h 30m"),
        (129_600_000, "1d 12h"),
        (2_591_999_995, "30d"),
    ],
)
def test_a_duration_is_shown_to_the_nearest(duration_ms, said):
    assert say_ms(duration_ms) == said


@pytest.mark.parametrize("duration_ms", [1_000, 90_000, 5_400_000, 129_600_000, 2_592_000_000])
def test_a_duration_as_shown_can_be_read_again(duration_ms):
    said = say_ms(duration_ms).replace(" ", "").replace("1.0s", "1s")
    assert parse_duration_ms(said) == duration_ms


def test_an_id_text_is_read_as_it_was_written():
    named = parse_id(f"  {id_text(CLIENT, KEY)}\n")
    assert (named.client, named.fingerprint) == (CLIENT, KEY)


@pytest.mark.parametrize("spell", [str, str.upper, " ".join, lambda text: text + "\n"])
def test_a_fingerprint_is_read_in_each_spelling(spell):
    assert parse_fingerprint(spell(spell_fingerprint(KEY))) == KEY
    assert parse_fingerprint(spell(KEY.hex())) == KEY


@pytest.mark.parametrize("text", ["", "00", "g" * 64, "1" * 52, KEY.hex() + "00", spell_fingerprint(KEY)[:-1] + "z"])
def test_what_is_no_fingerprint_is_refused(text):
    with pytest.raises(ValueError, match="a fingerprint is"):
        parse_fingerprint(text)


@pytest.mark.parametrize("text", ["", "muster:", "muster:a:b", f"other:{CLIENT}:{KEY.hex()}", f"muster:{CLIENT}:"])
def test_what_is_no_id_text_is_refused(text):
    with pytest.raises((ValueError, Refused)):
        parse_id(text)
