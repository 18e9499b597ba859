"""
The server of some benchmarks: no framework, fixed answers, and trouble for every so many requests.

It is started by ``serving_fast`` of ``_harness.py``: it writes its port, then its counts for each line it reads, and
ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Final

OK: Final = b'{"message": "Event recorded"}'
ANSWERS: Final = {
    "accepted": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(OK), OK),
    "failed": b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "refused": b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "cut off": b"",
}
TROUBLE: Final = ("failed", "refused", "cut off")


class Answering(asyncio.Protocol):
    """Answers the requests of one connection."""

    def __init__(self, trouble: int, counts: Counter[str]) -> None:
        self._trouble = trouble
        self._counts = counts
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101  connections of TCP are
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer all requests that are complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end]).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self._received) < end + 4 + length:
                return
            del self._received[: end + 4 + length]
            self._answer()

    def _answer(self) -> None:
        assert self._transport is not None  # noqa: S101  there is one before there is data
        self._counts["requests"] += 1
        times, rest = divmod(self._counts["requests"], self._trouble) if self._trouble else (0, 1)
        kind = "accepted" if rest else TROUBLE[times % len(TROUBLE)]
        self._counts[kind] += 1
        self._transport.write(ANSWERS[kind])
        if not ANSWERS[kind]:
            self._transport.close()


async def main(trouble: int) -> None:
    """Serve until the input ends."""
    counts: Counter[str] = Counter(dict.fromkeys(("requests", *ANSWERS), 0))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(trouble, counts), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
