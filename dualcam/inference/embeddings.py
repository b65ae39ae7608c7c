"""Embeddings of audio files, computed by a student window by window, in batches; resumable.

Finished files are saved in parts next to the result and joined at the end: a stopped job resumes
after its last part. Each part identifies its files, so a job can also resume after a bad file was
repaired or removed, as its error message advises; changed files are read again. Batches continue
from one part to the next, so that neither the reading threads nor the network wait in between.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import shutil

import numpy as np

from dualcam import jobs
from dualcam.data.sources import sound_files, sound_folders
from dualcam.files import atomic, progress_bars, text_files
from dualcam.files.path_types import AnyPath
from dualcam.inference import batching, students

_FILES_A_PART = 200


@dataclasses.dataclass(frozen=True)
class EmbedParams:
    """How files are cut and embedded.

    Attributes:
        layer: see `students.Listener.listen`.
        hop_s: seconds between window starts; None for a window's length.
        batch_size: windows per batch.
        max_bad: number of files that may be left out because they are unreadable or silent.
    """

    layer: str = 'embedding'
    hop_s: float | None = None
    batch_size: int = 32
    max_bad: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of the windows of files.

    Attributes:
        files: [files] names, in order.
        labels: [files] int64 class indices; -1 if unknown.
        classes: names in label order.
        window_file: [windows] int64, the row of each window's file.
        window_s: [windows] float64, each window's start in seconds.
        windows: [windows, features] float32.
        skipped: messages about files left out.
    """

    files: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    window_file: np.ndarray
    window_s: np.ndarray
    windows: np.ndarray
    skipped: tuple[str, ...] = ()

    @property
    def clips(self) -> np.ndarray:
        """[files, features] float32: the mean over each file's windows."""
        sums = np.zeros((len(self.files), self.windows.shape[1]), np.float64)
        np.add.at(sums, self.window_file, self.windows)
        counts = np.bincount(self.window_file, minlength=len(self.files))
        return (sums / counts[:, None]).astype(np.float32)


def embed(
    listener: students.Listener,
    sound_set: sound_folders.SoundSet,
    params: EmbedParams,
    parts: AnyPath,
    restart: bool = False,
    cluster: jobs.Cluster | None = None,
) -> Embeddings:
    """Embeds all files of a set.

    Args:
        listener: a `students.Listener`.
        sound_set: a `sound_folders.SoundSet`.
        params: an `EmbedParams`.
        parts: folder for finished parts, from which a stopped job resumes; removed at the end.
        restart: remove the parts of a stopped job first.
        cluster: whose workers run the student, a part at a time, instead of this process.

    Returns:
        `Embeddings`. Silent windows are left out, as are up to `max_bad` files that are unreadable
        or silent throughout.

    Raises:
        ValueError: there are more bad files, or parts of another model or other settings.
        OSError: see `jobs.Cluster.run`.
    """
    hop = batching.hop_samples(listener, params.hop_s)
    ask = listener.listen(params.layer)
    parts = pathlib.Path(parts)
    if restart:
        shutil.rmtree(parts, ignore_errors=True)
    _claim(parts, listener, params)
    files = sound_set.sounds
    skipped = []
    with progress_bars.bar(total=len(files), desc='embedding', unit='file') as bar:
        groups = [
            ([sound.path for sound in own], parts / _part_name(own)) for own in _groups(files)
        ]
        if cluster is not None:
            _embed_ahead(listener, groups, params, parts, cluster, bar)
        missing = [group for group in groups if not group[1].exists()]
        written = _write_parts(ask, missing, listener, hop, params.batch_size, bar)
        for paths, path in groups:
            if not path.exists():
                next(written)
            elif cluster is None:
                bar.update(len(paths))
            with np.load(path) as part:
                messages = part['skipped'].tolist()
            skipped += messages
            if messages and len(skipped) > params.max_bad:
                path.unlink()  # its bad file may have been repaired
            sound_files.check_bad(skipped, params.max_bad)
    made = _joined([path for _, path in groups], sound_set, listener, skipped)
    shutil.rmtree(parts)
    return made


def save(path: AnyPath, embeddings: Embeddings, layer: str, source: str) -> None:
    """Writes an .npz file: files, labels, classes, features [files, n] and window features."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    e = embeddings
    with atomic.writing_file(path, '.npz') as partial:
        np.savez(
            partial,
            files=np.array([text_files.escape_name(name) for name in e.files.tolist()], np.str_),
            labels=e.labels,
            classes=e.classes,
            features=e.clips,
            window_features=e.windows,
            window_file=e.window_file,
            window_s=e.window_s,
            layer=layer,
            model=source,
        )


def _write_parts(ask, groups, listener, hop, batch_size, bar):
    """Writes the parts of groups (paths, part); yields after each one."""
    messages: dict[int, str] = {}
    paths = [path for own, _ in groups for path in own]
    ends = np.cumsum([len(own) for own, _ in groups]).tolist()
    answers = batching.answers(ask, paths, listener, hop, batch_size, messages, bar)
    held = next(answers, None)
    for (own, path), end in zip(groups, ends, strict=True):
        made = []
        while held is not None and held[0] < end:
            made.append(held)
            held = next(answers, None)
        # Files are read in order, so all messages about these are known.
        _write_part(path, made, messages, range(end - len(own), end))
        yield


def _write_part(path, made, messages, files):
    """Writes the answers of a range of files; rows in the part count from its first one."""
    bad = [row for row in files if row in messages]
    made = [answer for answer in made if answer[0] not in messages]
    rows, starts = (np.array([answer[i] for answer in made], np.int64) for i in range(2))
    with atomic.writing_file(path, '.npz') as partial:
        np.savez(
            partial,
            features=np.stack([answer for *_, answer in made])
            if made
            else np.zeros((0, 0), np.float32),
            rows=rows - files.start,
            starts=starts,
            skipped=np.array([messages[row] for row in bad], np.str_),
            bad=np.array(bad, np.int64) - files.start,
        )


def _joined(parts, sound_set, listener, skipped):
    features, rows, starts, bad = [], [], [], [np.zeros(0, np.int64)]
    first = 0
    for path, own in zip(parts, _groups(sound_set.sounds), strict=True):
        with np.load(path) as part:
            if len(part['rows']):
                features.append(part['features'])
            rows.append(part['rows'] + first)
            starts.append(part['starts'])
            bad.append(part['bad'] + first)
        first += len(own)
    if not features:
        sound_files.check_bad(skipped, 0)
    good = np.setdiff1d(np.arange(len(sound_set.sounds)), np.concatenate(bad))
    kept = [sound_set.sounds[row] for row in good]
    return Embeddings(
        np.array([sound.path for sound in kept]),
        np.array([sound.label for sound in kept]),
        np.array(sound_set.classes, np.str_),
        np.searchsorted(good, np.concatenate(rows)),
        np.concatenate(starts) * (listener.seconds / listener.clip_samples),
        np.concatenate(features),
        tuple(skipped),
    )


def _embed_ahead(listener, groups, params, parts, cluster, bar):
    """Lets workers write the parts of groups (paths, part) that are missing."""
    missing = [
        ([jobs.shared_path(path, cluster) for path in paths], jobs.shared_path(part, cluster))
        for paths, part in groups
        if not part.exists()
    ]
    bar.update(sum(len(paths) for paths, part in groups if part.exists()))
    work = functools.partial(
        _embed_on_worker,
        model=os.path.abspath(listener.source),
        digest=listener.digest,
        params=params,
    )
    try:
        for number, _ in cluster.run(work, missing, _name_of, parts, apart=True):
            bar.update(len(missing[number][0]))
    finally:
        for path in parts.glob(f'.*{atomic.PARTIAL}*'):
            path.unlink(missing_ok=True)


def _embed_on_worker(piece, model, digest, params):
    """Writes one part, unless an earlier attempt at the piece did."""
    paths, target = piece
    if target.exists():
        return
    batching.check_seen(paths)
    listener, ask = students.open_once(model, digest, params.layer)
    hop = batching.hop_samples(listener, params.hop_s)
    with progress_bars.bar(total=len(paths)) as bar:
        list(_write_parts(ask, [(paths, target)], listener, hop, params.batch_size, bar))


def _name_of(piece):
    paths, _ = piece
    return f'{paths[0]} and the {len(paths) - 1} files after it'


def _groups(files):
    """The files of each part."""
    return [files[i : i + _FILES_A_PART] for i in range(0, len(files), _FILES_A_PART)]


def _part_name(files):
    """A name for files in their current state: of their paths, sizes and times."""
    digest = hashlib.sha256()
    for sound in files:
        status = os.stat(sound.path)
        text = f'{sound.path}\0{status.st_size}\0{status.st_mtime_ns}\n'
        digest.update(text.encode(errors='surrogateescape'))
    return f'part-{digest.hexdigest()[:24]}.npz'


def _claim(parts, listener, params):
    """Creates the folder for the parts, or rejects one that belongs to another job."""
    content = json.dumps([listener.digest, listener.network, params.layer, params.hop_s])
    digest = hashlib.sha256(content.encode()).hexdigest()
    path = parts / 'job.txt'
    if path.exists() and path.read_text(encoding='utf-8') != digest:
        raise ValueError(
            f'{parts}: contains parts of a job with another model or other settings; delete it, '
            'pass --overwrite to start over, or choose another --out'
        )
    parts.mkdir(parents=True, exist_ok=True)
    path.write_text(digest, encoding='utf-8')
