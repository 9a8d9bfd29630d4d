"""What stands in the outbox for the chains: each join and each end once, refusals once a request, strangers never."""

from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.sessions.test_sessions import leave
from tests.integration.hub.stage import Actor, actor, befriend, call_in, invite_and_answer

from muster_hub.store import keys
from muster_hub.store.cells import data, items, unpack
from muster_protocol.frames import Admitted, CloseSession, Ok, SendAnswer, SendInvites
from muster_protocol.reasons import Reason


async def records(desk: Desk, name: str) -> list[list[str]]:
    """Return kind, actor, subject, session, outcome and reason of the records in the bucket of an id, oldest first."""
    entries = await desk.store.ask(b"XRANGE", keys.outbox(keys.bucket(name)), b"-", b"+")
    fields = [items(items(entry)[1]) for entry in items(entries)]
    rows = [unpack(data(row)) for _, kind, _, row in fields if kind == b"record"]
    return [[cell.decode() for cell in row[:6] if isinstance(cell, bytes)] for row in rows]


async def of_session(desk: Desk, ann: Actor) -> list[list[str]]:
    return [row[:3] + row[4:] for row in await records(desk, ann.session) if row[3] == ann.session]


async def test_a_join_leaves_its_records_once(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await ann.create()
    await invite_and_answer(ann, bob)
    request = ann.admission()
    for _ in range(2):
        assert not (await ann.ask(request, Admitted)).rejected
    await bob.join()
    for _ in range(2):
        await bob.ask(leave(bob, ann.session), Ok)
        await ann.ask(CloseSession(id=1, session=ann.session), Ok)
    assert await of_session(desk, ann) == [
        ["session_created", ann.client, "", "done", ""],
        ["join_committed", ann.client, bob.client, "done", ""],
        ["joined", bob.client, "", "done", ""],
        ["member_out", bob.client, bob.client, "done", ""],
        ["session_closed", ann.client, "", "done", ""],
    ]


async def test_a_refusal_by_the_called_device_is_recorded_once(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await ann.create()
    await ann.call(bob)
    refusal = (await bob.take_invite()).refuse(Reason.DECLINED, now_ms())
    for _ in range(2):
        await bob.ask(SendAnswer(id=1, answer=refusal), Ok)
    assert (await of_session(desk, ann))[1:] == [["invite_refused", bob.client, ann.client, "refused", Reason.DECLINED]]


async def test_the_refusals_of_one_request_are_one_record_of_the_caller(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    strangers = [SigningDevice(), SigningDevice()]
    await ann.create()
    invites = (ann.invite(strangers[0]), ann.invite(bob), ann.invite(strangers[1]))
    await ann.line.ask_any(SendInvites(id=1, session=ann.session, invites=invites))
    refused = [row for row in await records(desk, ann.client) if row[0] == "invite_refused"]
    listed = " ".join(f"{stranger.client}={Reason.NOT_TRUSTED}" for stranger in strangers)
    assert refused == [["invite_refused", ann.client, "", ann.session, "refused", listed]]


async def test_a_member_cut_out_is_recorded_once(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    await ann.create()
    await call_in(ann, bob)
    said = bob.device.untrust(ann.device)
    await bob.say(said)
    await bob.say(said)
    outs = [row for row in await of_session(desk, ann) if row[0] == "member_out"]
    assert outs == [["member_out", bob.client, bob.client, "done", Reason.NOT_TRUSTED]]


async def test_a_device_that_trusts_no_other_leaves_nothing(desk: Desk) -> None:
    eve, ann = await actor(desk), await actor(desk)
    await befriend(ann, await actor(desk))
    assert (await eve.refused(eve.plan())).reason is Reason.NOT_TRUSTED
    signed = (eve.invite(ann),)
    assert (await eve.refused(SendInvites(id=1, session=eve.session, invites=signed))).reason is Reason.NOT_A_MEMBER
    assert [row for row in await records(desk, eve.client) if row[1] == eve.client] == []
    assert await of_session(desk, eve) == []
    left = (keys.session_index(eve.client), keys.uses(eve.client), keys.inbox(eve.client))
    assert await desk.store.ask(b"EXISTS", *left) == 0
