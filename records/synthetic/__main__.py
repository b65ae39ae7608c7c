"""The embedded default: a simulated AVIA in its raw layout.

    python -m records.synthetic --out=RAW [--preset=demo] [--sources=DIR] [--seed=0]

Writes RAW/array (128-channel .dc files), RAW/sync (one-microphone .npy, .jpeg video) and
RAW/dataset.json; `records.beamform` makes the acoustic images of RAW/array. With --matfiles=DIR
they are made here at once, by the same code, and with --nokeep_array the 128 channels (6 MB a
second) are not kept. Takes that are complete are left as they are.
"""

import dataclasses
import functools
import json
import os
import pathlib

import numpy as np
from absl import app, flags

from dualcam.data import datasets, sounds
from records import array, beamform, beamforming, cepstrum, command, jobs, raw
from records.synthetic import presets, recordings, scenes, sources, subjects, video

SETTINGS_FILE = 'synthetic.json'
_MONAURAL_MIC = 0       # the one nearest to the camera


@dataclasses.dataclass(frozen=True)
class Job:
    """What all takes have in common.

    Attributes:
        out: the raw folder.
        matfiles: where acoustic images go, or None.
        keep_array: whether the 128 channels are written.
        seed: of everything.
        take_s, unit_s: see `presets.SyntheticPreset`.
        dealt: files of each unit of each class (`recordings.deal`), or None for parametric
            sources.
        num_subjects: of the preset.
    """
    out: pathlib.Path
    matfiles: pathlib.Path | None
    keep_array: bool
    seed: int
    take_s: int
    unit_s: int
    num_subjects: int
    dealt: tuple[tuple[tuple[pathlib.Path, ...], ...], ...] | None


def simulate_take(job, location, subject, action, mic_array):
    """One take, from its numbers alone: location and subject from 1, action from 0.

    Returns:
        A `scenes.Take` and the generator that drew it, for the video.
    """
    rng = np.random.default_rng([job.seed, location, subject, action])
    scenario = scenes.SCENARIOS[location - 1]
    person = subjects.subject(subject - 1, job.seed)
    if job.dealt is None:
        sound = sources.parametric_source(action, person, job.take_s, rng)
    else:
        per_take = job.take_s // job.unit_s
        first = ((location - 1) * job.num_subjects + subject - 1) * per_take
        sound = np.concatenate([recordings.unit_sound(files, job.unit_s)
                                for files in job.dealt[action][first:first + per_take]])
    others = []
    for _ in range(scenario.num_others):
        passer_by = subjects.subject(int(rng.integers(9)), job.seed + 1)
        others.append(sources.parametric_source(int(rng.choice(scenario.others)), passer_by,
                                                job.take_s, rng))
    home_m = scenes.subject_home(np.random.default_rng([job.seed, 9000, location, subject]))
    take = scenes.record_take(scenario, action, sound, others, home_m, mic_array.positions_m, rng)
    return take, person, rng


def write_take(take, sequence, person, rng, job, beamformer):
    """Writes a take's files; the last of them, `complete`, says that all are there."""
    location, subject, action = sequence
    name = raw.sequence_name(location, subject, action)
    sync = job.out / 'sync' / name
    (sync / 'audio').mkdir(parents=True, exist_ok=True)
    (sync / 'video').mkdir(parents=True, exist_ok=True)
    if job.keep_array:
        folder = job.out / 'array' / name / 'audio'
        folder.mkdir(parents=True, exist_ok=True)
        for i, frame in enumerate(take.frames, 1):
            (folder / f'A_{i:06d}.dc').write_bytes(frame.astype('<i4').tobytes(order='F'))
    if job.matfiles:
        images = beamform.recording_to_cepstra(take.frames, beamformer, cepstrum.mel_filters())
        for i, image in enumerate(images, 1):
            beamform.write_mat(beamform.mat_path(job.matfiles, name, i), image)
    pictures = video.render_frames(action, person, location - 1, take.path_m, take.levels, rng)
    for i, (frame, picture) in enumerate(zip(take.frames, pictures, strict=True), 1):
        np.save(sync / 'audio' / f'A_{i:06d}.npy', frame[_MONAURAL_MIC:_MONAURAL_MIC + 1])
        (sync / 'video' / f'I_{i:06d}.jpeg').write_bytes(video.encode_jpeg(picture))
    (sync / 'complete').touch()


def _work(sequence, job, mic_array):
    location, subject, action = sequence
    if (job.out / 'sync' / raw.sequence_name(*sequence) / 'complete').exists():
        return 0
    take, person, rng = simulate_take(job, location, subject, action, mic_array)
    write_take(take, sequence, person, rng, job, _BEAMFORMER)
    return 1


_BEAMFORMER = None      # worked out once, before the workers fork from this process


def main(_):
    """The command."""
    global _BEAMFORMER
    options = flags.FLAGS
    preset = presets.preset_named(options.preset)
    num_subjects = options.subjects or preset.num_subjects
    if not options.keep_array and not options.matfiles:
        raise ValueError('--nokeep_array without --matfiles=DIR would lose the acoustic images')
    out = pathlib.Path(options.out)
    units = len(scenes.SCENARIOS) * num_subjects * (preset.take_s // preset.unit_s)
    if options.folds and not options.sources:
        raise ValueError('--folds needs --sources')
    if options.sources:
        found, folds = recordings.of_folds(sounds.find_sounds(options.sources),
                                           [int(fold) for fold in options.folds])
        dealt = recordings.deal(found, units, options.seed)
        info = datasets.DatasetInfo('avia_simulated', tuple(found),
                                    'real recordings, simulated array and rooms', folds=folds)
        dealt = tuple(tuple(map(tuple, dealt[name])) for name in found)
    else:
        dealt = None
        info = datasets.DatasetInfo('avia_simulated', datasets.AVIA_CLASSES,
                                    'simulated sounds, array and rooms')
    job = Job(out, pathlib.Path(options.matfiles) if options.matfiles else None,
              options.keep_array, options.seed, preset.take_s, preset.unit_s, num_subjects, dealt)
    _claim(job)
    datasets.write_description(out, info)

    mic_array = array.read_array(options.array) if options.array else array.built_in_array()
    sequences = [(location + 1, subject + 1, action) for location in range(len(scenes.SCENARIOS))
                 for subject in range(num_subjects) for action in range(info.num_classes)]
    processes = options.processes or jobs.default_processes()
    to_do = [s for s in sequences
             if not (out / 'sync' / raw.sequence_name(*s) / 'complete').exists()]
    if job.matfiles and to_do:
        _BEAMFORMER = beamforming.Beamformer(mic_array, array.look_directions(), options.focus_m,
                                             num_threads=os.cpu_count())
        _BEAMFORMER.num_threads = max(1, (os.cpu_count() or 1) // processes)
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    jobs.run_all(functools.partial(_work, job=job, mic_array=mic_array), to_do, processes, 'take',
                 start_method='fork')
    print(f'{len(to_do)} takes of {preset.take_s} s written, {len(sequences) - len(to_do)} were '
          f'there: {out}')


def _claim(job):
    """Notes what `out` is made with; refuses to mix two kinds."""
    files = [[[str(f) for f in unit] for unit in units] for units in job.dealt or ()]
    settings = {'seed': job.seed, 'take_s': job.take_s, 'unit_s': job.unit_s,
                'num_subjects': job.num_subjects, 'recordings': files}
    path = job.out / SETTINGS_FILE
    if path.exists():
        if json.loads(path.read_text(encoding='utf-8')) != settings:
            raise ValueError(f'{job.out}: holds takes of another preset, seed or set of sources '
                             f'(see {SETTINGS_FILE} there); choose another --out or delete it')
        return
    job.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings) + '\n', encoding='utf-8')


if __name__ == '__main__':
    flags.DEFINE_string('out', None, 'The raw folder to write.', required=True)
    flags.DEFINE_string('preset', 'demo', f'Size: {", ".join(presets.PRESETS)}.')
    flags.DEFINE_integer('subjects', None, 'Instead of the preset\'s number, 1 - 9.',
                         lower_bound=1, upper_bound=9)
    flags.DEFINE_string('sources', None, 'Folder of real recordings, one folder a class.')
    flags.DEFINE_list('folds', [], 'Of --sources, only recordings of these folds (ESC).')
    flags.DEFINE_integer('seed', 0, 'Same seed, same bytes.', lower_bound=0)
    flags.DEFINE_string('matfiles', None, 'Make the acoustic images at once, here.')
    flags.DEFINE_bool('keep_array', True, 'Write the 128 channels.')
    flags.DEFINE_string('array', None, 'CSV with the microphones; default the built-in layout.')
    flags.DEFINE_float('focus_m', 1.5, 'Distance the images are focused at.', lower_bound=0.1)
    flags.DEFINE_integer('processes', None, 'How many work at a time; default one a processor.')
    app.run(command.clean_errors(main))
