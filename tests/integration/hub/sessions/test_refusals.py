"""Every reason that the hub gives on the way into a session, and that it gives that one."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.stage import Actor, actor, befriend, invite_and_answer

from muster_hub.store import keys
from muster_hub.store.urls import parse
from muster_hub.store.wire import Wire
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.exchange import Invite
from muster_protocol.frames import (
    MAX_TARGETS,
    Admitted,
    CancelInvite,
    CloseSession,
    InvitePush,
    InviteResults,
    Ok,
    Purpose,
    SendInvites,
    SessionKind,
)
from muster_protocol.ids import ClientId, GrantId, SessionId, TimeMs
from muster_protocol.reasons import Reason
from muster_protocol.sealing import ReceiveKey
from muster_protocol.signed import Signed, read, sign


@dataclass(frozen=True, slots=True)
class CallScene:
    """Two devices of which one is about to call the other."""

    desk: Desk
    ann: Actor
    bob: Actor
    purpose: Purpose = Purpose.AUTO
    mode: Mode = Mode.INVENTORY
    profile: str | None = "work"
    extra: list[Actor] = field(default_factory=list)


async def set_standing(desk: Desk, who: Actor, standing: Reason) -> None:
    await desk.store.ask(b"HSET", keys.device(who.client), b"standing", standing)


async def granted(scene: CallScene, **kept: object) -> None:
    await scene.ann.say(scene.ann.device.grant(scene.bob.device))
    await scene.bob.say(scene.bob.device.grant(scene.ann.device, **kept))  # type: ignore[arg-type]


async def neither_granted(scene: CallScene) -> None:
    return


async def caller_granted(scene: CallScene) -> None:
    await scene.ann.say(scene.ann.device.grant(scene.bob.device))


async def weaker_mode(scene: CallScene) -> None:
    await granted(scene, mode=Mode.JOIN)


async def other_profile(scene: CallScene) -> None:
    await granted(scene, profiles=("home",))


async def past(scene: CallScene) -> None:
    await granted(scene, lasts_ms=500)


async def revoked(scene: CallScene) -> None:
    grant = GrantId(os.urandom(16))
    await granted(scene, grant=grant)
    await scene.bob.say(scene.bob.device.revocation(scene.ann.device, grant))


async def untrusted_by_target(scene: CallScene) -> None:
    await granted(scene)
    await scene.bob.say(scene.bob.device.untrust(scene.ann.device))


async def untrusted_by_caller(scene: CallScene) -> None:
    await granted(scene)
    await scene.ann.say(scene.ann.device.untrust(scene.bob.device))


async def target_has_a_new_key(scene: CallScene) -> None:
    await granted(scene)
    scene.bob.device.rotate()
    scene.bob.line = await scene.desk.seat(scene.bob.device)
    await scene.bob.say(scene.bob.device.trust(scene.ann.device), scene.bob.device.grant(scene.ann.device))


async def caller_is_suspected(scene: CallScene) -> None:
    await granted(scene)
    await set_standing(scene.desk, scene.ann, Reason.CLONE_SUSPECTED)


async def target_is_revoked(scene: CallScene) -> None:
    await granted(scene)
    await set_standing(scene.desk, scene.bob, Reason.DEVICE_REVOKED)


async def target_is_away(scene: CallScene) -> None:
    await granted(scene)
    await scene.desk.unseat(scene.bob.line)  # type: ignore[arg-type]


async def node_of_target_is_lost(scene: CallScene) -> None:
    await granted(scene)
    scene.desk.nodes.lost.add("one")


REFUSALS: list[tuple[Reason, Callable[[CallScene], Awaitable[None]]]] = [
    (Reason.GRANT_MISSING, neither_granted),
    (Reason.GRANT_MISSING, caller_granted),
    (Reason.MODE_NOT_GRANTED, weaker_mode),
    (Reason.PROFILE_NOT_GRANTED, other_profile),
    (Reason.GRANT_EXPIRED, past),
    (Reason.GRANT_REVOKED, revoked),
    (Reason.NOT_MUTUALLY_TRUSTED, untrusted_by_target),
    (Reason.NOT_TRUSTED, untrusted_by_caller),
    (Reason.KEY_MISMATCH, target_has_a_new_key),
    (Reason.CLONE_SUSPECTED, caller_is_suspected),
    (Reason.DEVICE_REVOKED, target_is_revoked),
    (Reason.OFFLINE, target_is_away),
    (Reason.OFFLINE, node_of_target_is_lost),
]


@pytest.mark.parametrize(("reason", "arrange"), REFUSALS, ids=lambda value: getattr(value, "__name__", value))
async def test_an_invite_is_refused_for_its_reason(
    desk: Desk, reason: Reason, arrange: Callable[[CallScene], Awaitable[None]]
) -> None:
    scene = CallScene(desk, await actor(desk, "ann"), await actor(desk, "bob"))
    await befriend(scene.ann, scene.bob, grants=False)
    await arrange(scene)
    await scene.ann.create(scene.mode, scene.profile)
    results = await scene.ann.call(scene.bob)
    assert [(result.client, result.reason) for result in results.results] == [(scene.bob.client, reason)]
    assert not scene.bob.line.waiting(InvitePush)


@pytest.mark.parametrize(
    ("reason", "bob"),
    [
        (Reason.INCOMPATIBLE_APP, {"app": "another"}),
        (Reason.MODE_UNSUPPORTED, {"modes": (Mode.JOIN,)}),
        (Reason.INCOMPATIBLE_PROTOCOL, {"protocol": ProtocolRange(7, 9)}),
    ],
)
async def test_an_invite_to_another_kind_of_device_is_refused(
    desk: Desk, reason: Reason, bob: dict[str, object]
) -> None:
    device = SigningDevice("bob")
    for name, value in bob.items():
        setattr(device, name, value)
    ann, other = await actor(desk), Actor(device, await desk.seat(device))
    await befriend(ann, other)
    await ann.create(Mode.SYNCHRONIZE)
    assert [result.reason for result in (await ann.call(other)).results] == [reason]


async def test_a_suspected_clone_may_still_be_asked_by_hand(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await set_standing(desk, bob, Reason.CLONE_SUSPECTED)
    await ann.create()
    assert [result.reason for result in (await ann.call(bob)).results] == [Reason.CLONE_SUSPECTED]
    assert [result.reason for result in (await ann.call(bob, purpose=Purpose.ASK)).results] == [None]


async def test_each_target_has_its_own_result_in_the_order_sent(desk: Desk) -> None:
    ann, bob, eve, dan = [await actor(desk, name) for name in ("ann", "bob", "eve", "dan")]
    await befriend(ann, bob)
    await befriend(ann, dan, grants=False)
    await ann.trust(eve)
    await ann.create()
    # No honest creator calls itself.
    to_itself = changed(ann.invite(dan), ann, recipient=ann.client, recipient_key=ann.device.fingerprint)
    invites = (ann.invite(eve), ann.invite(bob), ann.invite(dan), to_itself, ann.invite(bob))
    results = await ann.ask(SendInvites(id=1, session=ann.session, invites=invites), InviteResults)
    assert [result.reason for result in results.results] == [
        Reason.NOT_MUTUALLY_TRUSTED,
        Reason.DUPLICATE_TARGET,
        Reason.GRANT_MISSING,
        Reason.SELF_TARGET,
        Reason.DUPLICATE_TARGET,
    ]


async def test_a_request_without_targets_or_with_too_many_is_refused(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    assert (await ann.refused(SendInvites(id=1, session=ann.session, invites=()))).reason is Reason.EMPTY_TARGETS
    strangers = [ann.invite(SigningDevice()) for _ in range(MAX_TARGETS)]
    request = SendInvites(id=1, session=ann.session, invites=(ann.invite(bob), *strangers))
    results = await ann.ask(request, InviteResults)
    assert {result.reason for result in results.results} == {Reason.TOO_MANY_TARGETS}


def changed(signed: Signed, ann: Actor, **fields: object) -> Signed:
    """Sign an invite again with other fields."""
    body = read(signed, Invite)
    named = {name: getattr(body, name) for name in body.__struct_fields__} | fields
    return sign(Invite(**named), ann.device.key)


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        (Reason.MISMATCH, {"mode": Mode.SYNCHRONIZE}),
        (Reason.MISMATCH, {"profile": "other"}),
        (Reason.MISMATCH, {"kind": SessionKind.MESH}),
        (Reason.MISMATCH, {"seed": bytes(16)}),
        (Reason.MISMATCH, {"session": SessionId("a" * 32)}),
        (Reason.MISMATCH, {"sender": ClientId("a" * 32)}),
        (Reason.MISMATCH, {"sender_key": bytes(32)}),
        (Reason.MALFORMED, {"expires_at": TimeMs(1)}),
    ],
    ids=str,
)
async def test_an_invite_must_say_what_the_session_is(
    pair: tuple[Actor, Actor], reason: Reason, fields: dict[str, object]
) -> None:
    ann, bob = pair
    await ann.create()
    signed = changed(ann.invite(bob), ann, **fields)
    assert (await ann.refused(SendInvites(id=1, session=ann.session, invites=(signed,)))).reason is reason


async def test_only_the_creator_calls_in(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    bob.plan()
    request = SendInvites(id=1, session=bob.session, invites=(bob.invite(ann),))
    assert (await bob.refused(request)).reason is Reason.NOT_A_MEMBER
    bob.inviting.plan = replace(ann.inviting.plan, creator=bob.client)
    body = changed(bob.invite(ann), bob, session=ann.session, seed=ann.inviting.plan.seed)
    assert (await bob.refused(SendInvites(id=1, session=ann.session, invites=(body,)))).reason is Reason.NOT_A_MEMBER


async def test_an_invite_is_taken_once_and_a_closed_session_takes_none(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    first = SendInvites(id=1, session=ann.session, invites=(ann.invite(bob),))
    assert [each.reason for each in (await ann.ask(first, InviteResults)).results] == [None]
    assert [each.reason for each in (await ann.ask(first, InviteResults)).results] == [None]
    assert [each.reason for each in (await ann.call(bob)).results] == [None]
    assert [each.reason for each in (await ann.ask(first, InviteResults)).results] == [Reason.REPLAYED]
    await ann.ask(CloseSession(id=1, session=ann.session), Ok)
    request = SendInvites(id=1, session=ann.session, invites=(ann.invite(bob),))
    assert (await ann.refused(request)).reason is Reason.SESSION_CLOSED


async def test_a_superseded_connection_calls_no_device(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await ann.create()
    await desk.seat(ann.device)
    request = SendInvites(id=1, session=ann.session, invites=(ann.invite(bob),))
    assert (await ann.refused(request)).reason is Reason.SUPERSEDED
    assert not bob.line.waiting(InvitePush)


async def test_a_device_is_not_called_by_one_that_fills_its_share_of_the_inbox(
    pair: tuple[Actor, Actor], store_url: str
) -> None:
    ann, bob = pair
    sessions = []
    for _ in range(keys.MAX_INBOX_PER_SENDER):
        sessions.append(await ann.create())
        assert [each.reason for each in (await ann.call(bob)).results] == [None]
    sessions.append(await ann.create())
    assert [each.reason for each in (await ann.call(bob)).results] == [Reason.OVERLOADED]
    wire = Wire(parse(store_url))
    await wire.connect()
    live = [
        await wire.ask(b"HEXISTS", keys.invite_outcomes(session), f"live:{bob.client}".encode()) for session in sessions
    ]
    await wire.close()
    assert live == [1] * keys.MAX_INBOX_PER_SENDER + [0]


# -- admission --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "arrange"),
    [(reason, arrange) for reason, arrange in REFUSALS if reason is not Reason.OFFLINE],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_a_join_is_refused_for_what_changed_since_the_answer(
    desk: Desk, reason: Reason, arrange: Callable[[CallScene], Awaitable[None]]
) -> None:
    scene = CallScene(desk, await actor(desk, "ann"), await actor(desk, "bob"))
    ann, bob = scene.ann, scene.bob
    await befriend(ann, bob)
    await ann.create(scene.mode, scene.profile)
    await invite_and_answer(ann, bob)
    if arrange in (neither_granted, caller_granted):
        # A grant that was given to another key counts as none.
        for one, other in ((ann, bob), (bob, ann)) if arrange is neither_granted else ((bob, ann),):
            stranger = SigningDevice()
            stranger.client = other.client
            await one.say(one.device.grant(stranger))
    else:
        await arrange(scene)
    rejected = (await ann.ask(ann.admission(), Admitted)).rejected
    assert [(each.client, each.reason) for each in rejected] == [(bob.client, reason)]
    assert [member.client for member in (await ann.show(ann.session)).members] == [ann.client]


async def test_a_join_without_an_answer_or_with_an_ended_invite_is_refused(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    (joining,) = await invite_and_answer(ann, bob)
    invite = joining.received.invite.invite
    await ann.ask(CancelInvite(id=1, session=ann.session, client=bob.client, invite=invite), Ok)
    rejected = (await ann.admit()).rejected
    assert [each.reason for each in rejected] == [Reason.CANCELLED]


async def test_a_join_that_the_hub_has_no_answer_to_is_refused(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    answer = (await bob.take_invite()).accept(ReceiveKey.from_seed(os.urandom(96)), now_ms())
    ann.inviting.on_answer(answer, bob.client, now_ms())
    rejected = (await ann.admit()).rejected
    assert [each.reason for each in rejected] == [Reason.MISMATCH]


async def test_a_join_under_a_key_that_was_retired_meanwhile_is_refused(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await ann.create()
    await invite_and_answer(ann, bob)
    request = ann.admission()
    bob.device.rotate()
    bob.line = await desk.seat(bob.device)
    await befriend(ann, bob)
    rejected = (await ann.ask(request, Admitted)).rejected
    assert [each.reason for each in rejected] == [Reason.KEY_MISMATCH]
