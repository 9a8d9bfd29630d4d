"""A creator that names a device which trusts it as a member of sessions that the device is not in."""

import os

from msgspec.structs import replace
from tests.attacks.stored import changed, stored
from tests.integration.hub.desk import Desk
from tests.integration.hub.stage import Actor, actor, befriend, invite_and_answer

from muster_protocol.epochs import Epoch, EpochMember, in_order
from muster_protocol.exchange import Admission
from muster_protocol.frames import Admit, Admitted, InviteResult, SealedFor, SessionKind
from muster_protocol.reasons import Reason
from muster_protocol.sealing import SEALED_BYTES
from muster_protocol.signed import read, sign


def keeping(creator: Actor, request: Admit, named: Actor) -> Admit:
    """Return the request with one member more, which the creator claims to keep."""
    body = read(request.epoch, Epoch)
    members = in_order((*body.members, EpochMember(named.client, named.device.fingerprint)))
    epoch = sign(replace(body, members=members), creator.device.key)
    bodies = [replace(read(each, Admission), epoch=epoch) for each in request.admissions]
    return replace(
        request,
        epoch=epoch,
        sealed=(*request.sealed, SealedFor(named.client, os.urandom(SEALED_BYTES))),
        admissions=tuple(sign(each, creator.device.key) for each in bodies),
    )


async def test_no_session_index_grows_for_one_who_is_no_member(desk: Desk) -> None:
    creator, accomplice, victim = [await actor(desk) for _ in range(3)]
    await befriend(creator, accomplice, victim)
    await creator.create(kind=SessionKind.MESH)
    await invite_and_answer(creator, accomplice)
    request = creator.admission()
    before = await stored(desk)
    admitted = await creator.ask(keeping(creator, request, victim), Admitted)
    assert admitted.rejected == (InviteResult(victim.client, Reason.NOT_A_MEMBER),)
    assert changed(before, await stored(desk)) == set()
    # The control: the same epoch without that member.
    assert not (await creator.ask(request, Admitted)).rejected
