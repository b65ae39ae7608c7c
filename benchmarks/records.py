"""Rates between raw folders, records and clips."""

import io
import os
import pathlib
import shutil

import numpy as np
import scipy.io
from PIL import Image

from benchmarks import measure
from dualcam.data import audio, schema, stores
from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.signal import frontends
from records import avia_layout, convert_avia, writer

_FRAMES = schema.FRAMES_PER_SECOND


def conversion(folder):
    """convert_avia with two processes, their startup included: 120 and 1,200 records."""
    raw_folder = raw_avia(folder / 'raw', sequences=4, seconds=5)
    numbers = {
        'all modalities': ((0, 1, 2), 30, 3.4, '14'),
        'acoustic images and sound': ((0, 1), 300, 20.7, '80'),
    }
    for name, (chosen, seconds, authors, reach) in numbers.items():
        modalities = schema.modalities_by_number(chosen)
        levels = (1, 3, 9) if chosen == (0, 1, 2) else (1,)
        for level in levels:
            sizes = []

            def work(level=level, modalities=modalities, seconds=seconds, sizes=sizes):
                out = folder / 'records'
                shutil.rmtree(out, ignore_errors=True)
                written, _ = convert_avia.convert(
                    raw_folder / 'matfiles',
                    raw_folder / 'sync',
                    out,
                    modalities,
                    seconds,
                    compression_level=level,
                    processes=2,
                )
                sizes.append(sum(path.stat().st_size for path in out.rglob('*.tfrecord')) / written)
                return written

            yield measure.row(
                f'convert_avia, {name}, GZIP level {level}',
                'records/s',
                *measure.rates(work),
                reach=reach if level == 1 else '',
                authors=authors if level == 1 else None,
            )
            yield measure.Row('size of one record', sizes[-1] / 1e6, 'MB')


def loading(folder):
    """Clips from records: the first epoch, which decodes them, and later ones.

    Of each sequence of ten seconds as many are drawn as the papers' commands draw.
    """
    paths = write_seconds(folder / 'records', sequences=16, seconds=10)
    for name, modality, kind, seconds, crops, authors, reach in (
        ('5 s, spectrograms of HearNet', 'audio', 'spectrogram', 5, 6, 22, ('120', '600')),
        ('1 s, acoustic images', 'acoustic', 'acoustic', 1, 20, 236, ('450', '5,000')),
    ):
        frontend = frontends.Frontend(
            'spectrogram', statistics=(np.zeros(257, np.float32), np.full(257, 300.0, np.float32))
        )

        def make(
            cache, modality=modality, kind=kind, seconds=seconds, crops=crops, frontend=frontend
        ):
            held = stores.open_store(paths, record_packer.RecordPacker([modality]), cache)
            rows = record_clips.sequence_rows(held, paths, 10)
            windows = record_clips.training_windows(
                rows, record_clips.ClipParams(10, seconds, crops), 0
            )
            return record_clips.cut(held, windows, [kind], frontend)

        made = make(folder / f'kept-{kind}')
        caches = iter(range(100))

        def first(make=make, kind=kind, caches=caches):
            return _pass(make(folder / f'{kind}-{next(caches)}'))

        yield measure.row(
            f'clips of {name}, first epoch from records',
            'clips/s',
            *measure.rates(first),
            reach=reach[0],
            authors=authors,
        )
        yield measure.row(
            f'clips of {name}, later epochs',
            'clips/s',
            measure.rates(lambda made=made: _pass(made))[0],
            reach=reach[1],
            authors=authors,
            peer='librosa, one clip at a time' if kind == 'spectrogram' else '',
            peer_values=_librosa() if kind == 'spectrogram' else None,
        )


def write_seconds(root, sequences, seconds, modalities=('acoustic', 'audio')):
    """Writes AVIA records of noise, sequence by sequence; returns their paths, in order."""
    rng, paths = np.random.default_rng(0), []
    for sequence in range(sequences):
        for second in range(seconds):
            path = pathlib.Path(root) / (
                f'Location_01/Subject_01/Action_{sequence + 1:03d}/Data_{second + 1:03d}.tfrecord'
            )
            images = rng.standard_normal((_FRAMES, *schema.ACOUSTIC_SHAPE), np.float32)
            frames = {
                'acoustic': images,
                'audio': rng.integers(-(2**24), 2**24, (_FRAMES, 1, 1024), np.int32),
            }
            writer.write_record(
                path,
                writer.second_to_example(
                    {'action': sequence % 14, 'location': 0, 'subject': 0},
                    {name: list(frames[name]) for name in modalities},
                ),
            )
            paths.append(str(path))
    return paths


def link_many(paths, root, count, seconds, actions=1_000):
    """Gives a few records many names; returns these, in order.

    Args:
        paths: of the records.
        root: folder for the names.
        count: number of names.
        seconds: names in a folder.
        actions: folders of a subject.
    """
    names = []
    for number in range(count):
        folder, second = divmod(number, seconds)
        subject, action = divmod(folder, actions)
        name = pathlib.Path(root) / (
            f'Location_01/Subject_{subject + 1:02d}/Action_{action + 1:03d}/'
            f'Data_{second + 1:03d}.tfrecord'
        )
        name.parent.mkdir(parents=True, exist_ok=True)
        os.link(paths[number % len(paths)], name)
        names.append(str(name))
    return names


def _pass(made):
    seen = 0
    for batch in made.batches(32, (0, 1)):
        seen += len(batch['label'])
    return seen


def _librosa(seconds=5, count=20):
    """Rates of the authors' method with a current library, one clip at a time."""
    if not measure.is_installed('librosa'):
        return None
    import librosa
    import librosa.core

    rng = np.random.default_rng(0)
    sound = rng.standard_normal((count, seconds * schema.ARRAY_RATE_HZ)).astype(np.float32)
    params = audio.SpectrogramParams()

    def work():
        for one in sound:
            again = librosa.resample(
                one, orig_sr=schema.ARRAY_RATE_HZ, target_sr=params.sample_rate_hz
            )
            np.abs(
                librosa.stft(
                    again,
                    n_fft=params.n_fft,
                    hop_length=params.hop,
                    win_length=params.window,
                    center=False,
                )
            )
        return count

    return measure.rates(work)[0]


def raw_avia(root, sequences, seconds):
    """Writes a raw AVIA folder of noise and of pictures as grainy as video."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.integers(0, 256, (30, 40, 3)), np.ones((16, 16, 1)))
    for sequence in range(sequences):
        name = avia_layout.sequence_name(1, 1, sequence)
        images, sync = root / 'matfiles' / name / 'MFCC_Image', root / 'sync' / name
        for path in (images, sync / 'audio', sync / 'video'):
            path.mkdir(parents=True)
        for i in range(1, seconds * _FRAMES + 1):
            scipy.io.savemat(
                images / f'Data_{i}.mat', {'MFCC': rng.standard_normal(schema.ACOUSTIC_SHAPE)}
            )
            np.save(
                sync / 'audio' / f'A_{i:06d}.npy',
                rng.integers(-(2**24), 2**24, (1, 1024), np.int32),
            )
            picture = np.clip(np.roll(coarse, 4 * i, 1) + rng.normal(0, 3, coarse.shape), 0, 255)
            held = io.BytesIO()
            Image.fromarray(picture.astype(np.uint8)).save(held, 'JPEG', quality=90)
            (sync / 'video' / f'I_{i:06d}.jpeg').write_bytes(held.getvalue())
    return root
