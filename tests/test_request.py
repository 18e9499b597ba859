"""Accounts and requests."""

from __future__ import annotations

import datetime as dt
import enum
import re
import tomllib
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import InvalidRequestError, SettingsError
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async._core.request import REGIONS, VERSION, Account, build, checked_headers
from mida_async._sentinels import UNSET

KEY = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
GET = ENDPOINTS["events.get"]
LIST = ENDPOINTS["events.list"]


def _account(**changes: object) -> Account:
    given: dict[str, object] = {"project_key": "Pk_-1", "api_key": KEY, "base_url": "https://mida.test"}
    return Account.create(**{**given, **changes})  # type: ignore[arg-type]


def _refusal(**changes: object) -> str:
    with pytest.raises(SettingsError) as caught:
        _account(**changes)
    error = caught.value
    assert KEY not in f"{error!s} {error!r} {error.args} {error.__dict__} {error.__cause__} {error.__context__}"
    return str(error)


def test_the_version_is_the_packages() -> None:
    """What User-Agent says is what pyproject.toml says."""
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"]["version"] == VERSION


@pytest.mark.parametrize("region", ["us", "eu"])
def test_a_region_names_the_host(region: str) -> None:
    """Each region has its own host."""
    account = _account(base_url=None, region=region)
    assert account.base_url == REGIONS[region] == f"https://api-{region}.mida.so"


def test_base_url_wins_over_region() -> None:
    """Given both, the address counts."""
    assert _account(region="us").base_url == "https://mida.test"


def test_there_is_no_default_region() -> None:
    """Without region and address, the message says how to give either."""
    message = _refusal(base_url=None)
    assert "MIDA_REGION" in message
    assert "MIDA_BASE_URL" in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"region": "asia", "base_url": None}, ["'asia'", "'us' or 'eu'"]),
        ({"project_key": None}, ["MIDA_PROJECT_KEY"]),
        ({"project_key": ""}, ["MIDA_PROJECT_KEY"]),
        ({"api_key": None}, ["MIDA_API_KEY"]),
        ({"api_key": ""}, ["MIDA_API_KEY"]),
        ({"max_response_bytes": 0}, ["max_response_bytes is 0", "1 or greater"]),
        ({"max_response_bytes": True}, ["max_response_bytes is True"]),
        ({"max_response_bytes": 2.5}, ["max_response_bytes is 2.5"]),
    ],
)
def test_what_is_missing_or_wrong_says_what_to_do(changes: dict[str, object], words: list[str]) -> None:
    """The message names the setting and what is allowed."""
    message = _refusal(**changes)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("key", ["..", ".", "a/b", "a b", "ä", "a\n", "a%2e", "a?b", "a#b", "a\\b", KEY + "!", 7])
def test_project_keys_have_no_odd_characters(key: object) -> None:
    """R17: a project key is letters, digits, `_` and `-`; a wrong one may be the API key, so it is not shown."""
    assert str(key) not in _refusal(project_key=key).split("project_key must")[0]


@pytest.mark.parametrize("end", ["\n", "\r\nX-Evil: 1", " ", "\t", "\x00", "\x7f", "€", "\x80", "\xa0"])
def test_api_keys_fit_into_a_header(end: str) -> None:
    """R17: a key with a blank, a control character or one outside of latin-1 is refused, and not shown."""
    assert "api_key" in _refusal(api_key=KEY + end)


def test_an_api_key_that_is_no_text_is_refused() -> None:
    """A key of another type is a setting's error, not a crash."""
    assert "api_key" in _refusal(api_key=KEY.encode())


def test_an_account_does_not_show_its_key() -> None:
    """R17: neither an account nor a request shows the key, in its headers or elsewhere."""
    account = _account()
    request = build(GET, account, path={"event_id": 1})
    assert KEY not in f"{account!r} {account} {request!r} {request} {request.label} {request.url}"


@pytest.mark.parametrize(
    ("base_url", "kept"),
    [
        ("https://mida.test", "https://mida.test"),
        ("https://mida.test/", "https://mida.test"),
        ("HTTPS://mida.test:8443/proxy/mida//", "https://mida.test:8443/proxy/mida"),
        ("https://mida.test/v2x", "https://mida.test/v2x"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://LOCALHOST", "http://LOCALHOST"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://127.255.0.1", "http://127.255.0.1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_good_addresses_are_kept(base_url: str, kept: str) -> None:
    """An address loses the slash at its end, and plain http to this machine is allowed."""
    assert _account(base_url=base_url).base_url == kept


@pytest.mark.parametrize(
    ("base_url", "word"),
    [
        ("ftp://mida.test", "https://"),
        ("mida.test", "https://"),
        ("//mida.test", "https://"),
        ("https://", "https://"),
        ("https:///path", "https://"),
        ("https://mida.test:port", "https://"),
        ("https://mida.test:99999", "https://"),
        ("https://[::1", "https://"),
        ("https://mi%64a.test", "https://"),
        ("https://user@mida.test", "password"),
        ("https://user:hunter2@mida.test", "password"),
        ("https://mida.test?x=1", "query"),
        ("https://mida.test/#x", "fragment"),
        ("https://mida.test/v2", "leave the /v2"),
        ("https://mida.test/v2/", "leave the /v2"),
        ("https://mida.test\n", "visible"),
        ("https://mida\t.test", "visible"),
        ("https://mida .test", "visible"),
        ("https://mïda.test", "visible"),
        ("https://mida.test\\@evil.test", "backslash"),
        (7, "visible"),
    ],
)
def test_bad_addresses_say_why(base_url: object, word: str) -> None:
    """The message names what is wrong, and does not repeat the address, which may hold a password."""
    message = _refusal(base_url=base_url)
    assert word in message
    assert "base_url" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "host",
    [
        "mida.test",
        "127.0.0.1.evil.test",
        "localhost.evil.test",
        "evil-localhost",
        "10.0.0.1",
        "0.0.0.0",  # noqa: S104 - not an address to bind to
        "[2001:db8::1]",
        "128.0.0.1",
        "2130706433",
        "127.1",
    ],
)
def test_plain_http_stays_on_this_machine(host: str) -> None:
    """R17: plain http to another machine is refused unless it is asked for by name."""
    assert "allow_insecure_http" in _refusal(base_url=f"http://{host}")
    assert _account(base_url=f"http://{host}", allow_insecure_http=True).base_url == f"http://{host}"


def test_a_request_has_what_the_page_asks_for() -> None:
    """Address, headers, limit and secret of a request come from the endpoint and the account."""
    request = build(GET, _account(max_response_bytes=10), path={"event_id": 9876})
    assert (request.method, request.url) == ("GET", "https://mida.test/v2/project/Pk_-1/event/9876")
    assert request.headers == {
        "Authorization": f"Bearer {KEY}",
        "Accept": "application/json",
        "User-Agent": f"mida-async/{VERSION}",
    }
    assert (request.body, request.max_response_bytes, request.secret) == (None, 10, KEY)


def test_a_request_with_a_body_says_its_type() -> None:
    """Content-Type is there exactly where a body is, an empty one too; the headers are made once an account."""
    account = _account()
    request = build(ENDPOINTS["events.record"], account, body=b"")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers is build(ENDPOINTS["goals.create"], account, body=b"{}").headers
    assert "Content-Type" not in build(LIST, account).headers


_IDS = [0, -1, True, "1", "..", "", None, 1.0, 2**63, pytest.param(10**5000, id="many digits"), "x" * 99, UNSET]


@pytest.mark.parametrize("value", _IDS)
def test_ids_are_positive_whole_numbers(value: object) -> None:
    """R17: nothing else gets into a path, where `..` would name the project itself."""
    with pytest.raises(InvalidRequestError, match=r"^event_id is .*whole number, 1 or greater") as caught:
        build(GET, _account(), path={"event_id": value})
    assert len(str(caught.value)) < 150


def test_a_missing_id_is_refused() -> None:
    """A path that is not filled in is never sent."""
    with pytest.raises(InvalidRequestError, match="event_id"):
        build(GET, _account())


class _Id(enum.IntEnum):
    ONE = 1


def test_an_id_of_a_subclass_is_a_number() -> None:
    """A member of an IntEnum is written in digits."""
    assert build(GET, _account(), path={"event_id": _Id.ONE}).url.endswith("/event/1")


def test_another_project_can_be_named_if_it_is_a_project_key() -> None:
    """R17: a project key in the path is checked like the account's own."""
    assert "/project/other/" in build(LIST, _account(), path={"project_key": "other"}).url
    for wrong in ("..", "a/b", "", None, 7):
        with pytest.raises(InvalidRequestError, match="project_key must"):
            build(LIST, _account(), path={"project_key": wrong})


class _Sort(enum.Enum):
    NEWEST = "newest first"


def test_a_query_leaves_out_what_is_not_given() -> None:
    """None and UNSET are not sent; flags, days, enumerations and lists have their documented form."""
    query = {
        "limit": 50,
        "event_text": None,
        "offset": UNSET,
        "include": True,
        "exclude": False,
        "day": dt.date(2024, 1, 2),
        "moment": dt.datetime(2024, 1, 2, 23, 59, tzinfo=dt.UTC),
        "sort": _Sort.NEWEST,
        "account": ["a&b", None, "c"],
    }
    url = build(LIST, _account(), query=query).url
    assert url.partition("?")[2] == (
        "limit=50&include=true&exclude=false&day=2024-01-02&moment=2024-01-02&sort=newest%20first&account=a%26b&account=c"
    )


def test_a_query_of_nothing_has_no_question_mark() -> None:
    """Where all fields are left out, the address ends with the path."""
    assert build(LIST, _account(), query={"event_text": None}).url.endswith("/events")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_query_survives_any_text(text: str) -> None:
    """Whatever is put in comes out at the server, and the address is plain ASCII without blanks."""
    url = build(LIST, _account(), query={"event_text": text}).url
    assert re.fullmatch(r"[!-~]+", url)
    assert parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True) == [("event_text", text)]


def test_a_query_with_half_a_character_is_refused() -> None:
    """Half of a surrogate pair cannot be escaped."""
    with pytest.raises(InvalidRequestError, match="event_text: half") as caught:
        build(LIST, _account(), query={"event_text": "\ud800"})
    assert caught.value.__context__ is None


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\x00b", "a\x7fb", "€"])
def test_headers_with_control_characters_are_refused(value: str) -> None:
    """R17: no value can end a header and begin another, and the message does not show it."""
    with pytest.raises(InvalidRequestError, match=r"^header X-Test: ") as caught:
        checked_headers({"X-Test": value})
    assert value not in str(caught.value)


def test_good_headers_pass_and_cannot_be_changed() -> None:
    """Tabs, blanks and latin-1 are allowed; later changes of the caller's mapping do not matter."""
    mine = {"X-Test": "a\tb \xe4"}
    checked = checked_headers(mine)
    mine["X-Test"] = "changed"
    assert checked == {"X-Test": "a\tb \xe4"}
