"""Text files from any program: lists, tables, JSON, and file names in them.

Every external text file is read here, so that the habits of spreadsheets and other systems are
handled the same everywhere: a byte order mark, UTF-16, the line endings of Windows and of old Macs,
semicolons or tabs between cells, quotes, trailing blank lines.

File names are bytes. If they are not UTF-8, Python represents the invalid bytes as lone surrogates,
which cannot be written to text files. `escape_name` writes them as `\\xNN`, `unescape_name`
reverses it.
"""

import codecs
import csv
import io
import json
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from dualcam.files.path_types import AnyPath

_MARKS = (  # the longest first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)
_DELIMITERS = '\t;,'
_ESCAPED = re.compile(r'\\x([0-9a-f]{2})')
_SURROGATE = re.compile('[\udc80-\udcff]')
_UNPRINTABLE = re.compile('[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')


def read(path: AnyPath) -> str:
    """A text file's contents: UTF-8, or UTF-16 or UTF-32 with a byte order mark.

    Line endings are unchanged.

    Raises:
        ValueError: it is not text in one of these encodings.
    """
    return decode(pathlib.Path(path).read_bytes(), path)


def decode(data: bytes, path: AnyPath) -> str:
    """`read` for bytes already read from a file; raises the same errors."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), 'utf-8')
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{printable_name(path)}: not a text file in UTF-8 (byte {error.start} is not); save '
            'it as UTF-8, in Excel as "CSV UTF-8"'
        ) from error


def lines(text: str) -> list[str]:
    """The lines of a text with any system's line endings, without the endings.

    `str.splitlines` also splits at characters that file names may contain.
    """
    found = re.split('\r\n|\r|\n', text)
    return found if found[-1] else found[:-1]


def read_lines(path: AnyPath) -> list[str]:
    """`lines` of a text file; errors as `read`."""
    return lines(read(path))


def read_rows(path: AnyPath, delimiter: str | None = None) -> list[list[str]]:
    """Rows of a table, each a list of its cells without surrounding spaces.

    Args:
        path: of the file.
        delimiter: between cells; None detects it, see `delimiter_of`.

    Returns:
        All rows; a row without text is [].

    Raises:
        ValueError: it is not such a table.
    """
    return _rows(path, read(path), delimiter)


def delimiter_of(text: str) -> str:
    """The delimiter between a table's cells, detected in its first non-blank line.

    A tab if there is one outside quotes, else a semicolon if there is one, else a comma: cells may
    contain characters later in this order, such as decimal commas or comma-separated labels.
    """
    first = next((line for line in lines(text) if line.strip()), '')
    bare = re.sub(r'"(?:[^"]|"")*"', '', first)
    return next((delimiter for delimiter in _DELIMITERS if delimiter in bare), _DELIMITERS[-1])


def read_table(path: AnyPath, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table with a line of column names; the delimiter is detected.

    Args:
        path: of the file.
        columns: names of required columns.

    Returns:
        A list of {column: text}; missing cells of short rows are ''. Rows without text
        are left out.

    Raises:
        MissingColumns: it is a table, but lacks one of the columns.
        ValueError: it is not a table.
    """
    names, *rows = [row for row in read_rows(path) if row] or [[]]
    missing = set(columns) - set(names)
    if missing:
        raise MissingColumns(
            f'{printable_name(path)}: no column {", ".join(sorted(missing))}; it has '
            f'{", ".join(names)}'
        )
    return [dict(zip(names, [*row, *[''] * (len(names) - len(row))], strict=False)) for row in rows]


def _rows(path, text, delimiter):
    try:
        reader = csv.reader(
            io.StringIO(text, newline=''),
            delimiter=delimiter or delimiter_of(text),
            skipinitialspace=True,
            strict=True,
        )
        rows = [[cell.strip() for cell in row] for row in reader]
    except csv.Error as error:
        raise ValueError(f'{printable_name(path)}: not a table of text ({error})') from error
    return [row if any(row) else [] for row in rows]


def is_number(text: str) -> bool:
    """Whether a cell of a table is a number, as `float` reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


class MissingColumns(ValueError):
    """A table is readable, but lacks expected columns."""


def read_json(path: AnyPath) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: it is not JSON; the message does not name the file.
        OSError: it cannot be read.
    """
    try:
        return json.loads(read(path))
    except RecursionError as error:
        raise ValueError('nested thousands of levels deep') from error


def escape_name(name: AnyPath) -> str:
    """A file name as text that can be encoded as UTF-8; see the module docstring.

    UTF-8 names are unchanged, except for a backslash that would look like an escape.
    """
    text = os.fspath(name)
    if _SURROGATE.search(text) or _ESCAPED.search(text):
        text = _ESCAPED.sub(lambda found: rf'\x5cx{found.group(1)}', text)
        text = _SURROGATE.sub(lambda found: rf'\x{ord(found.group()) - 0xDC00:02x}', text)
    return text


def unescape_name(text: str) -> str:
    """Reverses `escape_name`; returns a name for `open`."""
    parts, last = [], 0
    for found in _ESCAPED.finditer(text):
        parts += [os.fsencode(text[last : found.start()]), bytes([int(found.group(1), 16)])]
        last = found.end()
    return os.fsdecode(b''.join([*parts, os.fsencode(text[last:])]))


def printable_name(name: AnyPath) -> str:
    """`escape_name` on one line: characters that would break the line are escaped too.

    `unescape_name` reverses it.
    """
    return printable(escape_name(name))


def printable(text: object) -> str:
    """A one-line message that every terminal and UTF-8 file can represent.

    Use `printable_name` for file names in it; otherwise different names may look the same.
    """

    def hexadecimal(found):
        odd_byte = '\udc80' <= found.group() <= '\udcff'
        encoded = found.group().encode(errors='surrogateescape' if odd_byte else 'surrogatepass')
        return ''.join(rf'\x{byte:02x}' for byte in encoded)

    return _UNPRINTABLE.sub(hexadecimal, str(text))


def is_within(path: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether a path is below a folder, as written or with links resolved."""
    if '..' not in path.parts and path.is_relative_to(folder):
        return True  # a link in the folder may lead to another disk
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except ValueError:  # contains a zero byte, which no file name has
        return False
