"""Pictures listed in a table: CSV or JSON lines beside the files, or Parquet with the files inside."""

from __future__ import annotations

import csv
import io
import json
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np

from sparring.core.errors import UserError
from sparring.data.listing import FILE_LIMIT, Pictures, number_labels, stamp_of, stamp_of_file

FILE_COLUMNS = ("file", "filename", "file_name", "image", "path")
LABEL_COLUMNS = ("label", "labels", "class", "category", "text")


def open_table(path: Path) -> Pictures:
    """A CSV, TSV or JSON-lines file with a column of file names, relative to itself, and perhaps one of labels.

    Raises:
        UserError: not readable as such a table.
    """
    rows, columns = _read_rows(path)
    file_column = _column(columns, FILE_COLUMNS)
    label_column = _column(columns, LABEL_COLUMNS)
    if file_column is None:
        raise UserError(f"{path}: no column of files: has {columns}, needs one of {', '.join(FILE_COLUMNS)}")
    labels, class_names = number_labels([_label(row.get(label_column or "")) for row in rows])
    return _files(path, [str(row.get(file_column) or "") for row in rows], labels, class_names)


def open_columns(path: Path, wanted: tuple[tuple[str, ...], ...]) -> list[Pictures]:
    """A table with several columns of file names, relative to itself: one source for each column.

    Args:
        path: a CSV, TSV or JSON-lines file.
        wanted: for each column, the names that it may have.

    Raises:
        UserError: not readable as such a table, or a column is missing.
    """
    rows, columns = _read_rows(path)
    found = [_column(columns, names) for names in wanted]
    if None in found:
        needs = " and ".join(names[0] for names in wanted)
        raise UserError(f"{path}: its columns are {', '.join(columns)}; needed are {needs}")
    unknown = np.full(len(rows), -1, np.int64)
    return [_files(path, [str(row.get(column or "") or "") for row in rows], unknown, []) for column in found]


def _read_rows(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a table, at least one, and the names of its columns."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error})") from None
    rows = _json_rows(text, path) if path.suffix.lower() == ".jsonl" else _csv_rows(text, path)
    if not rows:
        raise UserError(f"{path}: the table has no rows")
    return rows, list(dict.fromkeys(column for row in rows for column in row))


def _files(path: Path, names: list[str], labels: np.ndarray, class_names: list[str]) -> Pictures:
    files = [path.parent / name for name in names]
    stamp = stamp_of(stamp_of_file(path), *(stamp_of_file(file) if file.is_file() else file for file in files))
    return Pictures("table", names, labels, class_names, stamp, lambda index: open_file(files[index]))


def open_file(path: Path) -> BinaryIO:
    """A picture's file, unless it is absurdly large or no file at all."""
    if not path.is_file():
        raise ValueError("there is no such file")
    if path.stat().st_size > FILE_LIMIT:
        raise ValueError("the file is too large for a picture")
    return path.open("rb")


def _csv_rows(text: str, path: Path) -> list[dict[str, Any]]:
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise UserError(f"{path}: not a readable CSV file ({error})") from None


def _json_rows(text: str, path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON ({error})") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: not a JSON object")
        rows.append(row)
    return rows


def _column(columns: list[str], wanted: tuple[str, ...]) -> str | None:
    plain = {str(column).strip().lower(): column for column in columns if column is not None}
    return next((plain[name] for name in wanted if name in plain), None)


def _label(value: object) -> str | int | None:
    """Numbers stay numbers; any other value is known by its text."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return str(value).strip()


def open_parquet(path: Path) -> Pictures:
    """A Parquet file with a column of encoded pictures: bytes, or Hugging Face's {bytes, path}.

    Raises:
        UserError: pyarrow is not installed, or the file is not such a table.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(f"{path}: reading Parquet needs pyarrow: pip install 'sparring[parquet]'") from None
    try:
        table = parquet.ParquetFile(path)
        column = _picture_column(table.schema_arrow, path)
        label_column = _column([name for name in table.schema_arrow.names if name != column], LABEL_COLUMNS)
        values = table.read(columns=[label_column]).column(0).to_pylist() if label_column else []
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from None
    count = table.metadata.num_rows
    if not count:
        raise UserError(f"{path}: the table has no rows")
    labels, class_names = number_labels([_label(value) for value in values] if values else [None] * count)
    named = _class_names(table.schema_arrow.metadata, label_column)
    return Pictures(
        "parquet",
        [f"row {number}" for number in range(count)],
        labels,
        named if len(named) >= len(class_names) else class_names,
        stamp_of_file(path),
        _row_reader(table, column, path.parent),
        order=range(count),
        close=table.close,
    )


def _picture_column(schema: Any, path: Path) -> str:
    from pyarrow import types

    def is_bytes(kind: Any) -> bool:
        if types.is_struct(kind):
            return any(kind.field(i).name == "bytes" and is_bytes(kind.field(i).type) for i in range(kind.num_fields))
        return types.is_binary(kind) or types.is_large_binary(kind)

    found = [field.name for field in schema if is_bytes(field.type)]
    named = _column(found, FILE_COLUMNS)
    if named is None and len(found) != 1:
        shown = ", ".join(f"{field.name}: {field.type}" for field in schema)
        raise UserError(f"{path}: needs one column of encoded pictures (bytes), named 'image'; it has {shown}")
    return named or found[0]


def _class_names(metadata: dict[bytes, bytes] | None, label_column: str | None) -> list[str]:
    """The names that Hugging Face's datasets keep beside a table of numbered labels."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[label_column]["names"]]
    except (KeyError, TypeError, ValueError):
        return []


def _row_reader(table: Any, column: str, folder: Path) -> Any:
    """Reads one row; the last group of rows is kept, since rows are asked for in order."""
    groups = range(table.metadata.num_row_groups)
    ends = list(accumulate(table.metadata.row_group(group).num_rows for group in groups))
    lock = Lock()
    kept: tuple[int, Any] = (-1, None)

    def open_row(index: int) -> BinaryIO:
        nonlocal kept
        group = bisect_right(ends, index)
        with lock:
            if kept[0] != group:
                kept = (group, table.read_row_group(group, columns=[column]).column(0))
            value = kept[1][index - (ends[group - 1] if group else 0)].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None and isinstance(value, dict) and value.get("path"):
            return open_file(folder / value["path"])
        if content is None:
            raise ValueError("the row holds no picture")
        return io.BytesIO(content)

    return open_row
