"""dualcam camera: locates the sound sources in an array recording."""

import argparse
import contextlib
import pathlib

from dualcam import startup
from dualcam.cli import array_options, examples

_FILES = (
    *('overlay.mp4', 'sheet.png', 'peaks.csv', 'sources.csv', 'take.json', 'maps.npy'),
    'listen.wav',
)

_EXAMPLES = (
    'dualcam camera --input=take.wav --array=uma16 --out=seen',
    'dualcam camera --input=take.wav --array=mics.csv --unit=mm --video=take.mp4 --out=seen',
    'dualcam camera --input=take.wav --array=uma16 --out=seen --model=RUN --listen=peak',
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the subcommand to the `dualcam` command."""
    parser = examples.add_parser(
        commands,
        'camera',
        _EXAMPLES,
        help='sound sources in a recording of any array',
        description='Makes maps of a multichannel recording, finds and tracks its sources, and '
        'writes overlay.mp4 with the sound, sheet.png, peaks.csv, sources.csv, take.json and '
        "maps.npy. With --model a student classifies each source's beamformed sound.",
    )
    parser.add_argument(
        '--input', required=True, metavar='FILE', help='WAV, W64, FLAC, HDF5, or a video with sound'
    )
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument('--overwrite', action='store_true', help='overwrite files in --out')
    array_options.add_array(parser)
    array_options.add_recording(parser)
    array_options.add_view(parser)
    group = parser.add_argument_group('video')
    group.add_argument(
        '--video', metavar='FILE', help="any that PyAV reads; default: the recording's own"
    )
    array_options.add_video_offset(group)
    group.add_argument('--width', type=int, default=1280, help='maximum width of the video')
    maps = array_options.add_maps(
        parser, ['sum', 'diagonal', 'functional', 'clean-sc', 'orthogonal']
    )
    maps.add_argument(
        '--engine',
        choices=['dualcam', 'acoular'],
        default='dualcam',
        help='beamforming implementation; orthogonal needs acoular',
    )
    maps.add_argument('--order', type=float, default=8.0, help='order of functional beamforming')
    sources = parser.add_argument_group('sources')
    sources.add_argument('--most_peaks', type=int, default=4, help='peaks per map')
    sources.add_argument('--quietest_db', type=float, help='lowest level of a peak; default: any')
    sources.add_argument(
        '--model', help="a run's folder, a SavedModel or a .tflite file, to classify sources"
    )
    sources.add_argument('--top_k', type=int, default=3, help='classes in take.json')
    sources.add_argument(
        '--listen',
        metavar='peak|AZIMUTH,ELEVATION',
        help='write listen.wav, the sound beamformed towards the source with the most energy or a '
        'direction in degrees, and use it for the video',
    )
    parser.set_defaults(run=_run)


def _run(options):
    from dualcam.acoustics import localisation, localised_takes, recordings
    from dualcam.reports import camera, camera_tables

    out = pathlib.Path(options.out)
    _check(options, out)
    array = array_options.array_of(options)
    recording = recordings.open_recording(options.input, options.channels)
    array = recordings.match_array(recording, array)
    video = _video(options)
    view = array_options.view_of(options, video and video.size)
    maker = _maker(options, array, view, recording.rate_hz)
    student = _student(options)
    out.mkdir(parents=True, exist_ok=True)
    peak_params = localisation.PeakParams(
        options.dynamic_range_db, options.most_peaks, quietest_db=options.quietest_db
    )
    with contextlib.ExitStack() as stack:
        recording = stack.enter_context(recordings.unpacked(recording, out))
        take = localised_takes.localise(recording, maker, view, out / 'maps.npy', peak_params)
        for channel in take.quiet_channels():
            print(f'channel {channel} is (nearly) silent; --channels=-{channel} drops it')
        classes = None
        if student is not None:
            from dualcam.inference import source_classes

            classes = source_classes.classify_take(take, student, options.top_k)
        listen = None
        if options.listen:
            listen = out / 'listen.wav'
            towards = None
            if options.listen != 'peak':
                azimuth_deg, elevation_deg = array_options.numbers(options, 'listen', (2,))
                towards = azimuth_deg, elevation_deg
            said = localised_takes.write_listen(listen, take, towards)
            print(f'listening to {said}: {listen}')
        shown = camera.Shown(
            video,
            options.video_offset_s,
            options.dynamic_range_db,
            options.width,
            classes,
            listen,
        )
        rows = camera_tables.write_peaks(out / 'peaks.csv', take, classes)
        camera_tables.write_sources(out / 'sources.csv', take, classes)
        settings = {'engine': options.engine, 'dynamic_range_db': options.dynamic_range_db}
        camera_tables.write_json(
            out / 'take.json', camera_tables.summary(take, classes, settings, options.input)
        )
        camera.write_sheet(out / 'sheet.png', take, shown)
        pictures, seen = camera.write_film(out / 'overlay.mp4', take, shown)
    for line in camera_tables.lines(take, classes):
        print(line)
    if video is not None and seen < pictures:
        print(f'{pictures - seen} of {pictures} frames are without a camera picture')
    print(
        f'{len(take.times_s)} maps of {recording.duration_s:.1f} s, {rows} peaks, '
        f'{len(take.sources)} sources: {out}'
    )


def _check(options, out):
    existing = [name for name in _FILES if (out / name).exists()]
    if existing and not options.overwrite:
        raise ValueError(f'{out / existing[0]} exists; choose another --out, or --overwrite')
    for name, least in (('most_peaks', 1), ('top_k', 1), ('width', 64)):
        if getattr(options, name) < least:
            raise ValueError(f'--{name}={getattr(options, name)}: expected {least} or more')
    for name in ('dynamic_range_db', 'maps_per_s', 'order'):
        if not getattr(options, name) > 0:
            raise ValueError(f'--{name}={getattr(options, name)}: expected more than 0')
    if options.method == 'orthogonal' and options.engine != 'acoular':
        raise ValueError('--method=orthogonal needs --engine=acoular')
    if options.listen and options.listen != 'peak':
        angles = array_options.numbers(options, 'listen', (2,))
        if not max(map(abs, angles)) < 90:
            raise ValueError(f'--listen={options.listen}: expected angles within 90 degrees')


def _video(options):
    from dualcam.acoustics import recordings, videos

    if options.video:
        return videos.open_video(options.video)
    own = pathlib.Path(options.input)
    if own.suffix.lower() in recordings.MEDIA_SUFFIXES and videos.has_pictures(own):
        return videos.open_video(own)
    return None


def _maker(options, array, view, rate_hz):
    from dualcam.acoustics import acoular_maps, maps

    low_hz, high_hz = array_options.numbers(options, 'band', (2,))
    params = maps.MapParams(
        low_hz,
        high_hz,
        options.method,
        array_options.focus_of(options),
        options.maps_per_s,
        options.order,
    )
    kind = acoular_maps.AcoularMapMaker if options.engine == 'acoular' else maps.MapMaker
    return kind(array, view.grid(), rate_hz, params)


def _student(options):
    if not options.model:
        return None
    startup.start_for(options.model)
    from dualcam.inference import students

    return students.open_listener(options.model)
