"""Text columns built from integers without a Python loop.

A column is drawn as a byte matrix of shape (rows, width) with one length per row and turned into an
Arrow string array in one copy; this renders about ten million short strings a second on one core.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_ZERO = ord("0")
DAY_SECONDS = 86_400
UTC_OFFSET = 8 * 3_600  # Asia/Shanghai, which has had no summer time since 1991.


def mix(values: np.ndarray, salt: int) -> np.ndarray:
    """Hash integers of shape (n,) into uint64 of shape (n,); splitmix64 of value and salt."""
    mask = (1 << 64) - 1
    x = values.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15) & mask)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def unit(values: np.ndarray, salt: int) -> np.ndarray:
    """Hash integers of shape (n,) into floats in [0, 1)."""
    return (mix(values, salt) >> np.uint64(11)) * (1.0 / (1 << 53))


def digits(values: np.ndarray, width: int) -> np.ndarray:
    """Zero-padded decimal digits of non-negative integers: bytes of shape (n, width)."""
    out = np.empty((len(values), width), dtype=np.uint8)
    rest = values.astype(np.int64)
    for place in range(width - 1, -1, -1):
        rest, digit = np.divmod(rest, 10)
        out[:, place] = digit + _ZERO
    return out


def hexes(values: np.ndarray, width: int = 16) -> np.ndarray:
    """Lower-case hexadecimal digits of uint64 values: bytes of shape (n, width), width <= 16."""
    shifts = np.arange(60, 60 - 4 * width, -4, dtype=np.uint64)
    return _HEX[(values[:, None] >> shifts) & np.uint64(15)]


def strings(buffer: np.ndarray, lengths: np.ndarray | None = None, null=None) -> pa.Array:
    """Arrow strings from bytes of shape (n, width).

    `lengths` (n,) keeps the first bytes of each row (all of them by default); `null` (n,) marks
    rows without a value.
    """
    rows, width = buffer.shape
    if lengths is None:
        lengths = np.full(rows, width)
    if null is not None:
        lengths = np.where(null, 0, lengths)
    offsets = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    if offsets[-1] == rows * width:
        data = np.ascontiguousarray(buffer)
    else:
        data = buffer[np.arange(width) < lengths[:, None]]
    validity = None
    count = 0
    if null is not None and null.any():
        validity = pa.py_buffer(np.packbits(~null, bitorder="little"))
        count = int(null.sum())
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), rows, buffers, null_count=count)


def words(vocabulary, codes: np.ndarray) -> pa.Array:
    """Arrow strings `vocabulary[code]` for codes of shape (n,); a negative code is NULL."""
    codes = np.asarray(codes)
    index = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.array(vocabulary, pa.string()).take(index)


def joined(*parts) -> pa.Array:
    """Arrow strings put one after another; each part is an Arrow array or one text."""
    return pc.binary_join_element_wise(*parts, "")


class Clock:
    """Writes seconds since local midnight of the world's first day as text or native times."""

    def __init__(self, start: dt.date, days: int) -> None:
        self.start = start
        self._origin = start - dt.timedelta(days=2)
        table = "".join(
            (self._origin + dt.timedelta(days=day)).isoformat() for day in range(days + 800)
        )
        self._dates = np.frombuffer(table.encode(), dtype=np.uint8).reshape(-1, 10)
        second = np.arange(DAY_SECONDS)
        times = np.full((DAY_SECONDS, 8), ord(":"), dtype=np.uint8)
        times[:, 0:2] = digits(second // 3_600, 2)
        times[:, 3:5] = digits(second // 60 % 60, 2)
        times[:, 6:8] = digits(second % 60, 2)
        self._times = times
        self._epoch = (start - dt.date(1970, 1, 1)).days * DAY_SECONDS

    def text(self, seconds: np.ndarray, style: np.ndarray) -> pa.Array:
        """Times as text, shape (n,); a negative second is NULL, styles as in vocabulary.SOURCES."""
        null = seconds < 0
        local = np.where(null, 0, seconds).astype(np.int64)
        local = np.where(style == 3, local - UTC_OFFSET, local)
        day, second = np.divmod(local, DAY_SECONDS)
        out = np.zeros((len(local), 25), dtype=np.uint8)
        out[:, :10] = self._dates[day + 2]
        out[:, 10] = np.where(style == 0, ord(" "), ord("T"))
        out[:, 11:19] = self._times[second]
        out[:, 19:25] = np.frombuffer(b"+08:00", dtype=np.uint8)
        out[style == 3, 19] = ord("Z")
        lengths = np.choose(style, (19, 19, 25, 20))
        return strings(out, lengths, null)

    def native(self, seconds: np.ndarray, utc: bool) -> pa.Array:
        """Times as Arrow timestamps in microseconds: local and naive, or UTC with a zone."""
        instant = (seconds.astype(np.int64) + self._epoch) * 1_000_000
        if utc:
            instant -= UTC_OFFSET * 1_000_000
        kind = pa.timestamp("us", "UTC") if utc else pa.timestamp("us")
        return pa.array(instant, mask=seconds < 0).cast(kind)

    def dates(self, day: np.ndarray) -> pa.Array:
        """Day numbers of the world, shape (n,), as Arrow dates."""
        return pa.array((day + self._epoch // DAY_SECONDS).astype(np.int32)).cast(pa.date32())


def decimals(cents: np.ndarray) -> pa.Array:
    """Integer cents of shape (n,) as Arrow decimal128(18, 2)."""
    words_of_two = np.empty((len(cents), 2), dtype=np.int64)
    words_of_two[:, 0] = cents
    words_of_two[:, 1] = words_of_two[:, 0] >> 63
    return pa.Array.from_buffers(
        pa.decimal128(18, 2), len(cents), [None, pa.py_buffer(words_of_two)]
    )
