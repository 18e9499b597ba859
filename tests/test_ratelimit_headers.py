"""What headers say about rates, readable or not."""

from __future__ import annotations

import time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import RateLimit
from mida_async._core.ratelimit_headers import LONGEST_WAIT, Quota, policies, quota, retry_after

# 2015-10-21 07:28:00 GMT, in the three forms that HTTP knows
WALL: Final = 1445412480.0
IMF: Final = "Wed, 21 Oct 2015 07:28:30 GMT"
RFC_850: Final = "Wednesday, 21-Oct-15 07:28:30 GMT"
ASCTIME: Final = "Wed Oct 21 07:28:30 2015"
DATE: Final = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("0.5", 0.5),
        ("-5", 0.0),
        ("3600", 3600.0),
        ("3601", LONGEST_WAIT),
        ("9" * 30, LONGEST_WAIT),
        ("9" * 5000, LONGEST_WAIT),
        (IMF, 30.0),
        (RFC_850, 30.0),
        (ASCTIME, 30.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Thu, 22 Oct 2015 07:28:00 GMT", LONGEST_WAIT),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
    ],
)
def test_retry_after(text: str, seconds: float) -> None:
    """R8: Retry-After is seconds or a date; it is never negative, and never longer than an hour."""
    assert retry_after({"retry-after": text}, WALL) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "soon", "nan", "inf", "-inf", "1e3", "1_0", "٣", "²", "0x10", "5, 10", "5s", "GMT", "31 Foo 2015", "-"],
)
def test_an_unreadable_retry_after_is_as_good_as_absent(text: str) -> None:
    """R8: garbage is ignored, not guessed at."""
    assert retry_after({"retry-after": text}, WALL) is None


def test_no_retry_after() -> None:
    """R8: without the header there is nothing to wait for."""
    assert retry_after({}, WALL) is None


@pytest.mark.parametrize("skew", [-86400.0, -5.0, 0.0, 5.0, 86400.0])
def test_a_date_is_read_by_the_servers_clock(skew: float) -> None:
    """R8: where the response has a Date, a wrong clock on either side makes no difference."""
    assert retry_after({"retry-after": IMF, "date": DATE}, WALL + skew) == 30.0


def test_an_unreadable_date_is_ignored() -> None:
    """R8: without a readable Date our own clock has to do."""
    assert retry_after({"retry-after": IMF, "date": "yesterday"}, WALL + 10) == 20.0


def test_a_date_without_zone_means_gmt(monkeypatch: pytest.MonkeyPatch) -> None:
    """R8: the time zone of this machine has no part in it."""
    try:
        with monkeypatch.context() as patch:
            patch.setenv("TZ", "Asia/Tokyo")
            time.tzset()
            assert retry_after({"retry-after": ASCTIME}, WALL) == 30.0
    finally:
        time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"default";r=50;t=30', Quota(remaining=50, reset=30.0)),
        ('"default"; r=50; t=30', Quota(remaining=50, reset=30.0)),
        ("default;t=30;r=50 ", Quota(remaining=50, reset=30.0)),
        ('"a";r=50;t=30, "b";r=3;t=60', Quota(remaining=3, reset=60.0)),
        ('"a";r=0;t=1,"b";r=0;t=60', Quota(remaining=0, reset=60.0)),
        ('"a";r=50;t=30;pk=:YWJj:', Quota(remaining=50, reset=30.0)),
        ('"a,\\";b";r=50;t=30', Quota(remaining=50, reset=30.0)),
        ('"a";r=50;t=30;x="1,;r=0;t=9;"', Quota(remaining=50, reset=30.0)),
        ('"a";x="\\",\\"";r=50;t=30', Quota(remaining=50, reset=30.0)),
        ('"a";r=5, "b";r=9;t=30', Quota(remaining=9, reset=30.0)),
        ('"a";r=50;t=' + "9" * 5000, Quota(remaining=50, reset=LONGEST_WAIT)),
        ('"a";t=30;r=' + "9" * 5000, Quota(remaining=10**15, reset=30.0)),
        ('"a"', None),
        ('"a";r=50', None),
        ('"a";r=-1;t=30', None),
        ('"a";r=1.5;t=30', None),
        ('"a";r="5";t=30', None),
        ('"a";r=٣;t=30', None),
        ('"a";r=50;t=30,', None),
        ('"a";r=50;t=30, ,"b";r=1;t=1', None),
        ('"a";r=50;t=30, "b', None),
        ('"a" r=50;t=30', None),
        ("limit=100, remaining=50, reset=30", None),
        (";r=50;t=30", None),
        (" ", None),
    ],
)
def test_the_ratelimit_field(text: str, expected: Quota | None) -> None:
    """R8: the limit of which least is left counts; a malformed field is ignored as a whole."""
    assert quota({"ratelimit": text}, WALL) == expected


@pytest.mark.parametrize("prefix", ["ratelimit-", "x-ratelimit-"])
@pytest.mark.parametrize(
    ("remaining", "reset", "expected"),
    [
        ("5", "30", Quota(remaining=5, reset=30.0)),
        ("5.9", "0.5", Quota(remaining=5, reset=0.5)),
        ("0", str(int(WALL) + 30), Quota(remaining=0, reset=30.0)),
        ("0", str((int(WALL) + 30) * 1000), Quota(remaining=0, reset=30.0)),
        ("0", str(int(WALL) - 30), Quota(remaining=0, reset=0.0)),
        ("0", "-30", Quota(remaining=0, reset=0.0)),
        ("0", "86400", Quota(remaining=0, reset=LONGEST_WAIT)),
        ("0", "9" * 5000, Quota(remaining=0, reset=LONGEST_WAIT)),
        ("9" * 5000, "30", Quota(remaining=10**15, reset=30.0)),
        ("-1", "30", None),
        ("", "30", None),
        ("5", "", None),
        ("5", IMF, None),
        ("nan", "30", None),
        ("٣", "30", None),
    ],
)
def test_pairs_of_fields(prefix: str, remaining: str, reset: str, expected: Quota | None) -> None:
    """R8: the reset is seconds, or a time in seconds or milliseconds since the epoch; its size tells which."""
    assert quota({prefix + "remaining": remaining, prefix + "reset": reset}, WALL) == expected


def test_the_tightest_of_all_counts() -> None:
    """R8: where several kinds of fields are present, none can loosen what another says."""
    headers = {
        "ratelimit": '"a";r=50;t=30',
        "ratelimit-remaining": "20",
        "ratelimit-reset": "10",
        "x-ratelimit-remaining": "7",
        "x-ratelimit-reset": "5",
    }
    assert quota(headers, WALL) == Quota(remaining=7, reset=5.0)
    assert quota({}, WALL) is None


@pytest.mark.parametrize("field", ["ratelimit-policy", "ratelimit-limit", "x-ratelimit-limit"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("350, 350;w=1, 3500;w=60", [(350, 1), (3500, 60)]),
        ("10, 10;w=1, 150;w=60, 225;w=86400", [(10, 1), (150, 60), (225, 86400)]),
        ('"burst";q=100;w=60', [(100, 60)]),
        ('"burst";q=100;w=60,"daily";q=1000;w=86400', [(100, 60), (1000, 86400)]),
        ("default; w=60; q=100", [(100, 60)]),
        ("100;w=60", [(100, 60)]),
        (' 100 ; w=60 ;comment="a, b;w=7"', [(100, 60)]),
        ('"a";q=100;w=60;qu="requests";pk=:YWJj:', [(100, 60)]),
        ('"a";q=100;w=60;qu="content-bytes", "b";q=5;w=1', [(5, 1)]),
        ("0;w=60, 5;w=1", [(5, 1)]),
        ("5;w=0", []),
        ("5;w=-1", []),
        ("5;w=0.5", []),
        ("5;q=9;w=", []),
        ("5;w=" + "9" * 10, []),
        ("9" * 10 + ";w=1", []),
        ("9" * 900 + ";w=1", []),
        (", ".join(["7;w=3"] * 20), [(7, 3)] * 8),
        ("7;w=3," * 300 + "7;w=3", []),
        ('"a";w=60', []),
        ("100", []),
        ("", []),
        ("100;w=60,", []),
        ('100;w=60, "b', []),
        ("100;w=٣", []),
        ("٣;w=3", []),
        ("a b;w=3", []),
    ],
)
def test_policies(field: str, text: str, expected: list[tuple[int, int]]) -> None:
    """R8: limits are read in the forms of all drafts and Klaviyo's; what is unreadable or absurd is ignored."""
    assert policies({field: text}) == tuple(RateLimit(limit, per=span) for limit, span in expected)


def test_policies_of_several_fields() -> None:
    """R8: what all fields say counts, and no field at all says nothing."""
    headers = {"ratelimit-policy": "5;w=1", "ratelimit-limit": "350, 50;w=60", "x-ratelimit-limit": "100"}
    assert policies(headers) == (RateLimit(5, per=1), RateLimit(50, per=60))
    assert policies({}) == ()


def test_a_policy_is_no_quota() -> None:
    """R8: a number is no name in the RateLimit field."""
    assert quota({"ratelimit": "50;r=0;t=60"}, WALL) is None


ANY_TEXT: Final = st.one_of(
    st.text(max_size=60),
    st.from_regex(r'("[a-z,;\\]*"|[a-z]+)?(;[a-z]=\d*|;[a-z]="[^"]*"?|,| ){0,6}', fullmatch=True),
    st.text(st.characters(categories=["Nd", "No", "Nl"]), max_size=20),
    st.text("0123456789-.", max_size=400),
    st.from_regex(r"[A-Z][a-z]{2}, ?\d{1,5} [A-Z][a-z]{2} \d{1,6} \d{1,3}:\d\d(:\d\d)?( [-+]?\d{1,9}| GMT)?"),
)


@given(text=ANY_TEXT, other=ANY_TEXT, wall=st.floats(0.0, 1e11))
def test_nothing_that_a_server_sends_is_an_error(text: str, other: str, wall: float) -> None:
    """R8: whatever the headers hold, the answer is something sensible or nothing."""
    wait = retry_after({"retry-after": text, "date": other}, wall)
    assert wait is None or 0.0 <= wait <= LONGEST_WAIT
    for names in (("ratelimit", "x"), ("ratelimit-remaining", "ratelimit-reset"), ("x-ratelimit-remaining", "y")):
        left = quota(dict(zip(names, (text, other), strict=True)), wall)
        assert left is None or (left.remaining >= 0 and 0.0 <= left.reset <= LONGEST_WAIT)
    for name in ("ratelimit-policy", "ratelimit-limit", "x-ratelimit-limit"):
        assert len(policies({name: text})) <= 8


@pytest.mark.parametrize(
    "text", ['"a;' * 3000, ';r="' * 3000, '"a"' + ';"",' * 3000, "a" + ";b=1 " * 3000, "\\" * 9000]
)
def test_long_headers_are_read_in_passing(text: str) -> None:
    """R8: no header keeps the pattern busy: twice the text takes no more than some four times as long."""
    started = time.thread_time()
    quota({"ratelimit": text}, WALL)
    policies({"ratelimit-policy": text})
    assert time.thread_time() - started < 1.0
