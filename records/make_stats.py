"""Per-channel statistics of the students' spectrograms over a training list.

    python -m records.make_stats --root=DIR --num_seconds=10 [--location=L] [--sample_length=5]

Writes <root>/<N>_seconds[_location_L]/stats/global_{min,max,sum,sum_squared,mean,std_dev}.npy,
257 float32 values each, in one pass with a few clips in memory. The authors' program divides by a
wrong count, so its mean and deviation are wrong; these are correct.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from absl import app, flags

from dualcam.cli import errors
from dualcam.data import audio
from dualcam.data.records import reading, record_lists
from dualcam.data.signal import channel_statistics
from dualcam.files import progress_bars


def spectrograms(paths: Sequence[str], sample_length: int) -> Iterator[np.ndarray]:
    """Yields the magnitude spectrogram [frames, 257] of each clip of `sample_length` records."""
    seconds = progress_bars.bar(
        reading.read_seconds(paths, ['audio']),
        desc='reading records',
        total=len(paths),
        unit='record',
    )
    sound = (second['audio'][:, :1] for second in seconds)
    while clip := list(itertools.islice(sound, sample_length)):
        if len(clip) == sample_length:
            yield audio.spectrogram(audio.waveform(np.concatenate(clip))).numpy()


def main(_: list[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    if options.num_seconds % options.sample_length:
        raise ValueError(
            f'--sample_length={options.sample_length}: sequences of '
            f'{options.num_seconds} s cannot be cut into whole clips of this length'
        )
    folder = record_lists.lists_folder(options.root, options.num_seconds, options.location)
    paths = reading.read_list(folder / 'training.txt', options.root)
    gathered = channel_statistics.gather(spectrograms(paths, options.sample_length))
    channel_statistics.save(folder.parent / 'stats', gathered)
    print(f'{len(paths) // options.sample_length} clips: {folder.parent / "stats"}')


if __name__ == '__main__':
    flags.DEFINE_string('root', None, 'Folder with the records and their lists.', required=True)
    flags.DEFINE_integer('num_seconds', 10, 'Records in a sequence.', lower_bound=1)
    flags.DEFINE_integer('location', None, 'One scenario, from 1; default all.', lower_bound=1)
    flags.DEFINE_integer('sample_length', 5, 'Records in a clip.', lower_bound=1)
    app.run(errors.clean_errors(main))
