"""Converts array recordings to cepstral acoustic images in the AVIA raw layout.

    python -m records.beamform --raw=RAW --out=MATFILES [--array=FILE] [--focus_m=1.5]

Reads RAW/array/Location_LL/Subject_SS/Action_AAA/audio/A_IIIIII.dc (int32, mics x 1024, Fortran
order) and writes MATFILES/Location_LL/Subject_SS/Action_AAA/MFCC_Image/Data_I.mat, float32
36 x 48 x 12. Existing images are kept unless --overwrite is passed. If another call is writing to
MATFILES, waits until it ends.
"""

import dataclasses
import functools
import io
import pathlib
from collections.abc import Sequence

import numpy as np
import scipy.io
from absl import app, flags

from dualcam import jobs
from dualcam.acoustics import band_beamforming, cepstra, geometry_files, microphones
from dualcam.cli import errors
from dualcam.data import schema
from dualcam.files import atomic, locking
from dualcam.files.path_types import AnyPath
from records import array_flags, avia_layout, cluster_flags, frame_files, steering

_FRAMES_AT_A_TIME = 12 * schema.FRAMES_PER_SECOND  # 75 MB of samples


def recording_to_cepstra(
    frames: np.ndarray, beamformer: band_beamforming.BandBeamformer
) -> np.ndarray:
    """Cepstral images of a recording.

    Args:
        frames: [frames, mics, 1024].
        beamformer: of the array that recorded them, with the filters of `cepstra.mel_filters`.

    Returns:
        [frames, 36, 48, 12] float32.
    """
    return cepstra.energies_to_cepstra(beamformer.energies(frames))


def write_mat(path: pathlib.Path, image: np.ndarray) -> None:
    """Writes one cepstral image [36, 48, 12], atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.asarray(image, np.float32)
    with atomic.writing_file(path, flushed=False) as partial, open(partial, 'wb') as file:
        file.write(_before_values(image.shape))
        file.write(image.tobytes(order='F'))
        file.write(bytes(-image.nbytes % 8))


@functools.lru_cache(maxsize=4)
def _before_values(shape):
    """What SciPy writes to a file before its values: the same in each, and slower than they are."""
    file = io.BytesIO()
    image = np.zeros(shape, np.float32)
    scipy.io.savemat(file, {'MFCC': image})
    return file.getvalue()[: -(image.nbytes + -image.nbytes % 8)]


def remove_partials(matfiles: AnyPath) -> None:
    """Removes partial images left by killed processes."""
    for path in pathlib.Path(matfiles).rglob(f'.*{atomic.PARTIAL}'):
        path.unlink(missing_ok=True)


def mat_path(matfiles: AnyPath, sequence_name: str, number: int) -> pathlib.Path:
    """The file of the image of frame `number` (from 1) of a sequence."""
    return pathlib.Path(matfiles) / sequence_name / 'MFCC_Image' / f'Data_{number}.mat'


@dataclasses.dataclass(frozen=True)
class Piece:
    """A few seconds of a take.

    Attributes:
        name: of the sequence.
        first: number of its first frame, from 1.
        files: of the frames.
    """

    name: str
    first: int
    files: tuple[pathlib.Path, ...]

    def targets(self, matfiles: AnyPath) -> list[pathlib.Path]:
        """The files of its images."""
        return [mat_path(matfiles, self.name, self.first + i) for i in range(len(self.files))]

    def __str__(self):
        return f'{self.name}, frames {self.first} - {self.first + len(self.files) - 1}'


def cut(sequence: avia_layout.RawSequence) -> list[Piece]:
    """The `Piece`s of a sequence, 12 s each."""
    files = sequence.files['array'][: sequence.num_frames]
    return [
        Piece(sequence.name, first + 1, tuple(files[first : first + _FRAMES_AT_A_TIME]))
        for first in range(0, len(files), _FRAMES_AT_A_TIME)
    ]


def beamform_piece(
    piece: Piece, out: AnyPath, beam: steering.Steering, overwrite: bool = False
) -> int:
    """Writes the images of a piece, unless all of them exist and are to be kept.

    Args:
        piece: the frames.
        out: folder for the .mat files.
        beam: how they are beamformed.
        overwrite: replace existing images.

    Returns:
        How many were written.

    Raises:
        ValueError: a file is damaged, or of another array.
    """
    targets = piece.targets(out)
    if not overwrite and all(path.exists() for path in targets):
        return 0
    frames = np.stack([_read(path, beam.array) for path in piece.files])
    for path, image in zip(targets, recording_to_cepstra(frames, beam.beamformer()), strict=True):
        write_mat(path, image)
    return len(targets)


def beamform(
    sequences: Sequence[avia_layout.RawSequence],
    out: AnyPath,
    beam: steering.Steering,
    overwrite: bool = False,
    cluster: jobs.Cluster | None = None,
) -> tuple[int, int]:
    """Writes the images of whole sequences.

    Args:
        sequences: with files of the modality 'array'.
        out: existing folder for the .mat files.
        beam: how they are beamformed.
        overwrite: replace existing images.
        cluster: its workers do the work; None for this process, with all cores.

    Returns:
        Numbers of images written, and of those that already existed.

    Raises:
        ValueError: a file is damaged, or of another array.
        OSError: see `jobs.Cluster.run`.
    """
    pieces = [piece for sequence in sequences for piece in cut(sequence)]
    num_frames = sum(len(piece.files) for piece in pieces)
    if cluster is not None:
        beam = dataclasses.replace(beam, num_threads=1)
    work = functools.partial(
        beamform_piece, out=jobs.shared_path(out, cluster), beam=beam, overwrite=overwrite
    )
    remove_partials(out)
    try:
        counts = jobs.run_all(
            work,
            pieces,
            1,
            'frame',
            cluster=cluster,
            size_of=lambda piece: len(piece.files),
            folder=out,
        )
    finally:
        if cluster is not None:  # left by killed workers
            remove_partials(out)
    return sum(counts), num_frames - sum(counts)


def main(_: list[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    layout = geometry_files.find_array(options.array, options.unit)
    if len(options.view_deg) != 2:
        raise ValueError(f'--view_deg={options.view_deg}: expected two angles, as in 60,45')
    width_deg, height_deg = map(float, options.view_deg)
    grid = microphones.look_directions(view_deg=(width_deg, height_deg))
    beam = steering.Steering(layout, grid, options.focus_m or None)
    with cluster_flags.connected() as cluster:
        raw = jobs.shared_path(options.raw, cluster)
        sequences = avia_layout.find_sequences({'array': pathlib.Path(raw) / 'array'})
        out = pathlib.Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        with locking.held(out / locking.LOCK_FILE, 'writes acoustic images'):
            written, existing = beamform(sequences, out, beam, options.overwrite, cluster)
    print(f'{written} acoustic images written, {existing} already existed: {out}')


def _read(path, layout):
    samples = frame_files.read_dc(path)
    if len(samples) != layout.num_mics:
        raise ValueError(
            f'{path}: {len(samples)} channels, but the array "{layout.name}" has '
            f'{layout.num_mics} microphones; pass the layout of this take with --array'
        )
    return samples


if __name__ == '__main__':
    flags.DEFINE_string('raw', None, 'Folder that contains array/.', required=True)
    flags.DEFINE_string('out', None, 'Folder for the .mat files.', required=True)
    array_flags.define()
    flags.DEFINE_list('view_deg', ['60', '45'], 'Horizontal and vertical field of view.')
    flags.DEFINE_float('focus_m', 1.5, 'Focus distance; 0 for plane waves.', lower_bound=0.0)
    flags.DEFINE_bool('overwrite', False, 'Replace existing images.')
    cluster_flags.define()
    for module in (array_flags, cluster_flags):  # for --help
        flags.adopt_module_key_flags(module)
    app.run(errors.clean_errors(main))
