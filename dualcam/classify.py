"""What sound files are: classes with probabilities, by file or by window, as a table.

A long job writes each file's rows as soon as it has them, and can go on later with those it lacks.
"""

import contextlib
import csv
import dataclasses
import io
import json
import pathlib
import sys

import numpy as np
import scipy.special

from dualcam import progress, streams
from dualcam.data import sound_files

FORMATS = ('.csv', '.jsonl')
_DECIMALS = 6


@dataclasses.dataclass(frozen=True)
class ClassifyParams:
    """How files are cut, asked and shown.

    Attributes:
        top_k: classes in a row, the most probable first; as many as there are, where fewer.
        by_window: a row a window; else a row a file, its windows' logits averaged.
        hop_s: seconds from window to window; None for one window's length.
        batch_size: windows asked at a time.
        max_bad: files that may be left out because they hold no sound.
    """
    top_k: int = 3
    by_window: bool = False
    hop_s: float | None = None
    batch_size: int = 32
    max_bad: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """A row of the table.

    Attributes:
        file: path.
        start_s, end_s: from the first window's begin to the last one's end, which for a sound
            shorter than a window lies after its own.
        windows: how many were averaged.
        classes: names, the most probable first.
        probabilities: theirs.
    """
    file: str
    start_s: float
    end_s: float
    windows: int
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


def classify(listener, paths, params, skipped):
    """Answers to files.

    Args:
        listener: a `listening.Listener`.
        paths: of the files.
        params: a `ClassifyParams`.
        skipped: list that messages about files that were left out are added to.

    Yields:
        A list of `Answer`s for each good file, in order, as soon as it is there.

    Raises:
        ValueError: more bad files than `max_bad`, which is told after the answers to the good
            ones.
    """
    hop = streams.hop_samples(listener, params.hop_s)
    messages = {}
    with progress.bar(total=len(paths), desc='classifying', unit='file') as bar:
        answers = streams.answers(listener.listen('logits'), paths, listener.clip_samples, hop,
                                  params.batch_size, messages, bar)
        for row, starts, logits in _by_file(answers):
            if row not in messages:
                yield _rows(listener, paths[row], starts, logits, params)
    bad = [messages[row] for row in sorted(messages)]
    skipped += bad
    sound_files.check_bad(bad, params.max_bad)


def answer_window(listener, window, top_k):
    """Most probable classes of one window [clip_samples]: (names, probabilities)."""
    logits = listener.listen('logits')(window[None])[0]
    return _top(listener.classes, logits, top_k)


def done_files(path):
    """Files that a table has rows of; an empty set for none. A last line cut short is removed.

    Raises:
        ValueError: the file is no such table.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return set()
    text = path.read_text(encoding='utf-8')
    whole = text[:text.rfind('\n') + 1]
    lines = whole.splitlines()
    try:
        if path.suffix == '.jsonl':
            files = {json.loads(line)['file'] for line in lines}
        else:
            files = {row['file'] for row in csv.DictReader(lines)}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: not a table of answers ({error!r}); choose another --out or '
                         'delete it') from error
    if whole != text:
        path.write_text(whole, encoding='utf-8')
    return files


@contextlib.contextmanager
def table(path, top_k):
    """A function that writes `Answer`s, to a file that is added to or, for None, to the screen."""
    if path is None:
        yield _screen(top_k)
        return
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'ab', buffering=0) as file:
        def write_rows(rows):
            # In one piece, so that a job that is killed leaves no half of a file's rows.
            text = io.StringIO(newline='')
            csv.writer(text).writerows(rows)
            file.write(text.getvalue().encode())
        if path.suffix == '.csv' and not path.stat().st_size:
            write_rows([['file', 'start_s', 'end_s', 'windows', *(
                f'{name}_{rank + 1}' for rank in range(top_k)
                for name in ('class', 'probability'))]])

        def write(answers):
            if path.suffix == '.csv':
                write_rows([[one.file, one.start_s, one.end_s, one.windows, *(
                    cell for pair in zip(one.classes, one.probabilities, strict=True)
                    for cell in pair)] for one in answers])
            else:
                file.write(''.join(json.dumps(dataclasses.asdict(one)) + '\n'
                                   for one in answers).encode())
        yield write


def accuracy(answers, sound_set, known):
    """Share of labelled files whose first class is theirs, and of how many; (None, 0) for none.

    Args:
        answers: {file: class name}.
        sound_set: a `sounds.SoundSet`.
        known: names of the model's classes; files of others do not count.
    """
    labelled = {sound.path: sound_set.classes[sound.label] for sound in sound_set.sounds
                if sound.label >= 0 and sound_set.classes[sound.label] in known}
    right = [answers[path] == name for path, name in labelled.items() if path in answers]
    return (float(np.mean(right)), len(right)) if right else (None, 0)


def _by_file(answers):
    """(row, first samples, [windows, classes]) of each file that has windows."""
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
    return [Answer(str(path), round(seconds[group[0]], 3),
                   round(seconds[group[-1]] + listener.seconds, 3), len(group),
                   *_top(listener.classes, logits[list(group)].mean(axis=0), params.top_k))
            for group in groups]


def _top(classes, logits, top_k):
    shares = scipy.special.softmax(logits.astype(np.float64))
    order = np.argsort(-shares, kind='stable')[:top_k]
    return (tuple(classes[i] for i in order),
            tuple(round(float(shares[i]), _DECIMALS) for i in order))


def _screen(top_k):
    widest = [0]

    def write(answers):
        for one in answers:
            widest[0] = max(widest[0], len(one.file))
            shown = '  '.join(f'{share:6.1%} {name}' for name, share in zip(
                one.classes, one.probabilities, strict=True))
            progress.write(f'{one.file:<{widest[0]}}  {one.start_s:8.1f} - {one.end_s:.1f} s  '
                           f'{shown}', sys.stdout)
    return write
