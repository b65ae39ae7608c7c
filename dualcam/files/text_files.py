"""Lists and tables of text, read with errors that name the file and what is wrong in it."""

import csv
import io
import json
import pathlib


def read(path, encoding='utf-8'):
    """A text file's contents.

    Raises:
        ValueError: it is not text in this encoding.
    """
    try:
        return pathlib.Path(path).read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: not a text file, byte {error.start} is not of UTF-8') from error


def read_table(path, delimiter, columns):
    """Rows of a table with a line of column names.

    Args:
        path: of the file.
        delimiter: between its fields.
        columns: names of those that must be there.

    Returns:
        A list of {column: text}; where a row is shorter, what it lacks is ''.

    Raises:
        ValueError: it is no such table.
    """
    try:
        reader = csv.DictReader(
            io.StringIO(read(path), newline=''), delimiter=delimiter, restval=''
        )
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(
                f'{path}: no column {", ".join(sorted(missing))}; it has '
                f'{", ".join(reader.fieldnames or ())}'
            )
        return list(reader)
    except csv.Error as error:
        raise ValueError(f'{path}: not a table of text ({error})') from error


def read_json(path):
    """What a JSON file holds.

    Raises:
        ValueError: it is no JSON; the file is not named.
        OSError: it cannot be read.
    """
    try:
        return json.loads(pathlib.Path(path).read_text(encoding='utf-8'))
    except RecursionError as error:
        raise ValueError('brackets within brackets, thousands deep') from error


def is_within(path, folder):
    """Whether a path is below a folder, as written or once links are followed."""
    if '..' not in path.parts and path.is_relative_to(folder):
        return True  # a link in the folder may lead to another disk
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except ValueError:  # a zero byte in it: of no file
        return False
