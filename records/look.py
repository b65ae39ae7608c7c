"""Draws raw takes as pictures and videos: acoustic images over video frames.

    python -m records.look --raw=RAW --out=DIR [--matfiles=RAW/matfiles] [--kinds=sheet,mp4]
        [--take=Location_01/Subject_01/Action_000] [--array=FILE] [--focus_m=1.5]
        [--view_deg=70,43] [--calibration=FILE] [--mirrored] [--upside_down] [--video_offset_s=0.4]

If RAW/array has the 128 channels, images are beamformed and show the power summed over 900 -
6,400 Hz; otherwise those of --matfiles show their first cepstral channel. RAW/sync has video and
sound. The camera's view is that of the images, 60 x 45 degrees, unless flags give another: 128
channels are then beamformed to it, images of --matfiles resampled to it. `dualcam look` does the
same for records.
"""

import pathlib
from collections.abc import Callable

import numpy as np
from absl import app, flags

from dualcam.acoustics import band_beamforming, geometry_files, microphones, views
from dualcam.cli import errors
from dualcam.data import schema
from dualcam.reports import look, overlays
from records import array_flags, avia_layout


def read_take(
    root: pathlib.Path,
    matfiles: pathlib.Path,
    name: str,
    beamformer_of: Callable[[np.ndarray], band_beamforming.BandBeamformer],
) -> look.Take:
    """A `look.Take` of a raw folder.

    Args:
        root: the raw folder.
        matfiles: folder of acoustic images, for takes without 128 channels.
        name: Location_LL/Subject_SS/Action_AAA, actions from 0.
        beamformer_of: makes the beamformer of filters [bands, 512]; called only if the take has
            128 channels.

    Raises:
        ValueError: there is no such take, or a frame is damaged.
    """
    if not (root / 'sync' / name).is_dir():
        raise ValueError(
            f'{root}: no take {name}; expected its sound and video in {root / "sync" / name}'
        )
    roots = {'audio': root / 'sync', 'video': root / 'sync'}
    multispectral = (root / 'array' / name / 'audio').is_dir()
    roots['array' if multispectral else 'acoustic'] = root / 'array' if multispectral else matfiles
    (found,) = avia_layout.find_sequences(roots, only=name)
    frames = {
        kind: [avia_layout.read_frame(kind, path) for path in paths]
        for kind, paths in found.files.items()
    }
    if multispectral:
        # Images of all 512 frequencies of a take would take gigabytes.
        images = beamformer_of(overlays.band()[None]).energies(np.stack(frames['array']))
    else:
        images = np.stack(frames['acoustic'])
    return look.Take(
        name.replace('/', '_'),
        images,
        np.stack(frames['video'])[..., ::-1],
        np.stack(frames['audio']),
    )


def main(_: list[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    root = pathlib.Path(options.raw)
    matfiles = pathlib.Path(options.matfiles) if options.matfiles else root / 'matfiles'
    view = array_flags.view_of(schema.VIDEO_SHAPE[1::-1])

    def beamformer(filters: np.ndarray) -> band_beamforming.BandBeamformer:
        layout = geometry_files.find_array(options.array, options.unit)
        grid = microphones.look_directions() if view is None else view.grid()
        return band_beamforming.BandBeamformer(layout, grid, filters, options.focus_m or None)

    names = (
        options.take
        or [
            avia_layout.sequence_name(s.location, s.subject, s.action)
            for s in avia_layout.find_sequences({'audio': root / 'sync'})
        ][:1]
    )
    for name in names:
        take = read_take(root, matfiles, name.strip('/'), beamformer)
        take = look.seen(
            take,
            view or views.View(),
            options.video_offset_s,
            aligned=view is None or take.images.shape[-1] == 1,  # one band: beamformed to the view
        )
        for path in look.write(take, options.out, options.kinds, options.every):
            print(f'written: {path}')


if __name__ == '__main__':
    flags.DEFINE_string('raw', None, 'The raw folder: sync/, array/ or matfiles/.', required=True)
    flags.DEFINE_string('matfiles', None, 'Acoustic images; default RAW/matfiles.')
    flags.DEFINE_string('out', None, 'Folder for the pictures and videos.', required=True)
    flags.DEFINE_list(
        'take', [], 'Location_LL/Subject_SS/Action_AAA, one or more; default the first.'
    )
    flags.DEFINE_list('kinds', ['sheet', 'mp4'], f'Some of {", ".join(look.KINDS)}.')
    flags.DEFINE_integer(
        'every',
        schema.FRAMES_PER_SECOND // 4,
        'Frames between pictures.',
        lower_bound=1,
    )
    array_flags.define()
    array_flags.define_view()
    array_flags.define_video_offset()
    flags.DEFINE_float('focus_m', 1.5, 'Focus distance; 0 for plane waves.', lower_bound=0.0)
    flags.adopt_module_key_flags(array_flags)  # for --help
    app.run(errors.clean_errors(main))
