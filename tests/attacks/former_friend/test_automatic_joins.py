"""A creator that says of an automatic invite, once it is accepted, that a person was asked."""

import os

import pytest
from msgspec.structs import replace
from tests.integration.hub.stage import Actor, invite_and_answer

from muster_protocol.exchange import Admission, Invite
from muster_protocol.frames import Admit, Admitted, InviteResult, InviteResults, Purpose, SendInvites
from muster_protocol.ids import GrantId, Hash, InviteId
from muster_protocol.reasons import Reason
from muster_protocol.signed import read, sign


def called_ask(creator: Actor, request: Admit) -> Admit:
    """Return the same request with admissions that say ``ask``."""
    bodies = [replace(read(each, Admission), purpose=Purpose.ASK) for each in request.admissions]
    return replace(request, admissions=tuple(sign(body, creator.device.key) for body in bodies))


async def refused_as(creator: Actor, request: Admit, device: Actor, reason: Reason) -> None:
    admitted = await creator.ask(called_ask(creator, request), Admitted)
    assert admitted.rejected == (InviteResult(device.client, reason),)
    assert [member.client for member in (await creator.show(creator.session)).members] == [creator.client]


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_no_automatic_join_is_committed_after_the_revocation(pair: tuple[Actor, Actor], purpose: Purpose) -> None:
    """The control is an invite that asked a person from the start."""
    ann, bob = pair
    grant = GrantId(os.urandom(16))
    await bob.say(bob.device.grant(ann.device, grant=grant))
    await ann.create()
    await ann.call(bob, purpose=purpose)
    await bob.accept()
    await ann.take_answer()
    await bob.say(bob.device.revocation(ann.device, grant))
    if purpose is Purpose.AUTO:
        await refused_as(ann, ann.admission(), bob, Reason.GRANT_REVOKED)
    else:
        assert not (await ann.admit()).rejected


async def test_no_automatic_join_is_committed_without_the_use_of_its_grant(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await bob.say(bob.device.grant(ann.device, once=True))
    requests, creators = [], []
    for _ in range(2):
        await ann.create()
        await invite_and_answer(ann, bob)
        requests.append(ann.admission())
        creators.append(ann.inviting)
    assert not (await ann.ask(called_ask(ann, requests[0]), Admitted)).rejected
    await refused_as(ann, requests[1], bob, Reason.GRANT_USED)


async def test_a_live_invite_keeps_the_purpose_under_which_it_was_sent(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    grant, name = GrantId(os.urandom(16)), InviteId(os.urandom(16))
    await bob.say(bob.device.grant(ann.device, grant=grant))
    await ann.create()
    signed = ann.invite(bob, invite=name)
    other = sign(replace(read(signed, Invite), purpose=Purpose.ASK), ann.device.key)
    for sent, reason in ((signed, None), (other, Reason.REPLAYED), (signed, None)):
        invites = SendInvites(id=1, session=ann.session, invites=(sent,))
        assert (await ann.ask(invites, InviteResults)).results == (InviteResult(bob.client, reason),)
    await bob.accept()
    await ann.take_answer()
    await bob.say(bob.device.revocation(ann.device, grant))
    request = ann.admission()
    await refused_as(ann, request, bob, Reason.GRANT_REVOKED)
    bodies = [replace(read(each, Admission), invite_hash=Hash(bytes(32))) for each in request.admissions]
    of_another = replace(request, admissions=tuple(sign(body, ann.device.key) for body in bodies))
    await refused_as(ann, of_another, bob, Reason.MISMATCH)
