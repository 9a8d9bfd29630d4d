"""The words on a member that the hub denies and whose own statement is missing, so that no epoch is committed."""


def why_blocked(member: str) -> str:
    """Return what happened with this member."""
    return f"No device is admitted: the hub says that {member} is no member, and has no statement of it that says so."


def how_unblocked(member: str) -> str:
    """Return what to do about it."""
    return f"Let {member} leave the session, or end your trust: muster trust remove {member}"


def blocked(member: str) -> str:
    """Return both in one line."""
    return f"{why_blocked(member)} {how_unblocked(member)}"
