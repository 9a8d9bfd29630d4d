"""The sentence on a member that the hub denies and whose own statement is missing, so that no epoch is committed."""


def blocked(member: str) -> str:
    """Return what happened with this member, and what to do."""
    return (
        f"the hub says that {member} is no member, and has no statement of it that says so."
        f" Let {member} leave the session, or end your trust: muster trust remove {member}"
    )
