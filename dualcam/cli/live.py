"""dualcam live: an array's sound on a page in real time."""

import argparse

from dualcam import startup
from dualcam.cli import array_options, examples

_EXAMPLES = (
    'dualcam live --array=uma16 --device=UMA --channels=1-16 --out=takes',
    'dualcam live --array=uma16 --replay=take.wav --video=take.webm',
    'dualcam live --array=mics.csv --host=0.0.0.0 --token=WORD --model=RUN',
    'dualcam live --student=RUN',
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the subcommand to the `dualcam` command."""
    parser = examples.add_parser(
        commands,
        'live',
        _EXAMPLES,
        help="an array's sound sources on a page in real time",
        description='Serves a page that shows the sound map over the camera picture, levels, '
        'sources and, with --model, their classes; with --out it records takes for '
        'records.convert_array. Sound comes from a sound device, or from a recording replayed in '
        'real time (--replay). With --student instead of --array, the page itself runs a student '
        "on the sound of the viewer's own microphone.",
    )
    array_options.add_array(parser, required=False)
    array_options.add_recording(parser)
    array_options.add_view(parser)
    array_options.add_maps(parser, ['sum', 'diagonal', 'functional'])
    group = parser.add_argument_group('sound')
    group.add_argument('--device', help='number or part of the name; default: the default device')
    group.add_argument('--rate_hz', type=float, help="sample rate; default: the device's own")
    group.add_argument('--replay', metavar='FILE', help='a recording instead of a device')
    group.add_argument('--once', action='store_true', help='replay once instead of in a loop')
    group.add_argument('--video', metavar='FILE', help='with --replay; in a format browsers play')
    array_options.add_video_offset(group)
    group = parser.add_argument_group('page')
    group.add_argument('--host', default='127.0.0.1', help='another address needs --token')
    group.add_argument('--port', type=int, default=8765, help='0 for any free port')
    group.add_argument('--token', help='word required in requests')
    parser.add_argument('--most_peaks', type=int, default=4, help='peaks per map')
    parser.add_argument(
        '--model', help="a run's folder, a SavedModel or a .tflite file, to classify sources"
    )
    parser.add_argument(
        '--student',
        metavar='RUN',
        help="a run's folder, a SavedModel or a .tflite file that runs in the page",
    )
    parser.add_argument('--out', metavar='DIR', help='folder for takes that the page records')
    parser.set_defaults(run=_run)


def _run(options):
    serving = _serving()
    if options.student and options.array:
        raise ValueError('--student needs no --array; with an array, use --model')
    if not (options.student or options.array):
        raise ValueError('expected --array=FILE, or --student=RUN without an array')
    if options.host not in serving.LOCAL and not options.token:
        raise ValueError(
            f'--host={options.host}: others on the network could look and listen; protect it '
            'with --token=WORD'
        )
    if not 0 <= options.port <= 65535:
        raise ValueError(f'--port={options.port}: expected 0 - 65535')
    if options.student:
        from dualcam.live import student_page

        student = student_page.read_student(options.student)
        app = student_page.student_app(student, options.token)
    else:
        app = _array_app(options)
    bound = serving.bind(options.host, options.port)
    link = serving.address(options.host, bound, options.token)
    print(f'{link}   (Ctrl-C to stop)', flush=True)
    serving.serve(app, bound)


def _array_app(options):
    """The application for an array."""
    from dualcam.acoustics import localisation, maps, recordings, videos
    from dualcam.live import engine, server, sound_sources, take_recorder

    if options.video and not options.replay:
        raise ValueError('--video needs --replay; otherwise the page opens the camera')
    for name in ('dynamic_range_db', 'maps_per_s', 'most_peaks'):
        if not getattr(options, name) > 0:
            raise ValueError(f'--{name}={getattr(options, name)}: expected more than 0')
    if options.video_offset_s and not options.video:
        raise ValueError('--video_offset_s needs --video')
    video = videos.open_video(options.video) if options.video else None
    array = array_options.array_of(options)
    source: sound_sources.Source
    if options.replay:
        recording = recordings.open_recording(options.replay, options.channels)
        array = recordings.match_array(recording, array)
        source = sound_sources.Replay(recording, loop=not options.once)
    else:
        source = sound_sources.Device(options.device, options.channels, options.rate_hz)
        if source.num_channels != array.num_mics:
            raise ValueError(
                f'{source.name}: {source.num_channels} channels, but the array "{array.name}" has '
                f'{array.num_mics} microphones; --channels selects and orders them'
            )
    low_hz, high_hz = array_options.numbers(options, 'band', (2,))
    student = None
    if options.model:
        startup.start_for(options.model)
        from dualcam.inference import students

        student = students.open_listener(options.model)
        if not student.classes:
            raise ValueError(f'{options.model}: {student.network} has no classes')
    params = maps.MapParams(
        low_hz,
        min(high_hz, 0.49 * source.rate_hz),
        options.method,
        array_options.focus_of(options),
        options.maps_per_s,
    )
    recorder = None
    if options.out:
        recorder = take_recorder.TakeRecorder(options.out, source.rate_hz, source.num_channels)
    running = engine.Engine(
        source,
        array,
        array_options.view_of(options, None if video is None else video.size),
        params,
        localisation.PeakParams(options.dynamic_range_db, options.most_peaks),
        student,
        recorder,
    )
    path = None if video is None else video.path
    return server.Live(running, options.token, path, options.video_offset_s).app


def _serving():
    try:
        from dualcam.live import serving
    except ImportError as error:
        raise ValueError(
            f'dualcam live needs more packages ({error}): pip install "dualcam[live]"'
        ) from error
    return serving
