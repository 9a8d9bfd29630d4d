"""A fingerprint as eight words that two people can compare aloud (SPEC.md section 1.3)."""

from functools import cache

from mnemonic import Mnemonic

from muster_protocol.ids import Fingerprint

WORD_COUNT = 8
BITS_PER_WORD = 11
LIST_SIZE = 2**BITS_PER_WORD


@cache
def word_list() -> tuple[str, ...]:
    """Return the 2048 English words of BIP-39, in their order."""
    return tuple(Mnemonic("english").wordlist)


def words(fingerprint: Fingerprint) -> tuple[str, ...]:
    """Spell the first 88 bits of a fingerprint, most significant first, eleven bits a word."""
    listed = word_list()
    number = int.from_bytes(fingerprint[:11], "big")
    shifts = range((WORD_COUNT - 1) * BITS_PER_WORD, -1, -BITS_PER_WORD)
    return tuple(listed[number >> shift & (LIST_SIZE - 1)] for shift in shifts)
