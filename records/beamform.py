"""Array recordings to cepstral acoustic images in the AVIA raw layout.

    python -m records.beamform --raw=RAW --out=MATFILES [--array=FILE] [--focus_m=1.5]

Reads RAW/array/Location_LL/Subject_SS/Action_AAA/audio/A_IIIIII.dc (int32, mics x 1024, Fortran
order) and writes MATFILES/Location_LL/Subject_SS/Action_AAA/MFCC_Image/Data_I.mat, float32
36 x 48 x 12. Existing images are kept unless --overwrite is passed. Where another call writes to
MATFILES, waits until it ends.
"""

import os
import pathlib

import numpy as np
import scipy.io
from absl import app, flags

from dualcam.acoustics import band_beamforming, cepstra, geometry_files, microphones
from dualcam.cli import errors
from dualcam.data import schema
from dualcam.files import locking, progress_bars
from dualcam.files.path_types import AnyPath
from records import array_flags, avia_layout, frame_files

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
    """Writes one cepstral image [36, 48, 12], whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.partial')
    with open(partial, 'wb') as file:
        scipy.io.savemat(file, {'MFCC': image})
    os.replace(partial, path)


def mat_path(matfiles: AnyPath, sequence_name: str, number: int) -> pathlib.Path:
    """The file of the image of frame `number` (from 1) of a sequence."""
    return pathlib.Path(matfiles) / sequence_name / 'MFCC_Image' / f'Data_{number}.mat'


def main(_: list[str]) -> None:
    """The command."""
    options = flags.FLAGS
    layout = geometry_files.find_array(options.array, options.unit)
    if len(options.view_deg) != 2:
        raise ValueError(f'--view_deg={options.view_deg}: expected two angles, as in 60,45')
    width_deg, height_deg = map(float, options.view_deg)
    grid = microphones.look_directions(view_deg=(width_deg, height_deg))
    sequences = avia_layout.find_sequences({'array': pathlib.Path(options.raw) / 'array'})
    beamformer = band_beamforming.BandBeamformer(
        layout, grid, cepstra.mel_filters(), options.focus_m or None
    )
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    with locking.held(out / locking.LOCK_FILE, 'writes acoustic images'):
        written, existing = _write_all(sequences, layout, beamformer, out, options.overwrite)
    print(f'{written} acoustic images written, {existing} already existed: {out}')


def _write_all(sequences, layout, beamformer, out, overwrite):
    """Numbers of images written, and of those that already existed."""
    written = existing = 0
    with progress_bars.bar(total=sum(s.num_frames for s in sequences), unit='frame') as progress:
        for sequence in sequences:
            paths = [mat_path(out, sequence.name, i + 1) for i in range(sequence.num_frames)]
            for first in range(0, len(paths), _FRAMES_AT_A_TIME):
                part = range(first, min(first + _FRAMES_AT_A_TIME, len(paths)))
                if not overwrite and all(paths[i].exists() for i in part):
                    existing += len(part)
                else:
                    frames = np.stack([_read(sequence.files['array'][i], layout) for i in part])
                    for i, image in zip(
                        part, recording_to_cepstra(frames, beamformer), strict=True
                    ):
                        write_mat(paths[i], image)
                    written += len(part)
                progress.update(len(part))
    return written, existing


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
    flags.DEFINE_float('focus_m', 1.5, 'Distance to focus at; 0 for plane waves.', lower_bound=0.0)
    flags.DEFINE_bool('overwrite', False, 'Replace existing images.')
    flags.adopt_module_key_flags(array_flags)  # for --help
    app.run(errors.clean_errors(main))
