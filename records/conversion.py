"""What the converters share: a records folder that can be written to and stopped at any moment.

A converter says which records there are to be and what each is made of, and gets told which of
them are missing. Each is written whole or not at all, then gets its line in the manifest
(`records.manifest`). `conversion.json` beside it notes the settings and the calls, so that records
of other settings never mix and `records.verify` can make a damaged record again.
"""

import contextlib
import dataclasses
import errno
import fcntl
import functools
import json
import os
import pathlib

from absl import flags

from dualcam.data import schema
from dualcam.data.records import record_lists
from dualcam.files import atomic, text_files
from records import jobs, manifest, writer

CONVERSION_FILE = 'conversion.json'
_CALLS = 'calls'  # what of the file are no settings
_FEW = 200  # records of which no process need be started


@dataclasses.dataclass(frozen=True)
class Call:
    """A converter's call, as it can be made again.

    Attributes:
        command: the converter's module in records/.
        paths: {argument of its `convert`: path, or None}, what it reads.
        options: {argument of its `convert`: value}, what JSON can hold; with a 'split' it is one
            of several calls that fill a folder.
        overwriting: it writes all records anew and has not come to its end.
    """

    command: str
    paths: dict
    options: dict
    overwriting: bool = False

    @property
    def fills(self):
        """What of a folder it fills; a later call for the same takes its place."""
        return self.command, self.options.get('split')


@contextlib.contextmanager
def writing(out, settings, call, planned, overwrite=False, only=None, processes=1):
    """Makes a folder ready for its records, and tells which are to be written.

    What a killed call left is put right: files without their name are removed, records that have
    none get their lines in the manifest, and a killed --overwrite goes on.

    Args:
        out: root of the records.
        settings: what the records are made with, that all of them must share.
        call: the `Call`.
        planned: {path relative to `out`: source, see `manifest.Entry`} of all records.
        overwrite: write records anew that exist.
        only: of `planned`, records to write whether they exist or not, and no others.
        processes: for checksums of records without lines.

    Yields:
        The set of paths to write, for the body to do so.

    Raises:
        ValueError: `out` holds records of other settings that are not to be overwritten, or
            another call is writing there.
        OSError: a file cannot be written; of a full disk it says how far the records are.
    """
    root = pathlib.Path(out)
    try:
        atomic.make_folder(root)
        with _alone(root):
            missing = _prepare(root, settings, call, planned, overwrite, only, processes)
            yield missing
            if only is None:
                _note(root, settings, call)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        done = len(manifest.read(root)[0].keys() & planned.keys())
        raise OSError(
            f'{root}: the disk is full; {done} of {len(planned)} records are done, '
            'all of them whole; free some space and call again, it goes on '
            'from there'
        ) from error


def finish(root, path, source):
    """Gives a record that was written its line in the manifest."""
    manifest.append(root, [manifest.entry_of(root, path, source)])


def pieces(sources, plans, missing):
    """[(source, rows of its plan whose records are missing)], without those that lack none."""
    rows = [[row for row in plan if row[0] in missing] for plan in plans]
    return [(source, part) for source, part in zip(sources, rows, strict=True) if part]


def record_path(folder, second):
    """Where second number `second` (from 0) of a sequence lies, in its folder: 'folder/name'."""
    return f'{folder}/{record_lists.record_name(second + 1)}'


def second_source(folder, indices):
    """The source of a second, see `manifest.Entry`; `indices` of frames from 0, in order."""
    ranges = []
    for number in (index + 1 for index in indices):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return {'folder': folder, 'frames': ranges}


def write_seconds(name, labels, rows, read, out, compression_level=1):
    """Writes records of one sequence.

    Args:
        name: of the sequence's raw folder, for messages and the manifest.
        labels: {context key: int}.
        rows: [(record path relative to `out`, [12 frame indices from 0])].
        read: gives {modality name: array} of a frame index.
        out: root of the records.
        compression_level: of GZIP.

    Raises:
        ValueError: a raw file is damaged; the message names it, records before it are whole.
    """
    for path, indices in rows:
        frames = [read(i) for i in indices]
        try:
            example = writer.second_to_example(
                labels, {key: [frame[key] for frame in frames] for key in frames[0]}
            )
        except ValueError as error:
            raise ValueError(f'{name}, second {pathlib.Path(path).stem}: {error}') from error
        writer.write_record(pathlib.Path(out) / path, example, compression_level)
        finish(out, path, second_source(name, indices))


def read_settings(root):
    """What `conversion.json` says: settings, and {what it fills: `Call`}.

    Returns:
        Two dictionaries, empty where there is no such file; without calls in one that an earlier
        version wrote.

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
        calls = {call.fills: call for call in calls}
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'{path}: damaged ({error}); remove it if you know what the records are '
            'made with, or choose another --out'
        ) from error
    return settings, calls


def located(call, root):
    """{argument: path} of what a noted `Call` reads."""
    return {
        name: path and os.path.normpath(pathlib.Path(root) / path)
        for name, path in call.paths.items()
    }


def define_flags():
    """Flags that the converters of raw recordings have."""
    flags.DEFINE_string('out', None, 'Where the records go.', required=True)
    flags.DEFINE_list('modalities', ['0', '1', '2'], '0 acoustic images, 1 audio, 2 video.')
    flags.DEFINE_bool('overwrite', False, 'Write records anew that exist.')
    flags.DEFINE_integer('compression_level', 1, 'Of GZIP.', lower_bound=1, upper_bound=9)
    flags.DEFINE_integer('processes', None, 'How many work at a time; default one a processor.')


def shared_options():
    """Values of `define_flags`, by the names that the converters' functions give them."""
    options = flags.FLAGS
    return {
        'modalities': schema.modalities_by_number(int(n) for n in options.modalities),
        'out': options.out,
        'overwrite': options.overwrite,
        'compression_level': options.compression_level,
        'processes': options.processes or jobs.default_processes(),
    }


@contextlib.contextmanager
def _alone(root):
    """Keeps other calls from writing to a folder; a killed one's claim ends with it."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(
            f'{root}: another call is writing records there; wait for its end, or '
            'choose another --out'
        ) from None
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(descriptor)


def _prepare(root, settings, call, planned, overwrite, only, processes):
    """The records to write; the folder is put in order first, see `writing`."""
    before, calls = read_settings(root)
    if before and before != settings and not overwrite:
        raise ValueError(
            f'{root}: holds records made with {before}, not {settings}; choose '
            'another --out, or --overwrite'
        )
    _remove_partials(root)
    entries, broken = manifest.read(root)
    if only is not None:
        if broken:
            manifest.write(root, entries.values())
        return planned.keys() & only
    # A record without a line is one of before, while records are overwritten; so lines go first,
    # and what is killed after that is known for what it is.
    if overwrite:
        entries = {path: entry for path, entry in entries.items() if path not in planned}
    if overwrite or broken:
        manifest.write(root, entries.values())
    overwriting = overwrite or (call.fills in calls and calls[call.fills].overwriting)
    _note(root, settings, dataclasses.replace(call, overwriting=overwriting))
    there = {path for path in planned if (root / path).exists()}
    unlisted = sorted(there - entries.keys())
    if overwriting:
        return planned.keys() - (there & entries.keys())
    if unlisted:
        manifest.append(
            root,
            jobs.run_all(
                functools.partial(_entry_of, root),
                [(path, planned[path]) for path in unlisted],
                processes if len(unlisted) > _FEW else 1,
                'record',
            ),
        )
    return planned.keys() - there


def _entry_of(root, path_and_source):
    return manifest.entry_of(root, *path_and_source)


def _note(root, settings, call):
    """Writes what the records are made with, and this call beside those for other splits."""
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
    """A path relative to the records where that is possible, so that both can move together."""
    path, root = pathlib.Path(path).resolve(), root.resolve()
    alone = os.path.commonpath([path, root]) == path.anchor
    return str(path) if alone else os.path.relpath(path, root)


def _remove_partials(root):
    """Removes what a killed call had not finished: in the root itself, and of records below."""
    for pattern in (f'.*{atomic.PARTIAL}', f'**/.*{schema.RECORD_SUFFIX}.*{atomic.PARTIAL}'):
        for path in root.glob(pattern):
            path.unlink(missing_ok=True)
