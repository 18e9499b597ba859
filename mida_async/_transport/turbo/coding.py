"""Bodies that were compressed on their way."""

from __future__ import annotations

import zlib
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
# The low half of the first byte of what has zlib's header (RFC 1950), as deflate should, and does not always.
_METHOD: Final = 0x0F
_DEFLATED: Final = 8


class Decoder:
    """
    Decompresses one body, piece by piece, and never more of it than there is room for.

    Args:
        gzip: Whether it is gzip; else it is deflate, with zlib's header or without.
    """

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._stream = zlib.decompressobj(_GZIP if gzip else _ZLIB)
        self._begun = False

    @property
    def finished(self) -> bool:
        """Whether the end was seen. A body of no bytes at all has no end to see."""
        return self._stream.eof or not self._begun

    def decode(self, data: bytes, room: int) -> bytes:
        """
        Decompress the next piece.

        Args:
            data: What came.
            room: How many bytes are wanted at most; what is over is lost.

        Raises:
            zlib.error: This is not what it should be, or goes on after its end.
        """
        if not self._begun:
            self._begun = True
            if not self._gzip and data[0] & _METHOD != _DEFLATED:
                self._stream = zlib.decompressobj(_RAW)
        if self._stream.eof:
            raise zlib.error
        decoded = self._stream.decompress(data, room)
        if self._stream.unused_data:
            raise zlib.error
        return decoded


def decoder_for(coding: str) -> Decoder | None:
    """Return what reads a body with this ``Content-Encoding``; None for those that are taken as they are."""
    name = coding.strip().lower()
    if name in {"gzip", "x-gzip"}:
        return Decoder(gzip=True)
    return Decoder(gzip=False) if name == "deflate" else None
