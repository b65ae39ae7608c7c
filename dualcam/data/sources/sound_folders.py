"""Folders of sound: which files, which classes, folds and splits.

Knows class folders (`folder/<class>/*.wav`), ESC-10 and ESC-50 (their folds), DCASE 2018 task 1A
(its meta.csv and lists), and records that `records.convert_sounds` made of any of them.
`data/sources/sound_files.py` reads the files.
"""

import csv
import dataclasses
import io
import os
import pathlib
import re

import numpy as np

from dualcam.files import atomic, text_files

SUFFIXES = ('.wav', '.ogg', '.flac', '.oga', '.aif', '.aiff', '.mp3')
INDEX_FILE = 'sounds.csv'
_ESC_NAME = re.compile(r'(?P<fold>\d)-(?P<source>\d+)-[A-Z](-\d+)?')
_ESC_CLASS = re.compile(r'\d+ - ')  # ESC-10's folders: 001 - Dog bark
_DCASE_LISTS = {'train': 'fold1_train.txt', 'evaluate': 'fold1_evaluate.txt'}


@dataclasses.dataclass(frozen=True)
class Sound:
    """One file.

    Attributes:
        path: of it.
        label: number of its class; -1 where classes are not known.
        fold: as the data set numbers it; None where it has no folds.
        split: 'train' or 'evaluate', as the data set says; None where it says nothing.
        source: files with the same one are parts of one recording; a fair validation split
            does not part them.
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
        classes: names in the order of the labels; empty where files lie in no class folders.
        sounds: the files, sorted.
    """

    root: str
    classes: tuple[str, ...]
    sounds: tuple[Sound, ...]

    @property
    def labels(self):
        """[files] int64."""
        return np.array([s.label for s in self.sounds], np.int64)

    @property
    def folds(self):
        """Sorted numbers of the folds; empty without folds."""
        return sorted({s.fold for s in self.sounds if s.fold is not None})


def find_sounds(folder):
    """The labelled sounds of a data set's folder.

    Args:
        folder: holds one folder a class, or ESC-50 (audio/, meta/esc50.csv), or DCASE 2018
            task 1A (audio/, meta.csv, evaluation_setup/), or records of sounds.

    Returns:
        A `SoundSet`.

    Raises:
        ValueError: there is no such data set; the message says what was expected.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(
            f'{folder}: no such folder; expected one folder a class with '
            f'{", ".join(SUFFIXES)} files'
        )
    return (_reader_of_lists(folder) or _from_class_folders)(folder)


def find_files(path):
    """All sound files of a folder and those below, or one file, with their classes if known.

    Returns:
        A `SoundSet`, of `find_sounds` where that knows the folder.

    Raises:
        ValueError: there are none, or the data set's own lists are wrong.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return SoundSet(str(path.parent), (), (Sound(str(path)),))
    if not path.is_dir() or _reader_of_lists(path):
        return find_sounds(path)
    try:
        return _from_class_folders(path)
    except ValueError:
        pass  # files in no class folders are embedded unlabelled
    files = sorted(p for p in path.rglob('*') if is_sound(p))
    if not files:
        raise ValueError(f'{path}: no {", ".join(SUFFIXES)} file in it or below')
    return SoundSet(str(path), (), tuple(Sound(str(p)) for p in files))


def is_sound(path):
    """Whether a path is that of a sound file that counts."""
    return path.suffix.lower() in SUFFIXES and path.name[0] != '.' and path.is_file()


def class_folders(folder):
    """{class name: sorted paths of its sounds}, classes in alphabetical order.

    Raises:
        ValueError: no such folder, fewer than two classes, or an empty class.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(
            f'{folder}: no such folder; expected one folder a class with '
            f'{", ".join(SUFFIXES)} files'
        )
    classes = {}
    for inner in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != '.'):
        files = sorted(p for p in inner.iterdir() if is_sound(p))
        if not files:
            raise ValueError(f'{inner}: no {", ".join(SUFFIXES)} file in this class')
        classes[_ESC_CLASS.sub('', inner.name).replace('_', ' ')] = files
    if len(classes) < 2:
        raise ValueError(
            f'{folder}: {len(classes)} class folders; expected two or more, each '
            'with its recordings'
        )
    return classes


def write_index(folder, classes, rows):
    """Writes the index of a folder of records; `rows` are `Sound`s with relative paths."""
    file = io.StringIO(newline='')
    writer = csv.writer(file)
    writer.writerow(['record', 'class', 'fold', 'split', 'source'])
    for sound in rows:
        writer.writerow(
            [
                sound.path,
                classes[sound.label],
                '' if sound.fold is None else sound.fold,
                sound.split or '',
                sound.source,
            ]
        )
    atomic.write_text(pathlib.Path(folder) / INDEX_FILE, file.getvalue())


def _reader_of_lists(folder):
    """What reads the lists that a data set comes with; None where there are none."""
    known = ((INDEX_FILE, _from_index), ('meta.csv', _from_dcase), ('meta/esc50.csv', _from_esc50))
    return next((read for name, read in known if (folder / name).exists()), None)


def _from_class_folders(folder):
    classes = class_folders(folder)
    paths = [path for files in classes.values() for path in files]
    names = [_ESC_NAME.fullmatch(path.stem) for path in paths]
    if not all(names):  # folds count where every name has one
        names = [None] * len(paths)
    labels = [label for label, files in enumerate(classes.values()) for _ in files]
    return SoundSet(
        str(folder),
        tuple(classes),
        tuple(
            Sound(str(path), label, int(name['fold']), source=name['source'])
            if name
            else Sound(str(path), label, source=path.stem)
            for path, label, name in zip(paths, labels, names, strict=True)
        ),
    )


def _from_esc50(folder):
    path = folder / 'meta' / 'esc50.csv'
    rows = text_files.read_table(path, ('filename', 'fold', 'category', 'src_file'))
    found = [
        (
            folder / 'audio' / row['filename'],
            row['category'].replace('_', ' '),
            _fold(path, row['fold']),
            None,
            row['src_file'],
        )
        for row in rows
    ]
    return _listed(folder, path, found)


def _from_dcase(folder):
    path = folder / 'meta.csv'
    rows = text_files.read_table(path, ('filename', 'scene_label', 'identifier'))
    split_of = {}
    for split, name in _DCASE_LISTS.items():
        lists = folder / 'evaluation_setup' / name
        if not lists.is_file():
            raise ValueError(
                f"{lists}: no such list; expected DCASE 2018 task 1A's development "
                'set with its evaluation_setup folder'
            )
        for line in text_files.read_lines(lists):
            if line.strip():
                split_of[line.split('\t')[0].strip()] = split
    found = [
        (
            folder / row['filename'],
            row['scene_label'].replace('_', ' '),
            None,
            split_of[row['filename']],
            row['identifier'],
        )
        for row in rows
        if row['filename'] in split_of
    ]
    unknown = set(split_of) - {row['filename'] for row in rows}
    if unknown:
        raise ValueError(
            f'{path}: does not list {min(unknown)}, which a list of evaluation_setup has'
        )
    return _listed(folder, path, found)


def _from_index(folder):
    path = folder / INDEX_FILE
    rows = text_files.read_table(path, ('record', 'class', 'fold', 'split', 'source'))
    return _listed(
        folder,
        path,
        [
            (
                folder / row['record'],
                row['class'],
                _fold(path, row['fold']) if row['fold'] else None,
                row['split'] or None,
                row['source'],
            )
            for row in rows
        ],
    )


def _fold(table, text):
    if not text.isdecimal():
        raise ValueError(f'{table}: fold {text!r}; expected a whole number')
    return int(text)


def _listed(folder, table, found):
    """A `SoundSet` of (path, class, fold, split, source) rows, whose files must be there."""
    for path, *_ in found:
        if not text_files.is_within(path, folder):
            raise ValueError(f'{table}: lists {path}, which lies outside of {folder}')
        if not os.path.isfile(path):  # of any name, however long or odd
            raise ValueError(f'{table}: lists {path}, which does not exist')
    classes = sorted({name for _, name, *_ in found})
    if len(classes) < 2:
        raise ValueError(f'{table}: {len(classes)} classes; expected two or more')
    return SoundSet(
        str(folder),
        tuple(classes),
        tuple(
            sorted(
                (
                    Sound(str(path), classes.index(name), fold, split, source)
                    for path, name, fold, split, source in found
                ),
                key=lambda sound: sound.path,
            )
        ),
    )
