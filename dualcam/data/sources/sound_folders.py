"""Folders of sound files: files, classes, folds and splits.

Supports class folders (`folder/<class>/...`, also `folder/<split>/<class>/...`), ESC-10 and ESC-50
(with folds), DCASE 2018 task 1A (with meta.csv and lists), and records made from any of them by
`records.convert_sounds`. `sound_files` reads the files.

Every file of a folder is either in the set or in its `left_out`, with the reason.
"""

import csv
import dataclasses
import io
import os
import pathlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from dualcam.data import schema
from dualcam.data.sources import folder_scan, sound_formats
from dualcam.files import atomic, text_files
from dualcam.files.path_types import AnyPath

INDEX_FILE = 'sounds.csv'
LAYOUTS = ('auto', 'folders')
_OF_RECORDS = frozenset({INDEX_FILE, 'manifest.jsonl', 'conversion.json', 'dataset.json'})
_EXPECTED = 'one folder per class with sound files'
_ESC_NAME = re.compile(r'(?P<fold>\d)-(?P<source>\d+)-[A-Z](-\d+)?')
_ESC_CLASS = re.compile(r'\d+ - ')  # ESC-10's folders: 001 - Dog bark
_DCASE_META, _DCASE_SETUP = 'meta.csv', 'evaluation_setup'
_DCASE_LISTS = {'train': 'fold1_train.txt', 'evaluate': 'fold1_evaluate.txt'}
_ESC_META = 'meta/esc50.csv'
_TRAINING = ('train', 'training', 'dev', 'development')
_CHOOSING = ('val', 'valid', 'validation')
_TESTING = ('test', 'testing', 'eval', 'evaluate', 'evaluation')


@dataclasses.dataclass(frozen=True)
class Sound:
    """One file.

    Attributes:
        path: of the file.
        label: index of its class; -1 if classes are unknown.
        fold: the data set's number of it; None if there are no folds.
        split: 'train' or 'evaluate', by the data set's lists; None without such lists.
        source: files with the same source are parts of one recording; a fair validation split
            keeps them together.
    """

    path: str
    label: int = -1
    fold: int | None = None
    split: str | None = None
    source: str = ''


@dataclasses.dataclass(frozen=True)
class SoundSet:
    """The files of a folder.

    Attributes:
        root: the folder.
        classes: names in label order; empty if the files are not in class folders.
        sounds: the files, sorted.
        left_out: the other files, and folders that are not classes.
    """

    root: str
    classes: tuple[str, ...]
    sounds: tuple[Sound, ...]
    left_out: tuple[folder_scan.LeftOut, ...] = ()

    @property
    def labels(self) -> np.ndarray:
        """[files] int64."""
        return np.array([s.label for s in self.sounds], np.int64)

    @property
    def folds(self) -> list[int]:
        """Sorted numbers of the folds; empty without folds."""
        return sorted({s.fold for s in self.sounds if s.fold is not None})

    @property
    def num_left_out(self) -> int:
        """Number of files left out."""
        return sum(one.count for one in self.left_out)


def find_sounds(folder: AnyPath, layout: str = 'auto') -> SoundSet:
    """Finds the labelled sounds of a data set's folder, for training.

    Args:
        folder: contains one folder per class, or ESC-50 (audio/, meta/esc50.csv), or DCASE 2018
            task 1A (audio/, meta.csv, evaluation_setup/), or records of sounds.
        layout: of `LAYOUTS`; 'folders' uses class folders, whatever lists lie next to them.

    Returns:
        A `SoundSet` of two classes or more, in which every sound has a label.

    Raises:
        ValueError: there is no such data set, or two folders have the same class name; the message
            says what was expected.
    """
    folder = _existing(folder)
    found, notes = _of_lists(folder, layout)
    if found:
        return found
    found = _of_class_folders(folder, strict=True)
    if len(found.classes) < 2:
        # The file left out may be the one that was meant.
        empty = [one for one in found.left_out if one.count == 0]
        raise ValueError(
            f'{text_files.printable_name(folder)}: {len(found.classes)} class folders; expected '
            f'two or more ({_EXPECTED}){_appended([*notes, *empty])}'
        )
    loose = [sound for sound in found.sounds if sound.label < 0]
    return dataclasses.replace(
        found,
        sounds=tuple(sound for sound in found.sounds if sound.label >= 0),
        left_out=(
            *notes,
            *found.left_out,
            *(folder_scan.LeftOut(one.path, 'outside the class folders') for one in loose),
        ),
    )


def find_files(path: AnyPath, layout: str = 'auto') -> SoundSet:
    """Finds all sound files below a folder, or one file, with their classes if known.

    Args:
        path: of the folder or file.
        layout: as in `find_sounds`.

    Returns:
        A `SoundSet`: that of `find_sounds` if the folder has a data set's lists; otherwise each
        folder with sound files is a class, and files outside them have none. A file given by itself
        is taken as sound, whatever its name.

    Raises:
        ValueError: there are none, or the data set's own lists are wrong.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return SoundSet(str(path.parent), (), (Sound(str(path)),))
    path = _existing(path)
    found, notes = _of_lists(path, layout)
    if found:
        return found
    found = _of_class_folders(path, strict=False)
    if not found.sounds:
        raise ValueError(
            f'{text_files.printable_name(path)}: no sound file in it or below it; expected '
            f'{", ".join(sound_formats.SUFFIXES)}{_appended([*notes, *found.left_out])}'
        )
    return dataclasses.replace(found, left_out=(*notes, *found.left_out))


def class_folders(folder: AnyPath) -> dict[str, list[pathlib.Path]]:
    """{class name: sorted paths of its sounds}, classes in alphabetical order.

    Raises:
        ValueError: as `find_sounds`.
    """
    folder = _existing(folder)
    found = _of_class_folders(folder, strict=True)
    if len(found.classes) < 2:
        raise ValueError(
            f'{text_files.printable_name(folder)}: {len(found.classes)} class folders; expected '
            f'two or more ({_EXPECTED}){_appended(found.left_out)}'
        )
    return {
        name: [pathlib.Path(sound.path) for sound in found.sounds if sound.label == label]
        for label, name in enumerate(found.classes)
    }


def write_index(folder: AnyPath, classes: Sequence[str], rows: Iterable[Sound]) -> None:
    """Writes the index of a folder of records; `rows` are `Sound`s with relative paths."""
    file = io.StringIO(newline='')
    writer = csv.writer(file)
    writer.writerow(['record', 'class', 'fold', 'split', 'source'])
    for sound in rows:
        writer.writerow(
            [
                text_files.escape_name(sound.path),
                classes[sound.label],
                '' if sound.fold is None else sound.fold,
                sound.split or '',
                text_files.escape_name(sound.source),
            ]
        )
    atomic.write_text(pathlib.Path(folder) / INDEX_FILE, file.getvalue())


def _existing(folder):
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(
            f'{text_files.printable_name(folder)}: no such folder; expected {_EXPECTED}'
        )
    return folder


def _appended(left_out):
    """The files left out, to append to a message."""
    return ''.join(f'; {one}' for one in left_out[:5])


# Class folders


def _of_class_folders(folder, strict):
    """The `SoundSet` of class folders; `strict` refuses two of one name, which differ otherwise."""
    found = folder_scan.scan(folder)
    parts = {path: path.relative_to(folder).parts for path in found.sounds}
    splits = _splits_of(folder, parts)
    depth = 1 if splits else 0
    label_of = {path: inner[depth] for path, inner in parts.items() if len(inner) > depth + 1}
    names = _class_names(folder, sorted(set(label_of.values())), strict)
    classes = sorted(set(names.values()))
    sounds = []
    for path in found.sounds:
        inner = parts[path]
        label = classes.index(names[label_of[path]]) if path in label_of else -1
        below = pathlib.PurePath(*inner[depth + 1 :]) if label >= 0 else pathlib.PurePath(*inner)
        # Parts of one recording have the same name, in the same folder of the class.
        source = below.with_name(path.stem).as_posix()
        sounds.append(Sound(str(path), label, split=splits.get(inner[0]), source=source))
    folds = [_ESC_NAME.fullmatch(pathlib.Path(sound.path).stem) for sound in sounds]
    if sounds and all(folds):  # folds count only if every name has one
        sounds = [
            dataclasses.replace(sound, fold=int(name['fold']), source=name['source'])
            for sound, name in zip(sounds, folds, strict=True)
            if name
        ]
    used = {inner[0] for inner in parts.values()}
    known = {one.path for one in found.left_out}
    empty = [
        folder_scan.LeftOut(str(folder / name), 'no sound in this folder, so no class', 0)
        for name in found.folders
        if name not in used and str(folder / name) not in known
    ]
    return SoundSet(str(folder), tuple(classes), tuple(sounds), (*empty, *found.left_out))


def _splits_of(folder, parts):
    """{folder: split} if all folders with sound are splits that contain class folders."""
    first = {inner[0] for inner in parts.values() if len(inner) > 1}
    known = {*_TRAINING, *_CHOOSING, *_TESTING}
    if (
        not first
        or not all(name.lower() in known for name in first)
        or not any(len(inner) > 2 for inner in parts.values())
    ):
        return {}
    tested = {name for name in first if name.lower() in _TESTING} or {
        name for name in first if name.lower() in _CHOOSING
    }
    if tested == first:  # nothing to train on: no split
        return dict.fromkeys(first)
    return {name: 'evaluate' if name in tested else 'train' for name in first}


def _class_names(root, folders, strict):
    """{folder's name: its class}."""
    names: dict[str, str] = {}
    for folder in folders:
        name = unicodedata.normalize('NFC', _ESC_CLASS.sub('', folder)).replace('_', ' ').strip()
        names[folder] = text_files.escape_name(name or folder)
    for name in set(names.values()):
        same = [folder for folder in folders if names[folder] == name]
        if len(same) == 1:
            continue
        if strict:
            raise ValueError(
                f'{text_files.printable_name(root)}: the folders '
                f'{" and ".join(ascii(folder) for folder in same)} would both be the class '
                f'{name!r}; rename or join them'
            )
        names |= {folder: text_files.escape_name(folder) for folder in same}
    return names


# Data sets with lists


def _of_lists(folder, layout):
    """(the `SoundSet` described by a data set's own lists or None, unrecognised lists).

    Raises:
        ValueError: a recognised list is wrong.
    """
    if layout not in LAYOUTS:
        raise ValueError(f'layout {layout!r}: expected one of {", ".join(LAYOUTS)}')
    notes: list[folder_scan.LeftOut] = []
    if layout == 'folders':
        return None, notes
    for name, (columns, read) in _LISTS.items():
        path = folder / name
        if not path.is_file():
            continue
        try:
            rows = text_files.read_table(path, columns)
        except ValueError as error:
            if _is_meant(path, columns):
                raise _with_way_out(error) from error
            notes.append(folder_scan.LeftOut(str(path), f'not a known list ({error})', 0))
            continue
        try:
            return read(folder, path, rows), notes
        except ValueError as error:
            raise _with_way_out(error) from error
    return None, notes


def _with_way_out(error):
    return ValueError(
        f'{error}. If this list belongs to something else, remove it from the folder, or pass '
        '--layout=folders (classify, embed, convert_sounds)'
    )


def _is_meant(path, columns):
    """Whether an unreadable list appears to be of a known kind."""
    if path.name == _DCASE_META and (path.parent / _DCASE_SETUP).is_dir():
        return True
    with open(path, 'rb') as file:
        head = file.read(4096).decode('latin-1').partition('\n')[0]
    return set(columns) <= set(re.findall(r'\w+', head))


def _of_esc50(folder, table, rows):
    found = [
        (
            _place(folder / 'audio', row['filename']),
            row['category'].replace('_', ' '),
            _fold(table, row['fold']),
            None,
            row['src_file'],
        )
        for row in rows
    ]
    return _listed(folder, table, found, frozenset({_ESC_META}))


def _of_dcase(folder, table, rows):
    split_of: dict[pathlib.Path, str] = {}
    for split, name in _DCASE_LISTS.items():
        lists = folder / _DCASE_SETUP / name
        if not lists.is_file():
            raise ValueError(
                f"{lists}: no such list; expected DCASE 2018 task 1A's development "
                'set with its evaluation_setup folder'
            )
        for line in filter(str.strip, text_files.read_lines(lists)):
            path = _place(folder, line.split('\t')[0].strip())
            if not os.path.isfile(path):  # saved by a spreadsheet
                first = line.split(text_files.delimiter_of(line))[0]
                path = _place(folder, first.strip().strip('"'))
            split_of[path] = split
    placed = [(_place(folder, row['filename']), row) for row in rows]
    found = [
        (
            path,
            row['scene_label'].replace('_', ' '),
            None,
            split_of[path],
            row['identifier'],
        )
        for path, row in placed
        if path in split_of
    ]
    unknown = set(split_of) - {path for path, _ in placed}
    if unknown:
        raise ValueError(
            f'{table}: does not list {min(unknown)}, which a list of {_DCASE_SETUP} has'
        )
    known = {_DCASE_META, *(f'{_DCASE_SETUP}/{name}' for name in _DCASE_LISTS.values())}
    return _listed(folder, table, found, frozenset(known))


def _of_index(folder, table, rows):
    found = [
        (
            folder / text_files.unescape_name(row['record']),
            row['class'],
            _fold(table, row['fold']) if row['fold'] else None,
            row['split'] or None,
            row['source'],
        )
        for row in rows
    ]
    return _listed(folder, table, found, _OF_RECORDS)


_LISTS: dict[str, tuple[tuple[str, ...], Callable]] = {
    INDEX_FILE: (('record', 'class', 'fold', 'split', 'source'), _of_index),
    _DCASE_META: (('filename', 'scene_label', 'identifier'), _of_dcase),
    _ESC_META: (('filename', 'fold', 'category', 'src_file'), _of_esc50),
}


def _place(folder, name):
    """The file of a list's entry, which may have other slashes."""
    path = folder / name
    return path if '\\' not in name or os.path.exists(path) else folder / name.replace('\\', '/')


def _fold(table, text):
    if not re.fullmatch(r'[0-9]{1,9}(\.0*)?', text):  # 1.0: from columns with missing values
        raise ValueError(f'{table}: fold {text!r}; expected a whole number')
    return int(text.partition('.')[0])


def _listed(folder, table, found, known):
    """A `SoundSet` from (path, class, fold, split, source) rows, whose files must exist."""
    for path, *_ in found:
        if not text_files.is_within(path, folder):
            raise ValueError(f'{table}: lists {path}, which is outside {folder}')
        if not os.path.isfile(path):  # works for any name, however long or odd
            raise ValueError(f'{table}: lists {path}, which does not exist')
    classes = sorted({name for _, name, *_ in found})
    if len(classes) < 2:
        raise ValueError(f'{table}: {len(classes)} classes; expected two or more')
    sounds = {
        str(path): Sound(str(path), classes.index(name), fold, split, source)
        for path, name, fold, split, source in found
    }
    for path, name, *_ in found:
        if classes[sounds[str(path)].label] != name:
            raise ValueError(f'{table}: lists {path} twice, as {name} and as another class')
    return SoundSet(
        str(folder),
        tuple(classes),
        tuple(sorted(sounds.values(), key=lambda sound: sound.path)),
        _unlisted(folder, table, set(sounds), known),
    )


def _unlisted(folder, table, used, known):
    """Sounds and records missing from a data set's lists, and files of other kinds."""
    relative = {os.path.relpath(path, folder) for path in used}
    records = {path for path in relative if path.endswith(schema.RECORD_SUFFIX)}
    scan = folder_scan.scan(folder, frozenset({*known, *records}))
    return (
        *(
            folder_scan.LeftOut(str(path), f'not listed in {table.name}')
            for path in scan.sounds
            if os.path.relpath(path, folder) not in relative
        ),
        *scan.left_out,
    )
