"""Code shared by the converters: filling a records folder, which can be interrupted at any moment.

A converter plans all records and their sources, and is given those that are missing. Each is
written atomically and then gets its line in the manifest (`records.manifest`). `conversion.json`
next to it stores the settings and the calls, so that records with different settings never mix and
`records.verify` can recreate a damaged record.
"""

import contextlib
import dataclasses
import errno
import functools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, TypeVar

import numpy as np
from absl import flags

from dualcam import jobs
from dualcam.data import schema
from dualcam.data.records import record_lists
from dualcam.files import atomic, locking, text_files
from dualcam.files.path_types import AnyPath
from records import cluster_flags, manifest, writer

CONVERSION_FILE = 'conversion.json'
Row = tuple[str, list[int]]  # a record's path below the root and its 12 frame indices, from 0
Calls = dict[tuple[str, str | None], 'Call']  # by `Call.fills`
_Recording = TypeVar('_Recording')
_CALLS = 'calls'  # the one key in the file that is not a setting
_FEW = 200  # up to this many checksums are computed without starting processes


@dataclasses.dataclass(frozen=True)
class Call:
    """A converter's call, stored so that it can be repeated.

    Attributes:
        command: the converter's module in records/.
        paths: {argument of its `convert`: path, or None}, the inputs.
        options: {argument of its `convert`: value}, of JSON's types; with a 'split', it is one of
            several calls that fill a folder.
        overwriting: whether it rewrites all records and has not finished.
    """

    command: str
    paths: dict[str, Any]
    options: dict[str, Any]
    overwriting: bool = False

    @property
    def fills(self) -> tuple[str, str | None]:
        """The part of a folder that it fills; later calls for the same part replace this one."""
        return self.command, self.options.get('split')


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a work item writes its records, and how it lists them.

    Attributes:
        root: of the records.
        appends: whether each record gets its line in the manifest at once. Otherwise entries are
            only returned, for the one process that adds lines.
        keeps: whether existing records are kept, and listed: those of an earlier attempt at the
            item, whose process was killed.
    """

    root: AnyPath
    appends: bool = True
    keeps: bool = False

    def lacks(self, path: str) -> bool:
        """Whether a record, given its path below `root`, has to be written."""
        return not (self.keeps and (pathlib.Path(self.root) / path).exists())

    def finish(self, path: str, source: manifest.Source) -> manifest.Entry:
        """The `manifest.Entry` of an existing record, which is also appended if `appends`."""
        entry = manifest.entry_of(self.root, path, source)
        if self.appends:
            manifest.append(self.root, [entry])
        return entry


@dataclasses.dataclass(frozen=True)
class Written:
    """The result of a work item.

    Attributes:
        entries: of its records.
        message: what is wrong with its source; empty if nothing is.
    """

    entries: Sequence[manifest.Entry] = ()
    message: str = ''


@dataclasses.dataclass(frozen=True)
class Task:
    """The records that a call has to write, and where the work is done; see `writing`.

    Attributes:
        root: of the records.
        missing: paths below it.
        rewriting: whether some of them may exist, and are to be replaced.
        processes: on this machine.
        cluster: its workers do the work instead of this machine's processes; or None.
    """

    root: AnyPath
    missing: Set[str]
    rewriting: bool
    processes: int
    cluster: jobs.Cluster | None

    def run(
        self,
        work: Callable[..., Written],
        pieces: Sequence[Any],
        unit: str,
        name_of: Callable[[Any], str],
    ) -> list[Written]:
        """Writes records, one work item at a time per process.

        Args:
            work: called as work(piece, out=Output).
            pieces: the items; picklable.
            unit: name of an item in the progress bar.
            name_of: returns an item's name.

        Returns:
            The results of `work`, in the order of the items.
        """
        if self.cluster is None:
            out = Output(self.root)
            return jobs.run_all(functools.partial(work, out=out), pieces, self.processes, unit)
        out = Output(self.root, appends=False, keeps=not self.rewriting)
        return jobs.run_all(
            functools.partial(work, out=out),
            pieces,
            self.processes,
            unit,
            cluster=self.cluster,
            done=lambda written: manifest.append(self.root, written.entries),
            name_of=name_of,
            folder=self.root,
        )


@contextlib.contextmanager
def writing(
    out: AnyPath,
    settings: dict[str, Any],
    call: Call,
    planned: Mapping[str, manifest.Source],
    overwrite: bool = False,
    only: Set[str] | None = None,
    processes: int = 1,
    check: Callable[[], None] | None = None,
    cluster: jobs.Cluster | None = None,
) -> Iterator[Task]:
    """Prepares a folder for its records, and yields those that have to be written.

    If another call is writing to the folder, waits until it ends, and then writes what is still
    missing. Cleans up after a killed call: partial files are removed, records without a line in the
    manifest get one, and an interrupted --overwrite resumes.

    Args:
        out: root of the records.
        settings: of the conversion, which all records of the folder must share.
        call: the `Call`.
        planned: {path relative to `out`: source, see `manifest.Entry`} of all records.
        overwrite: rewrite existing records.
        only: if given, only these of `planned` are written, even if they exist.
        processes: on this machine.
        check: raises a `ValueError` if the existing records were made from other inputs; called
            again after waiting for another call.
        cluster: its workers do the work instead of this machine's processes.

    Yields:
        The `Task` for the body.

    Raises:
        ValueError: `out` contains records with other settings and `overwrite` is not set.
        OSError: a file cannot be written; if the disk is full, the message counts the records
            that are done.
    """
    root = pathlib.Path(out)
    try:
        atomic.make_folder(root)
        _check(root, settings, overwrite, check)  # fail at once, not after hours of waiting
        with locking.held(root / locking.LOCK_FILE, 'writes records') as waited:
            if waited:
                _check(root, settings, overwrite, check)
            workers = processes, cluster
            missing, rewriting = _prepare(root, settings, call, planned, overwrite, only, workers)
            try:
                yield Task(root, missing, rewriting, *workers)
            finally:
                if cluster is not None:  # left by killed workers
                    _remove_partials(root)
            if only is None:
                _note(root, settings, call)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        done = len(manifest.read(root)[0].keys() & planned.keys())
        raise OSError(
            f'{root}: the disk is full; {done} of {len(planned)} records are done, '
            'all of them whole; free some space and call again to resume there'
        ) from error


def pieces(
    sources: Sequence[_Recording], plans: Sequence[Sequence[Row]], missing: Set[str]
) -> list[tuple[_Recording, list[Row]]]:
    """The remaining work.

    Args:
        sources: recordings.
        plans: for each recording, the rows of its records.
        missing: paths of the records to write.

    Returns:
        [(recording, its rows whose records are missing)], without complete recordings.
    """
    rows = [[row for row in plan if row[0] in missing] for plan in plans]
    return [(source, part) for source, part in zip(sources, rows, strict=True) if part]


def record_path(folder: str, second: int) -> str:
    """The record of second number `second` (from 0) of a sequence: 'folder/name'."""
    return f'{folder}/{record_lists.record_name(second + 1)}'


def second_source(folder: str, indices: Iterable[int]) -> manifest.Source:
    """The source of a second, see `manifest.Entry`; `indices` of frames from 0, in order."""
    ranges: list[list[int]] = []
    for number in (index + 1 for index in indices):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return {'folder': folder, 'frames': ranges}


def write_seconds(
    name: str,
    labels: Mapping[str, int],
    rows: Iterable[Row],
    read: Callable[[int], Mapping[str, np.ndarray]],
    out: Output,
    compression_level: int = 1,
) -> Written:
    """Writes records of one sequence.

    Args:
        name: of the sequence's raw folder, for messages and the manifest.
        labels: {context key: int}.
        rows: [(record path relative to `out`, [12 frame indices from 0])].
        read: returns {modality name: array} of a frame index.
        out: the `Output`.
        compression_level: of GZIP.

    Raises:
        ValueError: a raw file is damaged; the message names it. Earlier records are complete.
    """
    entries = []
    for path, indices in rows:
        if out.lacks(path):
            frames = [read(i) for i in indices]
            try:
                example = writer.second_to_example(
                    labels, {key: [frame[key] for frame in frames] for key in frames[0]}
                )
            except ValueError as error:
                raise ValueError(f'{name}, second {pathlib.Path(path).stem}: {error}') from error
            writer.write_record(pathlib.Path(out.root) / path, example, compression_level)
        entries.append(out.finish(path, second_source(name, indices)))
    return Written(entries)


def read_settings(root: AnyPath) -> tuple[dict[str, Any], Calls]:
    """Reads the settings and calls in `conversion.json`.

    Returns:
        {setting: value} and {`Call.fills`: `Call`}; both are empty if there is no such file, the
        latter also if an earlier version wrote the file.

    Raises:
        ValueError: the file is damaged.
    """
    path = pathlib.Path(root) / CONVERSION_FILE
    if not path.exists():
        return {}, {}
    try:
        settings = dict(text_files.read_json(path))
        calls = [Call(**fields) for fields in settings.pop(_CALLS, [])]
        if not all(
            isinstance(call.paths, dict)
            and isinstance(call.options, dict)
            and all(path is None or isinstance(path, str) for path in call.paths.values())
            for call in calls
        ):
            raise ValueError('a call without paths and options')
        return settings, {call.fills: call for call in calls}
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'{path}: damaged ({error}); remove it if you know what the records are '
            'made with, or choose another --out'
        ) from error


def located(call: Call, root: AnyPath) -> dict[str, str | None]:
    """{argument: path} of a `Call`'s inputs, as paths that are valid here; `root` is its folder."""
    return {
        name: path and os.path.normpath(pathlib.Path(root) / path)
        for name, path in call.paths.items()
    }


def define_flags() -> None:
    """Defines the flags that the converters of raw recordings share."""
    flags.DEFINE_string('out', None, 'Folder for the records.', required=True)
    flags.DEFINE_list('modalities', ['0', '1', '2'], '0 acoustic images, 1 audio, 2 video.')
    flags.DEFINE_bool('overwrite', False, 'Rewrite existing records.')
    flags.DEFINE_integer('compression_level', 1, 'Level of GZIP.', lower_bound=1, upper_bound=9)
    flags.DEFINE_integer('processes', None, 'Number of processes; default one per core, up to 8.')
    cluster_flags.define()


def shared_options() -> dict[str, Any]:
    """The values of `define_flags`'s flags, as keyword arguments of the converters' `convert`."""
    options = flags.FLAGS
    return {
        'modalities': schema.modalities_by_number(int(n) for n in options.modalities),
        'out': options.out,
        'overwrite': options.overwrite,
        'compression_level': options.compression_level,
        'processes': options.processes or jobs.default_processes(),
    }


def _check(root, settings, overwrite, check):
    """Raises a `ValueError` if a folder has records with other settings, or `check` raises one."""
    before, _ = read_settings(root)
    if before and before != settings and not overwrite:
        raise ValueError(
            f'{root}: holds records made with {before}, not {settings}; choose '
            'another --out, or --overwrite'
        )
    if check:
        check()


def _prepare(root, settings, call, planned, overwrite, only, workers):
    """Cleans up a folder, see `writing`; returns the records to write, and whether some exist."""
    _, calls = read_settings(root)
    _remove_partials(root)
    entries, broken = manifest.read(root)
    if only is not None:
        if broken:
            manifest.write(root, entries.values())
        return planned.keys() & only, True
    # While records are being overwritten, a record without a line is an old one. So lines are
    # removed first: after a kill, the next call knows which records are still old.
    if overwrite:
        entries = {path: entry for path, entry in entries.items() if path not in planned}
    if overwrite or broken:
        manifest.write(root, entries.values())
    overwriting = overwrite or (call.fills in calls and calls[call.fills].overwriting)
    _note(root, settings, dataclasses.replace(call, overwriting=overwriting))
    there = {path for path in planned if (root / path).exists()}
    unlisted = sorted(there - entries.keys())
    if overwriting:
        return planned.keys() - (there & entries.keys()), True
    if unlisted:
        few = len(unlisted) <= _FEW
        processes, cluster = (1, None) if few else workers
        manifest.append(
            root,
            jobs.run_all(
                functools.partial(_entry_of, root),
                [(path, planned[path]) for path in unlisted],
                processes,
                'record',
                cluster=cluster,
                folder=root,
            ),
        )
    return planned.keys() - there, False


def _entry_of(root, path_and_source):
    return manifest.entry_of(root, *path_and_source)


def _note(root, settings, call):
    """Writes the settings, and this call in addition to those for other splits."""
    _, calls = read_settings(root)
    calls[call.fills] = dataclasses.replace(
        call, paths={name: path and _portable(path, root) for name, path in call.paths.items()}
    )
    atomic.write_text(
        root / CONVERSION_FILE,
        json.dumps(
            settings | {_CALLS: [dataclasses.asdict(one) for one in calls.values()]}, indent=1
        )
        + '\n',
    )


def _portable(path, root):
    """A path relative to the records if possible, so that both can be moved together."""
    path, root = pathlib.Path(path).resolve(), root.resolve()
    alone = os.path.commonpath([path, root]) == path.anchor
    return str(path) if alone else os.path.relpath(path, root)


def _remove_partials(root):
    """Removes a killed call's partial files, in the root and of records below it."""
    for pattern in (f'.*{atomic.PARTIAL}', f'**/.*{schema.RECORD_SUFFIX}.*{atomic.PARTIAL}'):
        for path in root.glob(pattern):
            path.unlink(missing_ok=True)
