"""A member of a session that makes epochs itself: to shut others out, to bring others in, or to cut off the creator."""

import os
from collections.abc import Callable

import pytest
from tests.integration.hub.desk import Desk
from tests.integration.hub.stage import Actor, actor, befriend, call_in

from muster_protocol.epochs import Epoch, EpochMember, epoch_hash, in_order
from muster_protocol.errors import Refused
from muster_protocol.exchange import epoch_info
from muster_protocol.frames import Admit, EpochPush, SealedFor
from muster_protocol.reasons import Reason
from muster_protocol.sealing import EpochKey, commitment, seal

Members = Callable[[Actor, Actor, Actor, Actor], tuple[Actor, ...]]
EPOCHS: dict[str, Members] = {
    "the same members": lambda creator, member, other, _: (creator, member, other),
    "without another member": lambda creator, member, *_: (creator, member),
    "without the creator": lambda _, member, other, __: (member, other),
    "with a stranger": lambda creator, member, other, stranger: (creator, member, other, stranger),
}
every_epoch = pytest.mark.parametrize("members", EPOCHS.values(), ids=EPOCHS.keys())


async def session_of_three(desk: Desk) -> tuple[Actor, Actor, Actor, Actor]:
    """Return the creator, the member that attacks, another member, and a stranger."""
    creator, member, other, stranger = [await actor(desk) for _ in range(4)]
    await befriend(creator, member, other)
    await creator.create()
    await call_in(creator, member, other)
    return creator, member, other, stranger


def epoch_of(attacker: Actor, creator: Actor, other: Actor, members: tuple[Actor, ...]) -> tuple[Admit, EpochPush]:
    """Return the epoch of the attacker, which knows all that a member knows: for the hub, and for the other member."""
    known, key = attacker.joining[creator.session].epoch, EpochKey(os.urandom(32))
    epoch = attacker.device.sign(
        Epoch(
            session=creator.session,
            number=known.epoch.number + 1,
            previous=known.hash,
            members=in_order(EpochMember(each.client, each.device.fingerprint) for each in members),
            commitment=commitment(creator.session, known.epoch.number + 1, key),
            at=known.epoch.at,
        )
    )
    joining = other.joining[creator.session]
    sealed = seal(key, joining._receive_keys[-1].public, epoch_info(epoch_hash(epoch), other.client))
    keys = tuple(SealedFor(each.client, sealed) for each in members if each is not attacker)
    request = Admit(id=1, session=creator.session, epoch=epoch, sealed=keys, admissions=())
    return request, EpochPush(session=creator.session, epoch=epoch, sealed=sealed)


@every_epoch
async def test_no_member_makes_an_epoch_at_the_hub(desk: Desk, members: Members) -> None:
    creator, attacker, other, stranger = await session_of_three(desk)
    before = await creator.show(creator.session)
    request, _ = epoch_of(attacker, creator, other, members(creator, attacker, other, stranger))
    assert (await attacker.refused(request)).reason is Reason.NOT_A_MEMBER
    after = await creator.show(creator.session)
    assert (after.epoch, after.members) == (before.epoch, before.members)
    assert not other.line.waiting(EpochPush)
    third = await actor(desk)
    await befriend(creator, third)
    await call_in(creator, third)


@every_epoch
async def test_an_epoch_that_a_member_made_is_followed_by_no_other(desk: Desk, members: Members) -> None:
    """The hub is the member's accomplice: it hands the epoch to the other member."""
    creator, attacker, other, stranger = await session_of_three(desk)
    joining = other.joining[creator.session]
    before = joining.epoch
    _, push = epoch_of(attacker, creator, other, members(creator, attacker, other, stranger))
    with pytest.raises(Refused) as refused:
        joining.on_epoch(push.epoch, push.sealed)
    assert refused.value.reason is Reason.MISMATCH
    with pytest.raises(Refused):
        joining.on_skipped(push.epoch)
    assert joining.epoch == before
    third = await actor(desk)
    await befriend(creator, third)
    await call_in(creator, third)
    genuine = await other.line.next_push(EpochPush)
    assert joining.on_epoch(genuine.epoch, genuine.sealed).epoch.number == before.epoch.number + 1
