"""Array recordings to cepstral acoustic images in the AVIA raw layout.

    python -m records.beamform --raw=RAW --out=MATFILES [--array=FILE] [--focus_m=1.5]

Reads RAW/array/Location_LL/Subject_SS/Action_AAA/audio/A_IIIIII.dc (int32, mics x 1024, Fortran
order) and writes MATFILES/Location_LL/Subject_SS/Action_AAA/MFCC_Image/Data_I.mat, float32
36 x 48 x 12. Images that exist are left as they are; --overwrite makes them anew.
"""

import os
import pathlib

import numpy as np
import scipy.io
from absl import app, flags

from dualcam.acoustics import beamforming, cepstra, geometry_files, microphones
from dualcam.cli import errors
from dualcam.data import schema
from dualcam.files import progress_bars
from records import avia_layout, frame_files

_FRAMES_AT_A_TIME = 12 * schema.FRAMES_PER_SECOND  # 75 MB of samples


def recording_to_cepstra(frames, beamformer, filters):
    """Cepstral images of a recording.

    Args:
        frames: [frames, mics, 1024].
        beamformer: a `Beamformer`.
        filters: what `cepstrum.mel_filters` gives.

    Returns:
        [frames, 36, 48, 12] float32.
    """
    return cepstra.energies_to_cepstra(beamformer.band_energies(frames, filters))


def write_mat(path, image):
    """Writes one cepstral image, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.partial')
    with open(partial, 'wb') as file:
        scipy.io.savemat(file, {'MFCC': image})
    os.replace(partial, path)


def mat_path(matfiles, sequence_name, number):
    """Where the image of frame `number` (from 1) of a sequence lies."""
    return pathlib.Path(matfiles) / sequence_name / 'MFCC_Image' / f'Data_{number}.mat'


def main(_):
    """The command."""
    options = flags.FLAGS
    layout = geometry_files.find_array(options.array, options.unit)
    view_deg = tuple(map(float, options.view_deg))
    if len(view_deg) != 2:
        raise ValueError(f'--view_deg={options.view_deg}: expected two angles, as in 60,45')
    grid = microphones.look_directions(view_deg=view_deg)
    sequences = avia_layout.find_sequences({'array': pathlib.Path(options.raw) / 'array'})
    beamformer = beamforming.Beamformer(layout, grid, options.focus_m or None)
    filters = cepstra.mel_filters()
    written = existing = 0
    with progress_bars.bar(total=sum(s.num_frames for s in sequences), unit='frame') as progress:
        for sequence in sequences:
            paths = [
                mat_path(options.out, sequence.name, i + 1) for i in range(sequence.num_frames)
            ]
            for first in range(0, len(paths), _FRAMES_AT_A_TIME):
                part = range(first, min(first + _FRAMES_AT_A_TIME, len(paths)))
                if not options.overwrite and all(paths[i].exists() for i in part):
                    existing += len(part)
                else:
                    frames = np.stack([_read(sequence.files['array'][i], layout) for i in part])
                    for i, image in zip(
                        part, recording_to_cepstra(frames, beamformer, filters), strict=True
                    ):
                        write_mat(paths[i], image)
                    written += len(part)
                progress.update(len(part))
    print(f'{written} acoustic images written, {existing} were there: {options.out}')


def _read(path, layout):
    samples = frame_files.read_dc(path)
    if len(samples) != layout.num_mics:
        raise ValueError(
            f'{path}: {len(samples)} channels, but the array "{layout.name}" has '
            f'{layout.num_mics} microphones; pass the layout of this take, --array'
        )
    return samples


if __name__ == '__main__':
    flags.DEFINE_string('raw', None, 'Folder that holds array/.', required=True)
    flags.DEFINE_string('out', None, 'Where the .mat files go.', required=True)
    flags.DEFINE_string(
        'array',
        'dualcam',
        'File with the microphones, or dualcam or uma16.',
    )
    flags.DEFINE_enum(
        'unit', None, list(geometry_files.UNITS), 'Of --array; default what it says, or m.'
    )
    flags.DEFINE_list('view_deg', ['60', '45'], 'Horizontal and vertical field of view.')
    flags.DEFINE_float('focus_m', 1.5, 'Distance to focus at; 0 for plane waves.', lower_bound=0.0)
    flags.DEFINE_bool('overwrite', False, 'Make images anew that exist.')
    app.run(errors.clean_errors(main))
