"""The head of a request: its line, its headers, and what is refused because it would be another request."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from transport_stage import KEY, to

from mida_async._errors import InvalidRequestError
from mida_async._transport.heads import Heads, Origin


@pytest.mark.parametrize(
    "changes",
    [
        {"url": f"http://user:{KEY}@127.0.0.1/"},
        {"url": "ftp://127.0.0.1/"},
        {"url": "http://127.0.0.1/a b"},
        {"url": "http://127.0.0.1/\r\nX: y"},
        {"url": "http://127.0.0.1:99999/"},
        {"url": "http://127.0.0.1:0/"},
        {"url": "http://[::1/"},
        {"url": "http:///path"},
        {"url": "http://127.0.0.1\\@evil/"},
        {"method": "PO ST"},
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X": "a\0"}},
        {"headers": {"X": "a", "Y\n": "b"}},
        {"headers": {"": "a"}},
        {"headers": {"content-LENGTH": "7"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
    ],
    ids=range(16),
)
def test_what_would_be_another_request_is_refused(changes: dict[str, Any]) -> None:
    """R17: nothing is sent of a request whose parts would end early or begin another."""
    with pytest.raises(InvalidRequestError) as caught:
        Heads(repr).of(attrs.evolve(to("http://127.0.0.1:9/"), **changes))
    assert KEY not in str(caught.value)


def start_of(url: str, body: bytes = b"", **changes: Any) -> list[str]:
    """Return the lines of a request."""
    request = attrs.evolve(to(url), **changes)
    return Heads(repr).of(request).with_body(body).decode("latin-1").split("\r\n")


def test_heads_are_as_they_should_be() -> None:
    """The request line, the Host header and the length are right for all sorts of addresses and bodies."""
    lines = start_of("http://Example.com", headers={"X": "\xe9"})
    assert lines[:4] == ["POST / HTTP/1.1", "Host: example.com", "Accept-Encoding: gzip, deflate", "X: \xe9"]
    assert lines[4:] == ["Content-Length: 0", "", ""]
    assert start_of("https://a:443/b?c#d")[:2] == ["POST /b?c HTTP/1.1", "Host: a"]
    assert start_of("https://a:80?c")[:2] == ["POST /?c HTTP/1.1", "Host: a:80"]
    assert start_of("http://[::1]:8080/")[1] == "Host: [::1]:8080"
    assert start_of("http://a", headers={"HOST": "b", "Accept-encoding": "br"})[1:3] == [
        "HOST: b",
        "Accept-encoding: br",
    ]
    assert start_of("http://a", b"abc")[-3:] == ["Content-Length: 3", "", "abc"]


def test_heads_are_kept_only_for_equal_headers() -> None:
    """A head is used again for the same method, address and headers; changed headers are noticed; few are kept."""
    asked: list[Origin] = []
    heads = Heads(asked.append)
    headers = {"X": "1"}
    request = attrs.evolve(to("http://a"), headers=headers)
    first = heads.of(request)
    assert heads.of(attrs.evolve(request, headers=dict(headers), body=b"other")) is first
    assert asked == [Origin(secure=False, host="a", port=80)]  # where it leads is worked out once
    headers["X"] = "2"
    assert b"X: 2\r\n" in heads.of(request).start
    for number in range(100):
        heads.of(to(f"http://a/{number}"))
    assert len(heads._kept) == 64
