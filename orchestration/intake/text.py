"""CSV and JSON lines to Arrow tables of text, a block at a time.

Every record becomes a row: one that cannot be split into columns carries its raw text and a problem
instead of values. Three CSV readers give the same rows: Arrow's for a block whose quotes are all in
order, the csv module in one go for a block without errors, and record by record for the rest;
`test_intake_text.py` compares them on random files.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from orchestration.contract import Entity
from orchestration.intake.columns import Match, match_columns, quoted, visible
from orchestration.intake.landing import FileRecord, Unreadable, not_readable

BLOCK_BYTES = 8 << 20
# A block that is not read at once is read in pieces of this size, of which few have an error.
PIECE_BYTES = 64 << 10
# A record longer than this is taken for an unclosed quote or a file without line ends.
RECORD_BYTES = 16 << 20
RAW_CHARACTERS = 4_000
# Sets of JSON keys to remember; a file with more has values for keys: slow, but not wrong.
MAX_SHAPES = 1_000
NOT_UTF8 = "not valid UTF-8 (GBK?): save the file as UTF-8"
_BOM = b"\xef\xbb\xbf"
# csv refuses fields over 128 KB unless told otherwise; staging guards the length.
csv.field_size_limit(2**31 - 1)


def read_text(
    file: FileRecord, entity: Entity, *, dated: bool, fast: bool = True
) -> Iterator[pa.Table]:
    """Tables of `_row`, `_raw`, `_problem` and the contract's columns; fills in the file's counts.

    `dated`: the file lies in a `dt=` folder, whose own `dt` column is no extra column. `fast=False`
    leaves out the fast CSV readers. Raises Unreadable, possibly after some tables: then none of
    them counts.
    """
    reader = (
        _CsvReader(entity, file, dated, fast)
        if file.format == "csv"
        else _JsonReader(entity, file, dated)
    )
    try:
        opener = gzip.open if file.source.name.lower().endswith(".gz") else open
        with opener(file.source, "rb") as stream:
            yield from reader.tables(_blocks(stream))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Unreadable(f"the gzip file is damaged or cut off ({error}): land it again") from error
    except OSError as error:
        raise not_readable(error) from error
    file.rows, file.problem_rows = reader.rows, reader.problems


def text_schema(entity: Entity) -> pa.Schema:
    technical = [("_row", pa.int64()), ("_raw", pa.string()), ("_problem", pa.string())]
    return pa.schema([*technical, *((name, pa.string()) for name in entity.column_names)])


def _blocks(stream: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """(block, is last): blocks end at a line end; the byte-order mark of UTF-8 is removed."""
    carry = stream.read(len(_BOM))
    if carry[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Unreadable("the file looks like UTF-16: save it as UTF-8")
    carry = b"" if carry == _BOM else carry
    while chunk := stream.read(BLOCK_BYTES):
        cut = chunk.rfind(b"\n") + 1
        if not cut and len(carry) + len(chunk) > RECORD_BYTES:
            cut = len(chunk)
        if cut:
            yield carry + chunk[:cut], False
            carry = chunk[cut:]
        else:
            carry += chunk
    yield carry, True


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="surrogateescape")


def _is_utf8(text: str) -> bool:
    """False for text that came from bytes which are not UTF-8 (or from a JSON escape of half a
    character).
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _raw(text: str) -> str:
    """What is kept of a record that could not be split: printable, and not without end."""
    text = text.rstrip("\r\n").encode(errors="surrogateescape").decode(errors="replace")
    if len(text) > RAW_CHARACTERS:
        text = f"{text[:RAW_CHARACTERS]}… [cut after {RAW_CHARACTERS} of {len(text)} characters]"
    return text.replace("\0", "\ufffd")


def _quotes_in_order(data: bytes) -> bool:
    """Whether every quote opens a field, closes one, or is doubled inside one.

    Read as switching on and off in turn: on comes after a comma, a line end or the off of a doubled
    quote; off comes before one of these. Lone carriage returns must have been ruled out.
    """
    signs = np.frombuffer(b"\n" + data + b"\n", np.uint8)
    quotes = np.flatnonzero(signs == ord('"'))
    before, after = signs[quotes[0::2] - 1], signs[quotes[1::2] + 1]
    return bool(
        len(quotes) % 2 == 0
        and np.isin(before, list(b',\n"')).all()
        and np.isin(after, list(b',\r\n"')).all()
    )


class _Chunk:
    """Rows of one table in the making; problem rows keep their place among the others."""

    def __init__(self, width: int):
        self.blank = (None,) * width
        self.records: list[Sequence[str | None]] = []
        self.numbers: list[int] = []
        self.raws: dict[int, str] = {}
        self.problems: dict[int, str] = {}

    def add(self, number: int, record: Sequence[str | None]) -> None:
        self.numbers.append(number)
        self.records.append(record)

    def add_problem(self, number: int, raw: str, problem: str) -> None:
        self.raws[len(self.records)], self.problems[len(self.records)] = _raw(raw), problem
        self.add(number, self.blank)

    def table(self, entity: Entity, names: Iterable[str]) -> pa.Table:
        """`names`: the contract's columns that the records hold, in their order."""
        columns = dict(zip(names, zip(*self.records, strict=True), strict=False))
        count = len(self.records)
        arrays = [pa.array(self.numbers, pa.int64())]
        for sparse in (self.raws, self.problems):
            full = [sparse.get(i) for i in range(count)] if sparse else None
            arrays.append(pa.array(full, pa.string()) if full else pa.nulls(count, pa.string()))
        for name in entity.column_names:
            found = columns.get(name)
            arrays.append(pa.array(found, pa.string()) if found else pa.nulls(count, pa.string()))
        return pa.table(arrays, schema=text_schema(entity))


class _CsvReader:
    def __init__(self, entity: Entity, file: FileRecord, dated: bool, fast: bool):
        self.entity, self.file, self.dated, self.fast = entity, file, dated, fast
        self.rows = self.problems = 0

    def tables(self, blocks: Iterator[tuple[bytes, bool]]) -> Iterator[pa.Table]:
        header, rest = None, b""
        for block, last in blocks:
            data = rest + block
            if header is None:
                header, data = self._header(data)
                match = self._match(header)
                self.file.extra_columns, self.file.missing_columns = match.extra, match.missing
            for table, carried in self._tables_of(data, header, match.positions, last):
                rest = carried
                if table.num_rows:
                    self.rows += table.num_rows
                    self.problems += table.num_rows - table["_problem"].null_count
                    yield table

    def _header(self, data: bytes) -> tuple[list[str], bytes]:
        if b"\0" in data.partition(b"\n")[0]:
            raise Unreadable(
                "the header holds NUL characters: the file is UTF-16 or no text; save it as UTF-8"
            )
        feed = _Lines(_decode(data))
        reader = csv.reader(feed, strict=True)
        header: list[str] = []
        try:
            while not header and not feed.done:
                header = next(reader)
        except csv.Error as error:
            raise Unreadable(
                f"the header cannot be split into columns ({error}): repair the first line"
            ) from error
        if not header:
            raise Unreadable("the file has no header: its first line must name the columns")
        return header, feed.rest(feed.at)

    def _match(self, header: list[str]) -> Match:
        match = match_columns(header, self.entity, dated=self.dated)
        if match.positions:
            return match
        for name, sign in (("`;`", ";"), ("a tab", "\t"), ("`|`", "|")):
            if (
                len(header) == 1
                and match_columns(header[0].split(sign), self.entity, dated=False).positions
            ):
                line = quoted([visible(header[0]).replace("\t", "⇥")])
                raise Unreadable(
                    f"the header has one column {line}: the delimiter looks like {name},"
                    " use a comma"
                )
        if not _is_utf8("".join(header)):
            raise Unreadable(
                "the header is not valid UTF-8 and looks like GBK: save the file as UTF-8"
            )
        raise Unreadable(match.none_found(header, self.entity))

    def _tables_of(
        self, data: bytes, header: list[str], positions: dict[str, int], last: bool
    ) -> Iterator[tuple[pa.Table, bytes]]:
        """The tables of a block, each with the bytes of a record that goes on in the next block."""
        if not self.fast:
            yield self._by_record(data, header, positions, last)
            return
        start, size = 0, len(data)
        while start < len(data):
            end = data.find(b"\n", start + size) + 1 or len(data)
            piece = data[start:end]
            table, rest = self._at_one_go(piece, header, positions), b""
            if table is None and size > PIECE_BYTES:
                size = PIECE_BYTES
                continue
            if table is None:
                table, rest = self._by_record(piece, header, positions, last and end == len(data))
            if rest and end < len(data):
                # A long record, or a quote that is never closed: it is looked for once, not in every piece.
                yield table, b""
                table, rest = self._by_record(rest + data[end:], header, positions, last)
                end = len(data)
            yield table, rest
            start = end

    def _at_one_go(
        self, data: bytes, header: list[str], positions: dict[str, int]
    ) -> pa.Table | None:
        table = self._arrow(data, header, positions)
        return self._at_once(data, header, positions) if table is None else table

    def _arrow(self, data: bytes, header: list[str], positions: dict[str, int]) -> pa.Table | None:
        """A block whose quotes are all in order. None when it is not that simple after all."""
        if not data.strip(b"\r\n"):
            return text_schema(self.entity).empty_table()
        lone_return = data.count(b"\r") != data.count(b"\r\n")
        if lone_return or b"\0" in data or data.startswith(_BOM) or not _quotes_in_order(data):
            return None
        numbered = [str(i) for i in range(len(header))]
        try:
            data.decode()  # Arrow looks at the columns that it is asked for only
            found = pacsv.read_csv(
                pa.py_buffer(data),
                pacsv.ReadOptions(column_names=numbered, block_size=1 << 20),
                pacsv.ParseOptions(newlines_in_values=b'"' in data),
                pacsv.ConvertOptions(
                    column_types=dict.fromkeys(numbered, pa.string()),
                    include_columns=[str(position) for position in positions.values()],
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
        except ValueError:  # not UTF-8, ragged, or a record longer than Arrow's block
            return None
        count = found.num_rows
        nulls = pa.nulls(count, pa.string())
        numbers = pa.array(range(self.rows + 1, self.rows + count + 1), pa.int64())
        values = [
            found[str(positions[n])] if n in positions else nulls for n in self.entity.column_names
        ]
        return pa.table([numbers, nulls, nulls, *values], schema=text_schema(self.entity))

    def _at_once(
        self, data: bytes, header: list[str], positions: dict[str, int]
    ) -> pa.Table | None:
        """A block in which every record is whole and in order. None when one is not."""
        try:
            records = [
                r for r in csv.reader(io.StringIO(data.decode(), newline=""), strict=True) if r
            ]
        except (UnicodeDecodeError, csv.Error):
            return None
        width = len(header)
        if b"\0" in data or any(len(record) != width for record in records):
            return None
        chunk = _Chunk(len(positions))
        chunk.numbers = list(range(self.rows + 1, self.rows + len(records) + 1))
        wanted = list(positions.values())
        # The csv module cannot tell `a,,b` from `a,"",b`: both are a missing value.
        chunk.records = [[record[i] or None for i in wanted] for record in records]
        return chunk.table(self.entity, positions)

    def _by_record(
        self, data: bytes, header: list[str], positions: dict[str, int], last: bool
    ) -> tuple[pa.Table, bytes]:
        """Record by record; also returns the bytes of a record that goes on in the next block.

        A record that breaks the rules of quoting costs its first line only: reading starts again at
        the next line, so that one unclosed quote does not swallow the rest of the file.
        """
        feed = _Lines(_decode(data))
        reader = csv.reader(feed, strict=True)
        chunk = _Chunk(len(positions))
        wanted, width, rest = list(positions.values()), len(header), b""
        while not feed.done:
            start, number = feed.at, self.rows + len(chunk.records) + 1
            try:
                record = next(reader)
            except csv.Error as error:
                if "unexpected end" in str(error) and not last:
                    rest = feed.rest(start)
                    if len(rest) < RECORD_BYTES:
                        break
                    rest = b""
                feed.at = start + 1
                problem = (
                    f"the quotes do not match ({error}):"
                    " put them round the whole field and double those inside"
                )
                chunk.add_problem(number, feed.lines[start], problem)
                continue
            raw = "".join(feed.lines[start : feed.at])
            if not record:
                continue
            if not _is_utf8(raw):
                chunk.add_problem(number, raw, NOT_UTF8)
            elif "\0" in raw:
                chunk.add_problem(
                    number, raw, "holds a NUL character: the file is damaged; export it again"
                )
            elif len(record) != width:
                problem = (
                    f"{len(record)} fields where the header has {width}:"
                    " quote fields that hold a comma"
                )
                chunk.add_problem(number, raw, problem)
            else:
                chunk.add(number, [record[i] or None for i in wanted])
        return chunk.table(self.entity, positions), rest


class _Lines:
    """Lines for csv.reader that can be put back; ends at LF, CRLF or CR as the csv module wants
    them.
    """

    def __init__(self, text: str):
        self.lines = list(io.StringIO(text, newline=""))
        self.at = 0

    @property
    def done(self) -> bool:
        return self.at >= len(self.lines)

    def rest(self, start: int) -> bytes:
        return "".join(self.lines[start:]).encode(errors="surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.done:
            raise StopIteration
        self.at += 1
        return self.lines[self.at - 1]


class _JsonReader:
    def __init__(self, entity: Entity, file: FileRecord, dated: bool):
        self.entity, self.file, self.dated = entity, file, dated
        self.rows = self.problems = 0
        self.keys: dict[str, None] = {}
        self.shapes: dict[tuple[str, ...], list[str | None]] = {}

    def tables(self, blocks: Iterator[tuple[bytes, bool]]) -> Iterator[pa.Table]:
        names = self.entity.column_names
        lines_before = 0
        for block, _ in blocks:
            chunk = _Chunk(len(names))
            lines = block.removesuffix(b"\n").split(b"\n") if block else []
            for number, line in enumerate(lines, lines_before + 1):
                if line.strip():
                    self._add(chunk, number, _decode(line))
            lines_before += len(lines)
            if chunk.records:
                self.rows += len(chunk.records)
                self.problems += len(chunk.problems)
                yield chunk.table(self.entity, names)
        if self.rows > self.problems:
            match = match_columns(
                list(self.keys), self.entity, dated=self.dated, check_duplicates=False
            )
            self.file.extra_columns, self.file.missing_columns = match.extra, match.missing
            if not match.positions:
                raise Unreadable(match.none_found(list(self.keys), self.entity))

    def _add(self, chunk: _Chunk, number: int, line: str) -> None:
        first = not self.rows and not chunk.records
        if first and line.lstrip().startswith("["):
            raise Unreadable("the file is one JSON array: write one object per line instead")
        if first and line.strip() == "{":
            raise Unreadable(
                "the file is JSON spread over several lines: write one object per line instead"
            )
        if not _is_utf8(line):
            chunk.add_problem(number, line, NOT_UTF8)
            return
        try:
            chunk.add(number, self._record(line))
        except RecursionError:
            chunk.add_problem(number, line, "nested too deeply: write one flat object per line")
        except ValueError as error:
            chunk.add_problem(
                number, line, f"not a JSON object ({error}): write one object per line"
            )

    def _record(self, line: str) -> list[str | None]:
        document = _parse(line)
        if not isinstance(document, dict):
            raise ValueError(f"it is a {type(document).__name__}")
        shape = tuple(document)
        keys = self.shapes.get(shape)
        if keys is None:
            keys = self._keys_of_columns(shape)
        values = [document[key] if key is not None else None for key in keys]
        plain = "\\u" not in line
        for i, value in enumerate(values):
            if value is None or (plain and type(value) is str):
                continue
            if isinstance(value, bool):
                values[i] = "true" if value else "false"
            elif isinstance(value, dict | list):
                values[i] = json.dumps(json.loads(line)[keys[i]], ensure_ascii=False)
            if not _is_utf8(values[i]):
                raise ValueError(f"half a character in {quoted([keys[i]])}")
        return values

    def _keys_of_columns(self, shape: tuple[str, ...]) -> list[str | None]:
        """The key of each of the contract's columns, worked out once per set of keys."""
        keys: dict[str, str | None] = dict.fromkeys(self.entity.column_names)
        for key in shape:
            name = key.strip().lower()
            if keys.get(name) is not None:
                raise ValueError(f"duplicate key {quoted([name])}")
            if name in keys:
                keys[name] = key
        self.keys.update(dict.fromkeys(shape))
        if len(self.shapes) >= MAX_SHAPES:
            self.shapes.clear()
        self.shapes[shape] = list(keys.values())
        return self.shapes[shape]


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(
            f"duplicate key {quoted(sorted({key for key in keys if keys.count(key) > 1}))}"
        )
    return document


# Literals stay text: an id of 19 digits or an amount of 0.10 never passes through a float.
_LITERAL = {"parse_int": str, "parse_float": str, "parse_constant": str}
_QUICK = json.JSONDecoder(**_LITERAL)
_STRICT = json.JSONDecoder(**_LITERAL, object_pairs_hook=_without_duplicates)


def _parse(line: str) -> object:
    """One JSON document; a duplicate key raises ValueError.

    Looking for duplicates in Python costs as much as parsing. When every colon follows its key's
    quote directly and there are as many of these pairs of signs as keys, no key can have been lost
    to a duplicate.
    """
    line = line.strip()
    document = _QUICK.decode(line)
    keys = len(document) if isinstance(document, dict) else -1
    if " :" in line or "\t" in line or "\r" in line or line.count('":') != keys:
        document = _STRICT.decode(line)
    return document
