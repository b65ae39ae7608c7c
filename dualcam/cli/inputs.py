"""Shared by commands on sound files: finding the files, and checks before TensorFlow starts."""

from __future__ import annotations

import os
import typing

from dualcam.files import text_files
from dualcam.files.path_types import AnyPath

if typing.TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from dualcam.data.sources import folder_scan, sound_folders

TABLES = ('.csv', '.jsonl')


def check_model(path: AnyPath) -> None:
    """Raises a `ValueError` if there is nothing at a model's path."""
    if not os.path.exists(path):
        raise ValueError(
            f'--model={text_files.printable_name(path)}: no such file or folder; expected a '
            "run's folder, a SavedModel or a .tflite file"
        )


def check_windows(options: argparse.Namespace) -> None:
    """Raises a `ValueError` for an invalid --batch_size, --max_bad or --hop_s."""
    if options.batch_size < 1:
        raise ValueError(f'--batch_size={options.batch_size}: expected 1 or more')
    if options.max_bad < 0:
        raise ValueError(f'--max_bad={options.max_bad}: expected 0 or more')
    if options.hop_s is not None and not options.hop_s > 0:
        raise ValueError(
            f"a hop of {options.hop_s} s: expected more than 0, up to a window's length"
        )


def add_windows(parser: argparse.ArgumentParser) -> None:
    """Adds what `check_windows` checks: --hop_s, --batch_size and --max_bad."""
    parser.add_argument(
        '--hop_s', type=float, help="seconds between window starts; default: a window's length"
    )
    parser.add_argument('--batch_size', type=int, default=32, help='windows per batch')
    parser.add_argument(
        '--max_bad',
        type=int,
        default=0,
        help='number of bad files that may be skipped: silent, damaged, not audio',
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Adds --cluster and --cluster_file."""
    parser.add_argument(
        '--cluster',
        metavar='tcp://HOST:PORT',
        help='let the workers of this Dask scheduler do the work (docs/scale.md)',
    )
    parser.add_argument(
        '--cluster_file', metavar='FILE', help='file of that scheduler, instead of --cluster'
    )


def add_layout(parser: argparse.ArgumentParser) -> None:
    """Adds --layout."""
    parser.add_argument(
        '--layout',
        choices=('auto', 'folders'),
        default='auto',
        help='folders: folders are classes, whatever lists lie next to them; default auto: '
        'use lists of ESC-50 and DCASE 2018',
    )


def find_files(path: AnyPath, layout: str = 'auto') -> sound_folders.SoundSet:
    """`sound_folders.find_files`, with an error for a path that does not exist."""
    if not os.path.lexists(path):
        raise ValueError(
            f'--input={text_files.printable_name(path)}: no such folder or file; expected sound '
            'files, or folders of them'
        )
    from dualcam.data.sources import sound_folders  # imported late: --help needs no NumPy

    return sound_folders.find_files(path, layout)


def join(
    sets: Sequence[sound_folders.SoundSet],
) -> tuple[list[str], list[folder_scan.LeftOut]]:
    """Paths of all files of some sets, each file once, and what the sets left out."""
    paths: dict[str, str] = {}
    for sound in (sound for one in sets for sound in one.sounds):
        paths.setdefault(os.path.abspath(sound.path), sound.path)
    left_out: dict[tuple[str, str], folder_scan.LeftOut] = {}
    for one in (one for each in sets for one in each.left_out):
        place = os.path.abspath(one.path)
        if place not in paths:
            left_out.setdefault((place, one.reason), one)
    return list(paths.values()), list(left_out.values())
