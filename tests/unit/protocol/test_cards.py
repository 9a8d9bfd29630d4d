"""Cards: what one says of its device must follow from the name, link by link."""

from hashlib import sha256
from typing import Any

import msgspec
import pytest

from muster_protocol.cards import (
    MAX_ROTATIONS,
    Card,
    Mode,
    ProtocolRange,
    Rotation,
    SignedRotation,
    card_checks,
    read_card,
    sign_rotation,
    verify_card,
)
from muster_protocol.checks import SignatureStep
from muster_protocol.codec import encode
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, Fingerprint, Serial, Signature, client_id
from muster_protocol.keys import ED25519, PublicKey, SigningKey
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, sign

KEYS = [SigningKey.from_secret(sha256(b"key %d" % number).digest()) for number in range(MAX_ROTATIONS + 2)]
STRANGER = SigningKey.from_secret(sha256(b"stranger").digest())
CLIENT = client_id(ED25519, KEYS[0].public.public)


def _rotation(number: int, /, **changes: Any) -> SignedRotation:
    """Return the link from key ``number - 1`` to key ``number``."""
    old, new = KEYS[number - 1], KEYS[number]
    body = Rotation(
        client=CLIENT, number=number, predecessor=old.fingerprint, new_key=new.public, serial=Serial(number)
    )
    return sign_rotation(msgspec.structs.replace(body, **changes), old, new)


LINKS = tuple(_rotation(number) for number in range(1, 4))


def _card(links: tuple[SignedRotation, ...] = LINKS, key: SigningKey | None = None, **changes: Any) -> Signed:
    key = key or KEYS[len(links)]
    body = Card(
        client=CLIENT,
        genesis=KEYS[0].public,
        current=key.public,
        rotations=links,
        serial=Serial(9),
        protocol=ProtocolRange(1, 2),
        app="muster",
        app_version="1",
        modes=(Mode.JOIN, Mode.SYNCHRONIZE),
    )
    return sign(msgspec.structs.replace(body, **changes), key)


def _refused(card: Signed) -> Reason:
    with pytest.raises(Refused) as refused:
        verify_card(card)
    return refused.value.reason


@pytest.mark.parametrize("rotations", [0, 1, 3, MAX_ROTATIONS])
def test_a_chain_leads_from_the_name_to_the_current_key(rotations: int) -> None:
    card = verify_card(_card(tuple(_rotation(number) for number in range(1, rotations + 1))))
    assert card.card.client == CLIENT
    assert card.fingerprints == tuple(key.fingerprint for key in KEYS[: rotations + 1])
    assert card.fingerprint == KEYS[rotations].fingerprint


def test_a_chain_has_32_links_at_most() -> None:
    links = (*(_rotation(number) for number in range(1, MAX_ROTATIONS + 1)), _rotation(MAX_ROTATIONS))
    assert _refused(_card(links, key=KEYS[MAX_ROTATIONS])) is Reason.MALFORMED


UNSAFE = PublicKey(ED25519, b"\x01" + bytes(31))
OTHER_NAME = client_id(ED25519, STRANGER.public.public)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client": OTHER_NAME}, Reason.MISMATCH),
        ({"genesis": STRANGER.public}, Reason.MISMATCH),
        ({"client": OTHER_NAME, "genesis": STRANGER.public}, Reason.MISMATCH),
        ({"current": KEYS[2].public}, Reason.MISMATCH),
        ({"current": KEYS[0].public}, Reason.MISMATCH),
        ({"current": STRANGER.public}, Reason.MISMATCH),
        ({"rotations": ()}, Reason.MISMATCH),
        ({"rotations": LINKS[:2]}, Reason.MISMATCH),
        ({"rotations": LINKS[1:]}, Reason.MISMATCH),
        ({"rotations": (LINKS[0], LINKS[2])}, Reason.MISMATCH),
        ({"rotations": (LINKS[1], LINKS[0], LINKS[2])}, Reason.MISMATCH),
        ({"rotations": (LINKS[0], *LINKS)}, Reason.MISMATCH),
        ({"genesis": UNSAFE, "client": client_id(ED25519, UNSAFE.public)}, Reason.MALFORMED),
        ({"modes": (Mode.SYNCHRONIZE, Mode.JOIN)}, Reason.MALFORMED),
        ({"modes": (Mode.JOIN, Mode.JOIN)}, Reason.MALFORMED),
        ({"modes": ()}, Reason.MALFORMED),
        ({"protocol": ProtocolRange(3, 2)}, Reason.MALFORMED),
        ({"app": ""}, Reason.MALFORMED),
        ({"serial": 0}, Reason.MALFORMED),
        ({"v": 2}, Reason.UNSUPPORTED),
    ],
)
def test_a_card_that_its_own_key_signed_may_still_be_wrong(changes: dict[str, Any], reason: Reason) -> None:
    assert _refused(_card(**changes)) is reason


def test_a_card_is_signed_by_its_current_key() -> None:
    good = _card()
    assert _refused(Signed(good.body, good.signer, Signature(bytes(64)))) is Reason.BAD_SIGNATURE
    assert _refused(Signed(good.body, KEYS[2].fingerprint, good.signature)) is Reason.MISMATCH
    retired = Signed(good.body, good.signer, KEYS[2].sign(b"muster/v1 card\0" + good.body))
    assert _refused(retired) is Reason.BAD_SIGNATURE
    other_kind = Signed(good.body, good.signer, KEYS[3].sign(b"muster/v1 trust\0" + good.body))
    assert _refused(other_kind) is Reason.BAD_SIGNATURE


def _with(link: SignedRotation, **changes: Any) -> SignedRotation:
    return msgspec.structs.replace(link, **changes)


def _resigned(**changes: Any) -> SignedRotation:
    """Return the last link with a changed body, signed well by both keys."""
    return _rotation(3, **changes)


BY_THE_THIEF = sign_rotation(
    Rotation(client=CLIENT, number=3, predecessor=KEYS[2].fingerprint, new_key=STRANGER.public, serial=Serial(3)),
    STRANGER,
    STRANGER,
)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        (_with(LINKS[2], old_signature=Signature(bytes(64))), Reason.BAD_SIGNATURE),
        (_with(LINKS[2], new_signature=Signature(bytes(64))), Reason.BAD_SIGNATURE),
        (_with(LINKS[2], old_signature=LINKS[2].new_signature), Reason.BAD_SIGNATURE),
        (_with(LINKS[2], new_signature=LINKS[2].old_signature), Reason.BAD_SIGNATURE),
        (_with(LINKS[2], old_signature=LINKS[1].old_signature), Reason.BAD_SIGNATURE),
        (_with(LINKS[2], old_signer=STRANGER.fingerprint), Reason.MISMATCH),
        (_with(LINKS[2], new_signer=STRANGER.fingerprint), Reason.MISMATCH),
        (_with(LINKS[2], body=LINKS[1].body), Reason.MISMATCH),
        (_with(LINKS[2], body=LINKS[2].body + b"\xc0"), Reason.MALFORMED),
        (_with(LINKS[2], body=b""), Reason.MALFORMED),
        (_resigned(number=2), Reason.MISMATCH),
        (_resigned(number=4), Reason.MISMATCH),
        (_resigned(number=0), Reason.MALFORMED),
        (_resigned(client=OTHER_NAME), Reason.MISMATCH),
        (_resigned(predecessor=KEYS[1].fingerprint), Reason.MISMATCH),
        (_resigned(predecessor=Fingerprint(bytes(32))), Reason.MISMATCH),
        (_resigned(new_key=STRANGER.public), Reason.MISMATCH),
        (_resigned(v=2), Reason.UNSUPPORTED),
        (BY_THE_THIEF, Reason.MISMATCH),
    ],
)
def test_every_link_is_checked(link: SignedRotation, reason: Reason) -> None:
    assert _refused(_card((*LINKS[:2], link))) is reason


def test_a_link_that_a_thief_signed_in_the_name_of_the_old_key() -> None:
    posed = _with(BY_THE_THIEF, old_signer=KEYS[2].fingerprint)
    assert _refused(_card((*LINKS[:2], posed), key=STRANGER)) is Reason.BAD_SIGNATURE


OWN = SignatureStep(signatures=1, charge=1)


def _steps(card: Signed) -> tuple[list[SignatureStep], Reason | None]:
    """Return the steps of a card's check, and why the card is refused."""
    steps: list[SignatureStep] = []
    try:
        steps.extend(card_checks(card, read_card(card)))
    except Refused as refused:
        return steps, refused.reason
    return steps, None


def test_a_card_that_verified_costs_nothing_again() -> None:
    card = _card(tuple(_rotation(number) for number in range(1, 6)))
    assert _steps(card) == ([OWN, SignatureStep(2, 10), *[SignatureStep(2, 0)] * 4], None)
    assert _steps(card) == ([], None)


def test_a_bad_chain_is_checked_once_for_all_cards_that_show_it() -> None:
    bad = _with(LINKS[1], new_signature=Signature(bytes([1]) * 64))
    links = (LINKS[0], bad, LINKS[2])
    assert _steps(_card(links)) == ([OWN, SignatureStep(2, 6), SignatureStep(2, 0)], Reason.BAD_SIGNATURE)
    assert _steps(_card(links)) == ([], Reason.BAD_SIGNATURE)
    assert _steps(_card(links, app="another card")) == ([OWN], Reason.BAD_SIGNATURE)


def test_a_card_that_is_not_signed_well_costs_one_signature_each_time() -> None:
    good = _card(app="never signed well")
    bad = Signed(good.body, good.signer, Signature(bytes(64)))
    assert _steps(bad) == _steps(bad) == ([OWN], Reason.BAD_SIGNATURE)


def test_links_that_do_not_follow_each_other_cost_no_signature() -> None:
    bad = _with(LINKS[0], new_signature=Signature(bytes(64)))
    assert _steps(_card((bad, LINKS[2]), app="a gap")) == ([OWN], Reason.MISMATCH)


def test_a_retired_key_does_not_come_back() -> None:
    back = Rotation(client=CLIENT, number=4, predecessor=KEYS[3].fingerprint, new_key=KEYS[1].public, serial=Serial(4))
    links = (*LINKS, sign_rotation(back, KEYS[3], KEYS[1]))
    assert _refused(_card(links, key=KEYS[1])) is Reason.MISMATCH


def test_a_rotation_to_an_unsafe_key_is_refused() -> None:
    body = Rotation(client=CLIENT, number=1, predecessor=KEYS[0].fingerprint, new_key=UNSAFE, serial=Serial(1))
    data = encode(body)
    # Under the identity point this one signature would verify over any body.
    forged = Signature(b"\x01" + bytes(63))
    link = SignedRotation(
        data, KEYS[0].fingerprint, KEYS[0].sign(b"muster/v1 rotation\0" + data), UNSAFE.fingerprint, forged
    )
    card = _card((link,), current=UNSAFE)
    assert _refused(Signed(card.body, UNSAFE.fingerprint, forged)) is Reason.MALFORMED


def test_a_stronger_mode_covers_a_weaker_one() -> None:
    covered = [(one, other) for one in Mode for other in Mode if one.covers(other)]
    join, inventory, synchronize = Mode
    assert covered == [
        (join, join),
        (inventory, join),
        (inventory, inventory),
        (synchronize, join),
        (synchronize, inventory),
        (synchronize, synchronize),
    ]


def test_a_name_of_another_algorithm_is_another_name() -> None:
    assert client_id("other", KEYS[0].public.public) != CLIENT
    assert _refused(_card(client=ClientId("a" * 32))) is Reason.MISMATCH
