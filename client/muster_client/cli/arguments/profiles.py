"""Names of profiles."""

import msgspec

from muster_protocol.governance import Profile


def parse_profile(text: str) -> str:
    """Return a valid profile name; raises ``ValueError``."""
    try:
        return msgspec.convert(text, Profile)
    except msgspec.ValidationError as error:
        raise ValueError(
            "a profile is 1 to 64 characters of a-z, 0-9, dot, dash and underscore, and begins with a letter or digit"
        ) from error
