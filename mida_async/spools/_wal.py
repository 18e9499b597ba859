"""How much a write-ahead log should hold: SQLite stops reading at the first damage in it, and says nothing."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">4I")
_FRAME_HEADER_SIZE: Final = 24
_PAGE_SIZES: Final = frozenset(2**power for power in range(9, 17))
_MAGIC: Final = 0x377F0682
# A frame of an earlier round has other salts, of which one is random. So has a damaged one, but in few bits.
_FEW_BITS: Final = 3


def _sum(data: bytes, magic: int) -> tuple[int, int]:
    """Return the checksum of the header, as the file format has it."""
    words = struct.unpack(f"{'>' if magic & 1 else '<'}{len(data) // 4}I", data)
    first = second = 0
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second


def committed_frames(wal: Path, page_size: int) -> int:
    """
    Return after how many frames the last committed transaction in a log ends, were nothing in it damaged.

    Args:
        wal: The file; it may be missing.
        page_size: The size of the database's pages, where the log's own word on it is damaged.
    """
    try:
        file = wal.open("rb")
    except FileNotFoundError:
        return 0
    with file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return 0
        magic, _version, size, _round, salt, other_salt, *checksum = _HEADER.unpack(header)
        whole = magic | 1 == _MAGIC | 1 and tuple(checksum) == _sum(header[:24], magic) and size in _PAGE_SIZES
        salts = (salt << 32) | other_salt if whole else None
        step = _FRAME_HEADER_SIZE + (size if whole else page_size)
        number = last = 0
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            number += 1
            _page, pages, salt, other_salt = _FRAME.unpack(frame)
            mine = (salt << 32) | other_salt
            salts = mine if salts is None else salts
            if pages and (mine ^ salts).bit_count() <= _FEW_BITS:
                last = number
            file.seek(_HEADER.size + number * step)
        return last
