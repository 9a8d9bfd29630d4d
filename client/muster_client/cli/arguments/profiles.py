"""Profiles as people write them."""

import msgspec

from muster_protocol.governance import Profile


def parse_profile(text: str) -> str:
    """Read a profile's name; raises ``ValueError``."""
    try:
        return msgspec.convert(text, Profile)
    except msgspec.ValidationError as error:
        raise ValueError(
            "a profile has 1 to 64 of a-z, 0-9, dot, dash and underscore, a letter or digit first"
        ) from error
