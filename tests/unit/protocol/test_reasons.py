"""The table of reasons: closed, complete, and with codes that never change."""

import string

import pytest

from muster_protocol.reasons import REASONS, Category, Reason, Sayer

CODES = {
    "malformed": 101,
    "empty_targets": 102,
    "duplicate_target": 103,
    "self_target": 104,
    "too_many_targets": 105,
    "too_large": 106,
    "rate_limited": 107,
    "unsupported": 108,
    "clock_ahead": 109,
    "clock_behind": 110,
    "unknown_client": 201,
    "not_trusted": 202,
    "not_mutually_trusted": 203,
    "key_mismatch": 204,
    "device_revoked": 301,
    "clone_suspected": 302,
    "grant_missing": 401,
    "grant_expired": 402,
    "grant_revoked": 403,
    "grant_used": 404,
    "mode_not_granted": 405,
    "profile_not_granted": 406,
    "incompatible_protocol": 501,
    "incompatible_app": 502,
    "mode_unsupported": 503,
    "offline": 601,
    "bad_signature": 701,
    "wrong_recipient": 702,
    "mismatch": 703,
    "expired": 704,
    "replayed": 705,
    "cannot_open": 706,
    "epoch_forked": 707,
    "declined": 801,
    "no_answer": 802,
    "cancelled": 803,
    "session_closed": 804,
    "session_full": 805,
    "not_a_member": 806,
    "join_failed": 807,
    "mistyped": 901,
    "code_used": 902,
    "code_expired": 903,
    "code_wrong": 904,
    "store_unavailable": 1001,
    "overloaded": 1002,
    "superseded": 1003,
    "hub_key_changed": 1004,
    "hub_restored": 1005,
    "internal": 1006,
    "store_full": 1007,
    "not_enrolled": 1008,
    "wrong_origin": 1009,
}
"""Once given, a code keeps its meaning for ever; a new reason takes the next of its hundred."""


def test_codes_are_stable() -> None:
    assert {reason.value: info.code for reason, info in REASONS.items()} == CODES
    assert len(set(CODES.values())) == len(CODES)


def test_every_reason_has_one_row() -> None:
    assert list(REASONS) == list(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_row_says_all_that_people_need(reason: Reason) -> None:
    info = REASONS[reason]
    assert info.code // 100 == list(Category).index(info.category) + 1
    assert info.sayers
    for text in (info.sentence, info.next_step):
        assert text.endswith(".")
        assert {name for _, name, _, _ in string.Formatter().parse(text) if name is not None} <= {"peer"}


def test_only_the_hub_says_what_only_it_can_know() -> None:
    only_hub = {reason for reason in Reason if REASONS[reason].sayers == {Sayer.HUB}}
    assert {Reason.OFFLINE, Reason.STORE_UNAVAILABLE, Reason.SUPERSEDED, Reason.RATE_LIMITED} <= only_hub
    for reason in (Reason.DECLINED, Reason.CANNOT_OPEN):
        assert Sayer.PEER in REASONS[reason].sayers
        assert Sayer.HUB not in REASONS[reason].sayers, "the hub must not speak for a person"
