"""Writes the embedded data: a simulated AVIA or ACIVW in its raw layout.

    python -m records.synthetic --out=RAW [--preset=demo] [--sources=DIR] [--seed=0]
    python -m records.synthetic --out=RAW --layout=acivw [--preset=demo] [--sources=DIR] [--seed=0]

AVIA: writes RAW/array (128-channel .dc files), RAW/sync (one-microphone .npy, .jpeg video) and
RAW/dataset.json; `records.beamform` makes the acoustic images of RAW/array. With --matfiles=DIR
they are made here directly, by the same code, and with --nokeep_array the 128 channels (6 MB
per second) are not kept. With --novideo nothing is drawn, which a later call without it makes up
for.

ACIVW: writes RAW/class_C/data_DDD with channels, acoustic images and .bmp video (10 MB per second
together, 13 GB with --preset=demo) and RAW/dataset.json.

AVIA's takes of one subject, action and scenario are concatenated in one folder; dataset.json states
their length and that lists are by take. Complete folders are left unchanged. If another call is
writing to RAW, waits until it ends.
"""

import functools
import os
import pathlib
from typing import Any

import threadpoolctl
from absl import app, flags

from dualcam import jobs
from dualcam.acoustics import band_beamforming, cepstra, geometry_files, microphones
from dualcam.cli import errors
from dualcam.data.sources import datasets, sound_folders
from dualcam.files import large_arrays
from records import array_flags
from records.synthetic import acivw, avia, presets, recordings, takes

_ORIGINS = {'avia': 'array and rooms', 'acivw': 'array and places'}
_CLASSES = {'avia': datasets.AVIA_CLASSES, 'acivw': datasets.ACIVW_CLASSES}
_BEAMFORMER = None  # computed once, before the workers fork from this process


def _job_and_info(options):
    """What to make, and its description."""
    layout = options.layout
    _check(options)
    folds: tuple[int, ...] = ()
    preset: Any = presets.preset_named(
        options.preset, f'{layout}_recordings' if options.sources else layout
    )
    if layout == 'avia':
        if options.subjects:
            preset = preset.with_subjects(options.subjects)
        num_places, units = 3, avia.num_units(preset)
    else:
        num_places = units = options.videos or preset.num_videos
    classes, origin, dealt = _CLASSES[layout][: options.classes], 'simulated sounds, ', None
    if options.sources:
        found, folds = recordings.of_folds(
            sound_folders.find_sounds(options.sources), [int(fold) for fold in options.folds]
        )
        parts = recordings.deal(found, units, options.seed)
        dealt = tuple(tuple(map(tuple, parts[name])) for name in found)
        classes, origin = tuple(found), 'real recordings, simulated '
    info = datasets.DatasetInfo(
        f'{layout}_simulated',
        classes,
        origin + _ORIGINS[layout],
        num_places,
        folds,
        preset.take_rule(),
    )
    out = pathlib.Path(options.out)
    if layout == 'avia':
        matfiles = pathlib.Path(options.matfiles) if options.matfiles else None
        return avia.Job(
            out,
            matfiles,
            options.keep_array,
            options.seed,
            preset.take_s,
            preset.num_takes,
            preset.num_subjects,
            dealt,
            len(classes),
            options.video,
        ), info
    return acivw.Job(out, options.seed, preset.take_s, units, dealt, len(classes)), info


def _check(options):
    """Raises a `ValueError` for incompatible flags."""
    if options.folds and not options.sources:
        raise ValueError('--folds needs --sources')
    if options.classes and options.sources:
        raise ValueError('--classes is for parametric sounds; --sources has its own classes')
    if options.classes and options.classes > len(_CLASSES[options.layout]):
        raise ValueError(
            f'--classes={options.classes}: {options.layout} has {len(_CLASSES[options.layout])}'
        )
    if options.layout == 'avia':
        if options.videos:
            raise ValueError('--videos needs --layout=acivw; for AVIA use --subjects')
        if not options.keep_array and not options.matfiles:
            raise ValueError('--nokeep_array without --matfiles=DIR would lose the acoustic images')
    elif options.subjects or options.matfiles or not options.keep_array or not options.video:
        raise ValueError(
            '--subjects, --matfiles, --nokeep_array and --novideo need --layout=avia; in '
            "ACIVW's layout images, channels and video share a folder"
        )


def _work(piece, job, mic_array):
    if not job.is_complete(piece):
        # More threads round differently, so bytes would depend on the number of cores; and threads
        # of several processes wait for each other, which cost a fifth of the time.
        with threadpoolctl.threadpool_limits(1, 'blas'):
            job.write(piece, mic_array, _BEAMFORMER)


def main(_: list[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    job, info = _job_and_info(options)
    mic_array = geometry_files.find_array(options.array, options.unit)
    if options.layout == 'acivw' and mic_array.num_mics != microphones.NUM_MICS:
        raise ValueError(
            f"--array={options.array}: {mic_array.num_mics} microphones; ACIVW's "
            f'layout has {microphones.NUM_MICS}'
        )
    processes = options.processes or jobs.default_processes()
    matfiles = job.matfiles if options.layout == 'avia' else None
    with takes.claimed(job.out, job.settings(), matfiles):
        datasets.write_description(job.out, info)
        written, existing = _write_all(job, mic_array, options, processes)
    each = job.num_takes if options.layout == 'avia' else 1
    print(
        f'{each * written} takes of {job.take_s} s written, '
        f'{each * existing} already existed: {job.out}'
    )


def _write_all(job, mic_array, options, processes):
    """Numbers of folders written, and of those that already existed."""
    global _BEAMFORMER
    pieces = job.pieces()
    to_do = [piece for piece in pieces if not job.is_complete(piece)]
    if to_do and (options.layout == 'acivw' or job.matfiles):
        _BEAMFORMER = band_beamforming.BandBeamformer(
            mic_array, microphones.look_directions(), cepstra.mel_filters(), options.focus_m
        )
        _BEAMFORMER.num_threads = max(1, (os.cpu_count() or 1) // processes)
    large_arrays.keep_freed_memory()  # inherited by the workers
    jobs.run_all(
        functools.partial(_work, job=job, mic_array=mic_array),
        to_do,
        processes,
        'folder',
        start_method='fork',
    )
    return len(to_do), len(pieces) - len(to_do)


if __name__ == '__main__':
    flags.DEFINE_string('out', None, 'The raw folder to write.', required=True)
    flags.DEFINE_enum('layout', 'avia', list(presets.PRESETS), 'Which data set to simulate.')
    flags.DEFINE_string(
        'preset',
        'demo',
        f'Size: {", ".join(presets.PRESETS["avia"])}; of ACIVW '
        f'{", ".join(presets.PRESETS["acivw"])}.',
    )
    flags.DEFINE_integer(
        'subjects',
        None,
        "AVIA: number of subjects instead of the preset's, 1 - 9.",
        lower_bound=1,
        upper_bound=9,
    )
    flags.DEFINE_integer(
        'videos',
        None,
        "ACIVW: videos per class instead of the preset's number.",
        lower_bound=3,
        upper_bound=1000,
    )
    flags.DEFINE_integer(
        'classes', None, 'Only the first of the classes, at least 2.', lower_bound=2
    )
    flags.DEFINE_string('sources', None, 'Folder of real recordings, one folder per class.')
    flags.DEFINE_list('folds', [], 'With --sources: only recordings of these folds (ESC).')
    flags.DEFINE_integer('seed', 0, 'Same seed, same bytes.', lower_bound=0)
    flags.DEFINE_string('matfiles', None, 'AVIA: make the acoustic images here directly.')
    flags.DEFINE_bool('keep_array', True, 'AVIA: write the 128 channels.')
    flags.DEFINE_bool('video', True, 'AVIA: draw video.')
    array_flags.define()
    flags.DEFINE_float('focus_m', 1.5, 'Focus distance of the images.', lower_bound=0.1)
    flags.DEFINE_integer('processes', None, 'Number of processes; default one per core.')
    app.run(errors.clean_errors(main))
