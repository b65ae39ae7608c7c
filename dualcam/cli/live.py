"""dualcam live: an array's sound as it comes in, on a page."""

import argparse
import pathlib

from dualcam.cli import array_options, examples

_EXAMPLES = (
    'dualcam live --array=uma16 --device=UMA --channels=1-16 --out=takes',
    'dualcam live --array=uma16 --replay=take.wav --video=take.webm',
    'dualcam live --array=mics.csv --host=0.0.0.0 --token=WORD --model=RUN',
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds it to the `dualcam` command."""
    parser = examples.add_parser(
        commands,
        'live',
        _EXAMPLES,
        help="where an array's sound comes from, now, on a page",
        description='Serves a page that shows the map of the sound over the picture of the '
        'camera, levels, sources and, with --model, what they are; with --out it records takes '
        'that records.convert_array reads. Sound comes from a sound device, or from a recording '
        'at the pace at which it was made (--replay).',
    )
    array_options.add_array(parser)
    array_options.add_recording(parser)
    array_options.add_view(parser)
    array_options.add_maps(parser, ['sum', 'diagonal', 'functional'])
    group = parser.add_argument_group('sound')
    group.add_argument('--device', help='number or part of the name; default the usual one')
    group.add_argument('--rate_hz', type=float, help='of the device; default its own')
    group.add_argument('--replay', metavar='FILE', help="a recording in a device's place")
    group.add_argument('--once', action='store_true', help='replay it once, not again and again')
    group.add_argument('--video', metavar='FILE', help='beside --replay, for browsers to play')
    group = parser.add_argument_group('page')
    group.add_argument('--host', default='127.0.0.1', help='another address needs --token')
    group.add_argument('--port', type=int, default=8765, help='0 for any that is free')
    group.add_argument('--token', help='word that requests must carry')
    parser.add_argument('--most_peaks', type=int, default=4, help='in a map')
    parser.add_argument(
        '--model', help="a run's folder, a SavedModel or a .tflite file, to say what sounds"
    )
    parser.add_argument('--out', metavar='DIR', help='folder for takes that the page records')
    parser.set_defaults(run=_run)


def _run(options):
    from dualcam.acoustics import localisation, maps, recordings

    server = _server()
    from dualcam.live import engine, sound_sources, take_recorder

    if options.host not in server.LOCAL and not options.token:
        raise ValueError(
            f'--host={options.host}: who else is on the network could look and listen; give a '
            'word that they need, --token=WORD'
        )
    if options.video and not options.replay:
        raise ValueError('--video goes with --replay; the page opens the camera by itself')
    if not 0 <= options.port <= 65535:
        raise ValueError(f'--port={options.port}: expected 0 - 65535')
    for name in ('dynamic_range_db', 'maps_per_s', 'most_peaks'):
        if not getattr(options, name) > 0:
            raise ValueError(f'--{name}={getattr(options, name)}: expected more than 0')
    video = pathlib.Path(options.video) if options.video else None
    if video is not None and not video.is_file():
        raise ValueError(f'{video}: no such file')
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
                f'{array.num_mics} microphones; --channels picks and orders them'
            )
    low_hz, high_hz = array_options.numbers(options, 'band', (2,))
    student = None
    if options.model:
        from dualcam.inference import students

        student = students.open_listener(options.model)
        if not student.classes:
            raise ValueError(f'{options.model}: {student.network} knows no classes')
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
        array_options.view_of(options),
        params,
        localisation.PeakParams(options.dynamic_range_db, options.most_peaks),
        student,
        recorder,
    )
    live = server.Live(running, options.host, options.token, video)
    bound = server.bind(options.host, options.port)
    port = bound.getsockname()[1]
    name = f'[{options.host}]' if ':' in options.host else options.host
    query = f'?token={options.token}' if options.token else ''
    print(f'http://{name}:{port}/{query}   (Ctrl-C ends it)', flush=True)
    server.serve(live, bound)


def _server():
    try:
        from dualcam.live import server
    except ImportError as error:
        raise ValueError(
            f'dualcam live needs more packages ({error}): pip install "dualcam[live]"'
        ) from error
    return server
