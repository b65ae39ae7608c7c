"""Classifies audio files: classes with probabilities, per file or per window, as a table.

A tagging network reports all events at or above a threshold, each with its own probability; other
networks report the most probable classes, whose probabilities add up to 1 over all classes.

Each file's rows are written as soon as they are known, so a long job can be stopped and resumed.
File names that are not UTF-8 are escaped in tables and on the screen; see
`text_files.escape_name`.
"""

import contextlib
import csv
import dataclasses
import functools
import io
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from dualcam import jobs
from dualcam.data.sources import sound_files, sound_folders
from dualcam.evaluation import ties
from dualcam.files import atomic, progress_bars, text_files
from dualcam.files.path_types import AnyPath
from dualcam.inference import batching, students

FORMATS = ('.csv', '.jsonl')
_COLUMNS = ('file', 'start_s', 'end_s', 'windows')
_DECIMALS = 6
_FILES_A_PIECE = 50  # of a worker's; a piece that is lost is asked again


@dataclasses.dataclass(frozen=True)
class ClassifyParams:
    """How files are cut, classified and reported.

    Attributes:
        top_k: number of classes per row, the most probable first, or all if there are fewer; for a
            tagging network, the maximum.
        threshold: lowest probability at which a tagging network reports an event; None for its own.
        by_window: one row per window; otherwise one row per file, averaging its windows' logits.
        hop_s: seconds between window starts; None for a window's length.
        batch_size: windows per batch.
        max_bad: number of files that may be left out because they are unreadable or silent.
    """

    top_k: int = 3
    threshold: float | None = None
    by_window: bool = False
    hop_s: float | None = None
    batch_size: int = 32
    max_bad: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """A row of the table.

    Attributes:
        file: path.
        start_s, end_s: start of the first window and end of the last one; if the sound is shorter
            than a window, that is beyond its end.
        windows: number of windows averaged.
        classes: names, the most probable first.
        probabilities: of these classes.
    """

    file: str
    start_s: float
    end_s: float
    windows: int
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


def classify(
    listener: students.Listener,
    paths: Sequence[AnyPath],
    params: ClassifyParams,
    skipped: list[str],
    cluster: jobs.Cluster | None = None,
) -> Iterator[list[Answer]]:
    """Classifies files.

    Args:
        listener: a `students.Listener`.
        paths: of the files.
        params: a `ClassifyParams`.
        skipped: list to which messages about files left out are added.
        cluster: whose workers run the student, some files at a time, instead of this process.

    Yields:
        A list of `Answer`s for each good file, in order, as soon as they are known.

    Raises:
        ValueError: more than `max_bad` bad files; raised once all good ones are classified.
        OSError: see `jobs.Cluster.run`.
    """
    messages: dict[int, str] = {}
    with progress_bars.bar(total=len(paths), desc='classifying', unit='file') as bar:
        if cluster is None:
            ask = listener.listen('logits')
            answered = _answered(listener, ask, paths, params, messages, bar)
        else:
            answered = _answered_on(cluster, listener, paths, params, messages, bar)
        for _, rows in answered:
            yield rows
    bad = [messages[row] for row in sorted(messages)]
    skipped += bad
    sound_files.check_bad(bad, params.max_bad)


def _answered(listener, ask, paths, params, messages, bar):
    """(row of the file, `Answer`s) of each good file, in order."""
    hop = batching.hop_samples(listener, params.hop_s)
    answers = batching.answers(ask, paths, listener, hop, params.batch_size, messages, bar)
    for row, starts, logits in _by_file(answers):
        if row not in messages:
            yield row, _rows(listener, paths[row], starts, logits, params)


def _answered_on(cluster, listener, paths, params, messages, bar):
    """`_answered` by workers, whose pieces are put in order here."""
    firsts = range(0, len(paths), _FILES_A_PIECE)
    pieces = [
        [jobs.shared_path(str(path), cluster) for path in paths[first : first + _FILES_A_PIECE]]
        for first in firsts
    ]
    work = functools.partial(
        _answer_on_worker,
        model=os.path.abspath(listener.source),
        digest=listener.digest,
        params=params,
    )
    early, number_next = {}, 0
    for number, found in cluster.run(work, pieces, _name_of, apart=True):
        bar.update(len(pieces[number]))
        early[number] = found
        while number_next in early:
            answered, bad = early.pop(number_next)
            first = firsts[number_next]
            messages.update({first + row: message for row, message in bad.items()})
            for row, rows in answered:
                name = str(paths[first + row])  # as the caller knows it
                yield first + row, [dataclasses.replace(one, file=name) for one in rows]
            number_next += 1


def _answer_on_worker(paths, model, digest, params):
    """([(row in `paths`, `Answer`s)], {row: message} of bad files)."""
    batching.check_seen(paths)
    bad: dict[int, str] = {}
    listener, ask = students.open_once(model, digest, 'logits')
    with progress_bars.bar(total=len(paths)) as bar:
        answered = list(_answered(listener, ask, paths, params, bad, bar))
    return answered, bad


def _name_of(paths):
    return f'{paths[0]} and the {len(paths) - 1} files after it'


def predictions(
    listener: students.Listener, logits: np.ndarray, params: ClassifyParams
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Names and probabilities of the classes to report, given a network's logits [classes]."""
    shares = listener.probabilities(logits)
    order = np.argsort(ties.merged_predictions(-shares), kind='stable')[: params.top_k]
    if listener.threshold is not None:
        threshold = listener.threshold if params.threshold is None else params.threshold
        order = order[shares[order] >= threshold]
    classes = listener.classes
    return (
        tuple(classes[i] for i in order),
        tuple(round(float(shares[i]), _DECIMALS) for i in order),
    )


def format_predictions(names: Sequence[str], probabilities: Sequence[float]) -> str:
    """Classes with their probabilities, formatted for printing."""
    return (
        '  '.join(f'{share:6.1%} {name}' for name, share in zip(names, probabilities, strict=True))
        or 'none of its events'
    )


def resume_table(path: AnyPath, listener: students.Listener, params: ClassifyParams) -> set[str]:
    """The files that a table already has rows for; an empty set for a new table.

    A file next to the table records its model and settings, and whether it is complete. In an
    incomplete table, the last file's rows are removed, since some may be missing.

    Args:
        path: of the table.
        listener, params: the student and settings to resume with.

    Raises:
        ValueError: the table was not made by `classify`, or with another model or settings.
    """
    path = pathlib.Path(path)
    if not path.exists():
        _write_job(path, listener, params, complete=False)
        return set()
    try:
        job = text_files.read_json(_job_path(path))
        rows = (_json_rows if path.suffix == '.jsonl' else _csv_rows)(path.read_bytes())
        first = 0 if path.suffix == '.jsonl' else 1
        files = [name for _, name in rows]
        if first and rows and files[0] != _COLUMNS[0]:
            raise ValueError(f'its first column is {files[0]!r}, not {_COLUMNS[0]!r}')
        its_job, was_complete = job['job'], job['complete']
    except (OSError, ValueError, KeyError, TypeError, IndexError, csv.Error) as error:
        raise ValueError(
            f'{path}: not a table that dualcam classify can resume ({error!r}); '
            'choose another --out or delete it'
        ) from error
    if its_job != _job(listener, params):
        raise ValueError(
            f'{path}: was made with another model, or with another top_k, threshold, '
            'by_window or hop; choose another --out or delete it'
        )
    kept = len(rows)
    while not was_complete and kept > first and files[kept - 1] == files[-1]:
        kept -= 1
    with atomic.writing_file(path) as partial:
        partial.write_bytes(b''.join(data for data, _ in rows[:kept]))
    _write_job(path, listener, params, complete=False)
    return {text_files.unescape_name(name) for name in files[first:kept]}


def _json_rows(data):
    """(bytes, file name) of a table's rows; the last one may be truncated."""
    lines = [line for line in data.splitlines(keepends=True) if line.endswith(b'\n')]
    return [(line, str(json.loads(line)['file'])) for line in lines]


def _csv_rows(data):
    """`_json_rows` for a CSV; quoted names may contain line ends."""
    rows, held = [], b''
    for line in data.splitlines(keepends=True):
        held += line
        if held.count(b'"') % 2 == 0 and line.endswith(b'\n'):
            ((name, *_),) = csv.reader(io.StringIO(held.decode(), newline=''))
            rows.append((held, name))
            held = b''
    return rows


def complete(path: AnyPath, listener: students.Listener, params: ClassifyParams) -> None:
    """Records that a table is complete."""
    _write_job(pathlib.Path(path), listener, params, complete=True)


@contextlib.contextmanager
def table(
    path: AnyPath | None, listener: students.Listener, params: ClassifyParams
) -> Iterator[Callable[[Sequence[Answer]], None]]:
    """A function that writes `Answer`s: it appends to a file, or prints if `path` is None.

    Columns of a .csv file are class_1, probability_1 and so on; for a tagging network, `classes`
    and `probabilities`, separated by semicolons.
    """
    if path is None:
        yield _screen()
        return
    path, several = pathlib.Path(path), listener.threshold is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'ab') as file:

        def put(text):
            file.write(text.encode())
            file.flush()

        def write_rows(rows):
            text = io.StringIO(newline='')
            csv.writer(text).writerows(rows)
            put(text.getvalue())

        if path.suffix == '.csv' and not path.stat().st_size:
            columns = (
                ['classes', 'probabilities']
                if several
                else [
                    f'{name}_{rank + 1}'
                    for rank in range(min(params.top_k, len(listener.classes)))
                    for name in ('class', 'probability')
                ]
            )
            write_rows([[*_COLUMNS, *columns]])

        def write(answers):
            if path.suffix == '.csv':
                write_rows(
                    [
                        [
                            text_files.escape_name(one.file),
                            one.start_s,
                            one.end_s,
                            one.windows,
                            *(
                                ['; '.join(one.classes), '; '.join(map(str, one.probabilities))]
                                if several
                                else (
                                    cell
                                    for pair in zip(one.classes, one.probabilities, strict=True)
                                    for cell in pair
                                )
                            ),
                        ]
                        for one in answers
                    ]
                )
            else:
                put(''.join(json.dumps(_named(one)) + '\n' for one in answers))

        yield write


def _named(answer):
    return dataclasses.asdict(answer) | {'file': text_files.escape_name(answer.file)}


def accuracy(
    answers: Mapping[str, str | None], sound_set: sound_folders.SoundSet, known: Sequence[str]
) -> tuple[float | None, int]:
    """(accuracy on labelled files, their number); (None, 0) if there are none.

    Args:
        answers: {file: class name}.
        sound_set: a `sound_folders.SoundSet`.
        known: names of the model's classes; files of other classes are ignored.
    """
    labelled = {
        sound.path: sound_set.classes[sound.label]
        for sound in sound_set.sounds
        if sound.label >= 0 and sound_set.classes[sound.label] in known
    }
    right = [answers[path] == name for path, name in labelled.items() if path in answers]
    return (float(np.mean(right)), len(right)) if right else (None, 0)


def _by_file(answers):
    """Yields (row, window starts in samples, logits [windows, classes]) per file with windows."""
    row, starts, logits = None, [], []
    for new, start, answer in answers:
        if new != row and starts:
            yield row, starts, np.stack(logits)
            starts, logits = [], []
        row = new
        starts.append(start)
        logits.append(answer)
    if starts:
        yield row, starts, np.stack(logits)


def _rows(listener, path, starts, logits, params):
    seconds = [start * listener.seconds / listener.clip_samples for start in starts]
    groups = [[i] for i in range(len(starts))] if params.by_window else [range(len(starts))]
    return [
        Answer(
            str(path),
            round(seconds[group[0]], 3),
            round(seconds[group[-1]] + listener.seconds, 3),
            len(group),
            *predictions(listener, logits[list(group)].mean(axis=0), params),
        )
        for group in groups
    ]


def _job(listener, params):
    return [
        listener.digest,
        listener.network,
        params.top_k,
        params.threshold,
        params.by_window,
        params.hop_s,
    ]


def _job_path(path):
    return path.with_name(f'.{path.name}.job.json')


def _write_job(path, listener, params, complete):
    path.parent.mkdir(parents=True, exist_ok=True)
    _job_path(path).write_text(
        json.dumps({'job': _job(listener, params), 'complete': complete}), encoding='utf-8'
    )


def _screen():
    widest = [0]

    def write(answers):
        for one in answers:
            name = text_files.printable_name(one.file)
            widest[0] = max(widest[0], len(name))
            progress_bars.write(
                f'{name:<{widest[0]}}  {one.start_s:8.1f} - {one.end_s:.1f} s  '
                f'{format_predictions(one.classes, one.probabilities)}',
                sys.stdout,
            )

    return write
