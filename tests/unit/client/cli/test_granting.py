"""Grants: how long, how far, how often."""

import pytest

DAY_MS = 86_400_000


@pytest.fixture
def trusting(laptop, nas):
    laptop.trust("nas", nas)
    return laptop


def granted(done):
    return done.document["peer"]["grant"]


@pytest.mark.parametrize(
    ("text", "lasts_ms"),
    [
        ("30d", 30 * DAY_MS),
        ("12h", DAY_MS // 2),
        ("90m", 5_400_000),
        ("45s", 45_000),
        ("2w", 14 * DAY_MS),
        ("1d12h", DAY_MS * 3 // 2),
        (None, 90 * DAY_MS),
    ],
)
def test_a_grant_lasts_as_long_as_was_asked(trusting, text, lasts_ms):
    grant = granted(trusting.ok("grant", "add", "nas", "--json", *([] if text is None else ["--for", text])))
    assert grant["expires_at_ms"] - grant["not_before_ms"] == lasts_ms
    assert grant["state"] == "live"


@pytest.mark.parametrize("text", ["30", "d", "0d", "-1d", "1y", "1.5h", "", "400d"])
def test_a_time_that_no_grant_can_have_is_refused(trusting, text):
    assert "invalid_request" in trusting.fails(5, "grant", "add", "nas", "--for", text).err
    assert trusting.ok("grant", "list", "--json").document == {"grants": []}


def test_a_grant_says_how_far_and_how_often(trusting):
    grant = granted(
        trusting.ok(
            "grant", "add", "nas", "--json", "--mode", "synchronize", "--profile", "b", "--profile", "a", "--once"
        )
    )
    assert (grant["mode"], grant["profiles"], grant["once"]) == ("synchronize", ["a", "b"], True)


def test_for_people_a_grant_is_one_line(trusting):
    assert trusting.ok("grant", "add", "nas", "--for", "30d").out == "Automatic joins with nas: join, 30d left.\n"
    assert "nas     join, 30d left   not yet" in trusting.ok("grant", "list").out


def test_a_new_grant_takes_the_place_of_the_one_before(trusting):
    trusting.ok("grant", "add", "nas", "--mode", "synchronize")
    trusting.ok("grant", "add", "nas", "--mode", "inventory")
    (line,) = trusting.ok("grant", "list", "--json").document["grants"]
    assert line["grant"]["mode"] == "inventory"


def test_renewing_keeps_what_was_allowed_and_gives_new_time(trusting):
    trusting.ok("grant", "add", "nas", "--mode", "inventory", "--profile", "photos", "--for", "1h")
    grant = granted(trusting.ok("grant", "renew", "nas", "--for", "2d", "--json"))
    assert (grant["mode"], grant["profiles"]) == ("inventory", ["photos"])
    assert grant["expires_at_ms"] - grant["not_before_ms"] == 2 * DAY_MS


def test_a_revoked_grant_is_gone_and_cannot_be_renewed(trusting):
    trusting.ok("grant", "add", "nas")
    assert granted(trusting.ok("grant", "revoke", "nas", "--json")) is None
    assert "grant_revoked" in trusting.fails(1, "grant", "revoke", "nas").err
    assert "between you and nas" in trusting.fails(1, "grant", "renew", "nas").err


def test_there_is_nothing_to_renew_before_a_grant(trusting):
    assert "grant_missing" in trusting.fails(1, "grant", "renew", "nas").err


def test_whom_you_trust_no_longer_you_cannot_grant(trusting):
    trusting.ok("trust", "remove", "nas")
    done = trusting.fails(1, "grant", "add", "nas")
    assert "You do not trust nas." in done.err


@pytest.mark.parametrize("profile", ["Photos", "a b", "", "-x", "x" * 65])
def test_a_profile_has_a_shape(trusting, profile):
    assert "invalid_request" in trusting.fails(5, "grant", "add", "nas", f"--profile={profile}").err
    trusting.ok("grant", "list")


def test_an_unknown_mode_is_met_with_those_there_are(trusting):
    assert "synchronize" in trusting.fails(5, "grant", "add", "nas", "--mode", "all").err
