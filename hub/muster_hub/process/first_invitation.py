"""The invitation that a hub prints where it starts, for as long as it has no device yet."""

from pathlib import Path

from muster_hub.admin.client import NoHubError, ask
from muster_hub.admin.messages import Enrolment, InvitationMade, ListEnrolment, MakeInvitation


def first_invitation(data_dir: Path) -> str | None:
    """Have a hub that runs make an invitation; None where it has devices, or takes none by invitation.

    Later starts print none: what a service prints is kept in its journal.
    """
    try:
        found = ask(data_dir, ListEnrolment())
        if not isinstance(found, Enrolment) or found.which != "invited" or found.devices:
            return None
        made = ask(data_dir, MakeInvitation())
    except NoHubError:
        return None
    return made.invitation if isinstance(made, InvitationMade) else None
