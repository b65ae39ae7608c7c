"""Takes of any array to one-second records, with acoustic images, sound and video.

    python -m records.convert_array --takes=takes.csv --array=FILE --out=RECORDS

takes.csv has one row per take: recording, video, class, subject, place, start, end (see
`records.array_takes`). Sound of any rate and format is resampled to 12,288 Hz, acoustic images are
beamformed and compressed as in the papers, video is scaled to 480 x 640. Writes
OUT/Location_LL/Subject_SS/Action_AAA/Data_NNN.tfrecord, further takes of the same place, subject
and class to Action_AAA_take_NN, and dataset.json with the classes, their origin and the rule for
the lists.

A take yields one record per whole second (--length=keep). With --length=cut, longer takes end after
--seconds; with --length=repeat, shorter ones are repeated to that length as well. The last line
counts what was left out, cut and repeated. Existing records are kept unchanged.
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

import numpy as np
from absl import app, flags

from dualcam import jobs
from dualcam.acoustics import (
    cepstra,
    geometry_files,
    microphones,
    recordings,
    videos,
    views,
)
from dualcam.data import schema
from dualcam.data.sources import datasets
from dualcam.files import progress_bars
from dualcam.files.path_types import AnyPath
from records import (
    array_flags,
    array_takes,
    cluster_flags,
    conversion,
    manifest,
    steering,
    writer,
)

FULL_SCALE = 2**23  # of the int32 samples in records, as from 24-bit converters
_SECONDS_AT_A_TIME = 12


class Counts(NamedTuple):
    """Statistics of a conversion.

    Attributes:
        written, existing: numbers of records.
        rest_s: seconds left out at the ends of takes, less than one each.
        cut_s: seconds cut off takes that are too long.
        repeated_s: seconds that are repetitions.
        short: number of takes shorter than a second, which have no records.
        without_video: number of seconds not fully covered by the video.
    """

    written: int
    existing: int
    rest_s: float
    cut_s: int
    repeated_s: int
    short: int
    without_video: int


@dataclasses.dataclass(frozen=True)
class _Planned:
    """A take and its records: (path, the second of the take in it)."""

    take: array_takes.ArrayTake
    recording: recordings.Recording
    duration_s: float
    seconds: int
    rows: tuple[tuple[str, int], ...]


def convert(
    takes: AnyPath,
    array: AnyPath,
    out: AnyPath,
    modalities: Sequence[schema.Modality] | None = None,
    unit: str | None = None,
    array_from: str = 'behind',
    camera_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
    channels: str | None = None,
    focus_m: float | None = 1.5,
    view_deg: Sequence[float] | None = None,
    calibration: AnyPath | None = None,
    mirrored: bool = False,
    upside_down: bool = False,
    length: str = 'keep',
    seconds: int | None = None,
    by: str = 'take',
    overwrite: bool = False,
    compression_level: int = 1,
    processes: int = 1,
    only: Set[str] | None = None,
    cluster: jobs.Cluster | None = None,
) -> Counts:
    """Converts all takes of a table; see the module docstring.

    Args:
        takes: the table.
        array: file of the layout, or the name of a built-in one.
        out: root of the records.
        modalities: `schema.Modality`s; None for images, sound and, if all takes have it, video.
        unit, array_from, camera_m: see `geometry_files.find_array`.
        channels: see `recordings.parse_channels`.
        focus_m: distance to focus at; 0 or None for plane waves.
        view_deg, calibration, mirrored, upside_down: see `views.make_view`.
        length: one of `array_takes.LENGTHS`.
        seconds: the length to cut or repeat to.
        by: how lists are to be split, 'take' or 'subject'.
        overwrite: rewrite existing records.
        compression_level: of GZIP.
        processes: has little effect, since beamforming uses all cores by itself.
        only: paths below `out` of one take's records; if given, only these are rewritten.
        cluster: its workers do the work, one take at a time, instead of this machine.

    Returns:
        The `Counts`.

    Raises:
        ValueError: the table or one of its files is invalid, or `out` contains other records.
        OSError: see `conversion.writing`.
    """
    if length not in array_takes.LENGTHS or (length == 'keep') != (seconds is None):
        raise ValueError(
            f'--length={length} --seconds={seconds}: expected keep, or cut or repeat with --seconds'
        )
    out = jobs.shared_path(out, cluster)
    table = array_takes.read_takes(jobs.shared_path(takes, cluster))
    layout = geometry_files.find_array(array, unit, array_from, camera_m)
    planned = [_plan(take, channels, layout, length, seconds) for take in table.takes]
    modalities = modalities or _default_modalities(table)
    _check_video(table, modalities)
    view = _view(table, modalities, view_deg, calibration, mirrored, upside_down)
    positions = np.round(layout.positions_m, 6) + 0.0  # + 0.0 turns -0.0 into 0.0
    settings = {
        'modalities': [one.name for one in modalities],
        'microphones': hashlib.sha256(positions.tobytes()).hexdigest()[:16],
        'focus_m': focus_m or 0.0,
        'view_deg': [round(angle, 4) for angle in view.rim_deg()],
        'channels': channels or '',
        'length': length,
        'seconds': seconds or 0,
    }
    built_in = str(array) in geometry_files.BUILT_IN
    call = conversion.Call(
        'convert_array',
        {'takes': takes, 'calibration': calibration} | ({} if built_in else {'array': array}),
        ({'array': array} if built_in else {})
        | {
            'modalities': settings['modalities'],
            'unit': unit,
            'array_from': array_from,
            'camera_m': list(camera_m),
            'channels': channels,
            'focus_m': focus_m,
            'view_deg': None if view_deg is None else list(view_deg),
            'mirrored': mirrored,
            'upside_down': upside_down,
            'length': length,
            'seconds': seconds,
            'by': by,
            'compression_level': compression_level,
        },
    )
    sources = {path: _source(one, second) for one in planned for path, second in one.rows}
    with conversion.writing(
        out,
        settings,
        call,
        sources,
        overwrite,
        only,
        processes,
        check=lambda: _check_same(out, table, sources, overwrite),
        cluster=cluster,
    ) as task:
        rule = datasets.TakeRule(by_subject=by == 'subject')
        datasets.write_description(out, table.description(rule, pathlib.Path(layout.name).name))
        without_video = _convert_takes(
            planned, task, layout, _Recipe(modalities, view, focus_m or None, compression_level)
        )
    rests = sum(one.duration_s - one.seconds for one in planned)
    return Counts(
        len(task.missing),
        len(sources) - len(task.missing),
        round(rests, 3),
        sum(max(0, one.seconds - len(one.rows)) for one in planned),
        sum(max(0, len(one.rows) - one.seconds) for one in planned),
        sum(not one.seconds for one in planned),
        without_video,
    )


def _plan(take, channels, layout, length, seconds):
    """The `_Planned` of a take."""
    try:
        recording = recordings.open_recording(take.recording, channels)
        recordings.match_array(recording, layout)
    except ValueError as error:
        raise ValueError(f'row {take.row}: {error}') from error
    if take.start_s >= recording.duration_s:
        raise ValueError(
            f'row {take.row}: starts at {take.start_s:g} s, but {take.recording} has '
            f'{recording.duration_s:g} s'
        )
    end_s = min(take.end_s or recording.duration_s, recording.duration_s)
    duration_s = end_s - take.start_s
    whole = int(duration_s + 1e-6)
    count = whole
    if length != 'keep' and whole:
        count = min(whole, seconds) if length == 'cut' else seconds
    rows = tuple((conversion.record_path(take.folder, i), i % whole) for i in range(count))
    return _Planned(take, recording, duration_s, whole, rows)


def _source(planned, second):
    first = second * schema.FRAMES_PER_SECOND
    frames = range(first, first + schema.FRAMES_PER_SECOND)
    take = planned.take
    return conversion.second_source(str(take.recording.name), frames) | {'start_s': take.start_s}


def _default_modalities(table):
    kinds = [schema.ACOUSTIC, schema.AUDIO]
    return kinds + ([schema.VIDEO] if all(take.video for take in table.takes) else [])


def _check_video(table, modalities):
    lacking = [take.row for take in table.takes if take.video is None]
    if schema.VIDEO in modalities and lacking:
        raise ValueError(
            f'{table.path}: row {lacking[0]} has no video, and {len(lacking) - 1} more; '
            'convert with --modalities=0,1'
        )


def _view(table, modalities, view_deg, calibration, mirrored, upside_down):
    """The view for all takes, that of the first video."""
    first = next((take.video for take in table.takes if take.video), None)
    size = videos.open_video(first).size if first is not None else None
    if size is None or schema.VIDEO not in modalities:
        size = None if calibration is None else size
    return views.make_view(view_deg, calibration, size, mirrored, upside_down)


def _check_same(out, table, sources, overwrite):
    """Raises a `ValueError` if existing records were made from other takes."""
    if overwrite or not (pathlib.Path(out) / datasets.DESCRIPTION_FILE).exists():
        return
    before = datasets.read_description(out).classes
    if before != table.classes[: len(before)]:
        raise ValueError(
            f'{out}: has records of the classes {", ".join(before)}, but {table.path} begins with '
            f'{", ".join(table.classes[: len(before)])}; add rows at the end, or --overwrite'
        )
    entries, _ = manifest.read(out)
    for path, source in sources.items():
        if path in entries and entries[path].source != source:
            raise ValueError(
                f'{out}/{path}: was made of {entries[path].source}, but {table.path} now says '
                f'{source}; add rows at the end, choose another --out, or --overwrite'
            )


@dataclasses.dataclass(frozen=True, eq=False)
class _Recipe:
    """The settings by which takes become records, see `convert`."""

    modalities: Sequence[schema.Modality]
    view: views.View
    focus_m: float | None
    compression_level: int


@dataclasses.dataclass(frozen=True)
class _WrittenTake(conversion.Written):
    """The result for one take, with its number of seconds not fully covered by the video."""

    without_video: int = 0


def _convert_takes(planned, task, layout, recipe):
    """Writes all missing records; returns the number of seconds not fully covered by video."""
    pieces = []
    for one in planned:
        rows = tuple(row for row in one.rows if row[0] in task.missing)
        if rows:
            pieces.append(dataclasses.replace(one, rows=rows))
    if not pieces:
        return 0
    beam = None
    if schema.ACOUSTIC in recipe.modalities:
        # Positions of the selected channels, which are the same for all takes.
        positions_m = recordings.match_array(pieces[0].recording, layout).positions_m
        beam = steering.Steering(
            microphones.MicArray(layout.name, positions_m),
            recipe.view.grid(),
            recipe.focus_m,
            num_threads=None if task.cluster is None else 1,
        )
    work = functools.partial(_convert_take, beam=beam, recipe=recipe)
    if task.cluster is not None:
        found = task.run(work, pieces, 'take', lambda piece: str(piece.take.recording))
    else:
        out = conversion.Output(task.root)
        with progress_bars.bar(total=len(task.missing), unit='record') as bar:
            found = [work(piece, out=out, progress=bar.update) for piece in pieces]
    return sum(one.without_video for one in found)


def _convert_take(planned, out, beam, recipe, progress=lambda count: None):
    """Writes the records of a take's rows."""
    wanted: dict[int, list[str]] = {}
    entries = []
    for path, second in planned.rows:
        if out.lacks(path):
            wanted.setdefault(second, []).append(path)
        else:
            entries.append(out.finish(path, _source(planned, second)))
    lacking = 0
    pictures = _pictures(planned, recipe.view) if schema.VIDEO in recipe.modalities else None
    for first, samples in _seconds_of(planned):
        count = len(samples) // schema.ARRAY_RATE_HZ
        shown = [next(pictures) for _ in range(count)] if pictures else []
        if not any(first + i in wanted for i in range(count)):
            continue
        frames = _frames(samples, planned)
        images = None
        if beam is not None:
            images = cepstra.energies_to_cepstra(beam.beamformer().energies(frames))
        for i in range(count):
            part = slice(i * schema.FRAMES_PER_SECOND, (i + 1) * schema.FRAMES_PER_SECOND)
            held = {}
            if images is not None:
                held['acoustic'] = list(images[part])
            if schema.AUDIO in recipe.modalities:
                held['audio'] = list(frames[part, :1])
            if pictures:
                held['video'], complete = shown[i]
            for path in wanted.get(first + i, ()):
                lacking += bool(pictures) and not complete
                example = writer.second_to_example(planned.take.labels, held)
                target = pathlib.Path(out.root) / path
                writer.write_record(target, example, recipe.compression_level)
                entries.append(out.finish(path, _source(planned, first + i)))
                progress(1)
    return _WrittenTake(entries, without_video=lacking)


def _seconds_of(planned) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first second, [whole seconds of samples, channels]) of a take at `ARRAY_RATE_HZ`."""
    rate_hz, take = schema.ARRAY_RATE_HZ, planned.take
    blocks = planned.recording.blocks(None, take.start_s, take.end_s, rate_hz)
    held, first = np.zeros((0, planned.recording.num_channels), np.float32), 0
    for block in blocks:
        held = np.concatenate([held, block])
        whole = len(held) // rate_hz
        if whole >= _SECONDS_AT_A_TIME:
            yield first, held[: whole * rate_hz]
            held, first = held[whole * rate_hz :], first + whole
    missed = (planned.seconds - first) * rate_hz - len(held)
    if missed > 0:  # resampling may end a sample early
        held = np.concatenate([held, np.zeros((missed, held.shape[1]), np.float32)])
    if planned.seconds > first:
        yield first, held[: (planned.seconds - first) * rate_hz]


def _frames(samples, planned):
    """Samples cut into frames, [frames, mics, 1024] int32."""
    scaled = np.round(samples.astype(np.float64) * FULL_SCALE)
    if np.abs(scaled).max(initial=0) >= 2**31:
        raise ValueError(
            f'{planned.take.recording}: samples up to {np.abs(samples).max():g}; expected less '
            'than 256, as of integers within 1 or of pascals'
        )
    cut = scaled.astype(np.int32).reshape(-1, schema.SAMPLES_PER_FRAME, samples.shape[1])
    return np.ascontiguousarray(np.swapaxes(cut, 1, 2))


def _pictures(planned, view) -> Iterator[tuple[list[np.ndarray], bool]]:
    """Yields each second's 12 pictures [480, 640, 3] BGR, and whether the video covers all of them.

    Before and after the video, its first or last picture is repeated.
    """
    take = planned.take
    height, width, _ = schema.VIDEO_SHAPE
    video = videos.open_video(take.video)
    times_s = (
        take.start_s
        - take.video_offset_s
        + np.arange(planned.seconds * schema.FRAMES_PER_SECOND) / schema.FRAMES_PER_SECOND
    )
    _, first = next(video.pictures((width, height), view))
    last, second, complete = first, [], True
    for picture in video.at(times_s, (width, height), view):
        complete &= picture is not None
        last = last if picture is None else picture
        second.append(np.ascontiguousarray(last[..., ::-1]))
        if len(second) == schema.FRAMES_PER_SECOND:
            yield second, complete
            second, complete = [], True


def said(counts: Counts, out: AnyPath) -> str:
    """The last line of a conversion's output."""
    parts = [f'{counts.written} records written, {counts.existing} already existed']
    if counts.rest_s:
        parts.append(f'{counts.rest_s:g} s at the ends of takes, less than a second each, left out')
    if counts.short:
        parts.append(f'{counts.short} takes are shorter than a second and have none')
    if counts.cut_s:
        parts.append(f'{counts.cut_s} s cut off')
    if counts.repeated_s:
        parts.append(f'{counts.repeated_s} s are repetitions')
    if counts.without_video:
        parts.append(f'{counts.without_video} s lack pictures of their own')
    return '; '.join(parts) + f': {out}'


def main(_: list[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    shared = conversion.shared_options()
    if not options['modalities'].present:
        shared['modalities'] = None
    right_m, up_m, forward_m = array_flags.numbers('camera_m', (3,))
    with cluster_flags.connected() as cluster:
        counts = convert(
            options.takes,
            options.array,
            unit=options.unit,
            array_from=options.array_from,
            camera_m=(right_m, up_m, forward_m),
            channels=options.channels,
            focus_m=options.focus_m,
            view_deg=array_flags.numbers('view_deg', (1, 2)) if options.view_deg else None,
            calibration=options.calibration,
            mirrored=options.mirrored,
            upside_down=options.upside_down,
            length=options.length,
            seconds=options.seconds,
            by=options.by,
            cluster=cluster,
            **shared,
        )
    print(said(counts, options.out))


if __name__ == '__main__':
    from dualcam.cli import errors

    conversion.define_flags()
    flags.DEFINE_string('takes', None, 'Table of the takes.', required=True)
    array_flags.define(default=None)
    flags.DEFINE_enum(
        'array_from', 'behind', list(geometry_files.SIDES), 'The layout is as seen from there.'
    )
    flags.DEFINE_list('camera_m', ['0', '0', '0'], 'Where the camera is in the layout, metres.')
    flags.DEFINE_string('channels', None, 'Those of the microphones, as in 1-16 or -5.')
    flags.DEFINE_float('focus_m', 1.5, 'Distance to focus at; 0 for plane waves.', lower_bound=0.0)
    array_flags.define_view()
    flags.DEFINE_enum(
        'length', 'keep', list(array_takes.LENGTHS), 'Of takes: as they are, cut, or repeated too.'
    )
    flags.DEFINE_integer('seconds', None, 'That --length cuts or repeats to.', lower_bound=1)
    flags.DEFINE_enum('by', 'take', ['take', 'subject'], 'How lists are split.')
    for module in (array_flags, cluster_flags):  # for --help
        flags.adopt_module_key_flags(module)
    app.run(errors.clean_errors(main))
