# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One take, heard and seen
#
# A recording of one and a half seconds with 16 microphones: one person claps on the left, and half
# a second later another whistles on the right. Where do the sounds come from? What does each sound
# like by itself? And how do a teacher, which sees acoustic images, and its student, which hears one
# microphone, classify them?
#
# This page is a notebook, stored by jupytext as text in `examples/take.py` and executed by
# `make docs`. Running it, training included, takes half a minute. The sounds are simulated.

# %%
import pathlib
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import soundfile
import soxr

from dualcam.acoustics import beamforming, cepstra, geometry_files, steered_sound, views
from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.sources import datasets
from dualcam.inference import students
from dualcam.reports import overlays
from dualcam.training import loop, recipes, run, run_data
from dualcam.training.recipes import distillation, supervised
from records.synthetic import propagation, sources, subjects

sound, rate_hz = soundfile.read('examples/take.wav', dtype='float32')
array, view = geometry_files.uma16(), views.View()
print(f'{sound.shape[1]} microphones, {len(sound) / rate_hz} s at {rate_hz} Hz')

# %% [markdown]
# ## Hear
#
# A single microphone records both sounds mixed together. The spectrogram shows claps as vertical
# strokes and the whistle as a line.

# %%
figure, axes = plt.subplots(2, 1, figsize=(8, 4), sharex=True, layout='constrained')
axes[0].plot(np.arange(len(sound)) / rate_hz, sound[:, 0], linewidth=0.5)
axes[0].set(ylabel='amplitude')
axes[1].specgram(sound[:, 0] + 1e-6, NFFT=256, Fs=rate_hz, noverlap=128, vmin=-140)
axes[1].set(xlabel='time (s)', ylabel='frequency (Hz)')
plt.show()

# %% [markdown]
# ## See
#
# Beamforming estimates how much sound comes from each of 36 x 48 directions, twelve times per
# second and at 512 frequencies: an acoustic image. Below is its energy between 900 and 6,400 Hz
# during a clap and during the whistle, as an overlay on the camera's frame (grey, since this take
# has no video).

# %%
grid = view.grid()
beamformer = beamforming.Beamformer(array, grid, focus_m=1.5)


def acoustic_images(signals):
    """[frames, 36, 48, 512] of signals [samples, mics]."""
    return beamformer.power(signals.reshape(-1, 1024, signals.shape[1]).transpose(0, 2, 1))


seen = acoustic_images(sound)
level_db = overlays.maps(seen)  # [frames, 36, 48], 900 - 6,400 Hz
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout='constrained')
for axis, frame in zip(axes, (3, 11), strict=True):
    level = 1 + np.clip((level_db[frame] - level_db[frame].max()) / 6, -1, 0)
    axis.imshow(overlays.overlay(level), extent=(-30, 30, -22.5, 22.5))
    row, col = np.unravel_index(level_db[frame].argmax(), level_db[frame].shape)
    azimuth, elevation = views.angles(grid.directions[row, col])
    axis.set(title=f'{frame / 12:.2f} s: {azimuth:.0f} degrees right, {elevation:.0f} up')
    axis.set(xlabel='to the right (degrees)')
axes[0].set(ylabel='up (degrees)')
plt.show()

# %% [markdown]
# ## Separate
#
# The array can also listen in one direction: it delays the microphones' signals so that sound from
# there adds up in phase and other sound does not. `dualcam camera --listen=-20,-5` does the same.
# Below is the sound from the two directions; the whistle's line is weaker on the left, the claps'
# strokes on the right. An array this small cannot separate low frequencies.

# %%
PLACES = {'left': (-20, -5), 'right': (18, 8)}


def listen(towards):
    """The sound from a direction, [samples]."""
    steerer = steered_sound.Steerer(array, rate_hz, lambda _: views.direction(*towards), 1.5)
    return np.concatenate(list(steerer.stream([sound])))


heard = {'one microphone': sound[:, 0]}
heard |= {f'towards the {name}': listen(place) for name, place in PLACES.items()}
figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout='constrained')
for axis, (name, signal) in zip(axes, heard.items(), strict=True):
    axis.specgram(signal + 1e-6, NFFT=256, Fs=rate_hz, noverlap=128, vmin=-140)
    axis.set(title=name, xlabel='time (s)')
axes[0].set(ylabel='frequency (Hz)')
plt.show()

# %% [markdown]
# ## Learn
#
# The training data are simulated: three actions by five people at random positions, two takes of
# two seconds each. A clip is one second: twelve acoustic images for the teacher, the sound of one
# microphone for the student. The fifth person's clips are for validation.

# %%
CLASSES = ('clapping', 'whistling', 'paper ripping')
rng = np.random.default_rng(0)


def second_of(signals):
    """Acoustic images [12, 36, 48, 12] and sound [12, 1024], as in records."""
    images = cepstra.power_to_cepstra(acoustic_images(signals))
    return images, (signals[:, 0] * 2**19).astype(np.int32).reshape(12, 1024)


def take(action, person):
    """Two seconds, [2 * 12,288, 16], as loud as the example take."""
    number = datasets.AVIA_CLASSES.index(action)
    signal = sources.parametric_source(number, subjects.subject(person), 2.0, rng)
    place = views.direction(rng.uniform(-25, 25), rng.uniform(-18, 18))
    source = propagation.PointSource(signal, 1.5 * place[None])
    signals = propagation.microphone_signals([source], array.positions_m, 24).T
    signals = signals + 3e-4 * rng.standard_normal(signals.shape)
    return 0.5 * signals / np.abs(signals).max()


def make_store(name, seconds, labels):
    """A store of seconds, as `stores.open_store` returns for records."""
    images, sounds = map(np.stack, zip(*seconds, strict=True))
    paths = tuple(
        f'/{name}/Location_01/Subject_{i // 2 + 1:02d}/Action_001/Data_{i % 2 + 1:03d}.tfrecord'
        for i in range(len(labels))
    )
    columns = {'label': np.array(labels), 'group': np.zeros(len(labels), int)}
    arrays = {'acoustic': images, 'audio': sounds}
    return record_packer.RecordStore(paths, columns, arrays, name)


labels, seconds = [], []
for person in range(5):
    for label, action in enumerate(CLASSES):
        for _ in range(2):
            signals = take(action, person)
            seconds += [second_of(signals[:12_288]), second_of(signals[12_288:])]
            labels += [label, label]
store = make_store('examples', seconds, labels)
info = datasets.DatasetInfo('examples', CLASSES, 'simulated', 1)
data = run_data.RunData(store, list(store.paths[:48]), list(store.paths[48:]), info)
print(f'{len(labels)} clips, 48 of them to train on')

# %% [markdown]
# The teacher is trained on labels, then the student on labels and the teacher's predictions. A run
# is a folder with curves, checkpoints and the exported student.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
clips = record_clips.ClipParams(total_length=2, sample_length=1, number_of_crops=2)


def params(network, epochs, **options):
    return supervised.RunParams(
        network,
        clips,
        loop.LoopParams(epochs, 16, 1e-3, schedule='cosine', validation_period=5),
        **options,
    )


teacher_params = params('dualcamnet', 8, standardise=True, options=(('frame_stride', 3),))
teacher = run.train(recipes.SUPERVISED, teacher_params, data, folder / 'teacher')


def teacher_logits(some, name):
    """[records, classes] of a store's records."""
    each = run_data.second_clips(teacher_params, some, folder / 'teacher')
    return distillation.record_predictions(teacher, each, folder / f'{name}.npy')


student = run.train(
    recipes.DISTILLATION,
    params('hearnet', 30, imitation=0.5, temperature=2.0),
    data,
    folder / 'student',
    teacher_logits(store, 'taught'),
)

# %% [markdown]
# ## Predictions
#
# The first second of the take has claps, and the whistle in its second half; its last second has
# both. The teacher sees the acoustic images. The student classifies three signals: that of one
# microphone, and those that the array picks up from the left and from the right.

# %%
listener = students.open_listener(folder / 'student')
ask = listener.listen('logits')
starts = {'first second': 0, 'last second': len(sound) - 12_288}
take_store = make_store(
    'take', [second_of(sound[start : start + 12_288]) for start in starts.values()], [0, 0]
)


print(f'{"":30s}' + ''.join(f'{name:>15s}' for name in CLASSES))
for name, start, logits in zip(
    starts, starts.values(), teacher_logits(take_store, 'take'), strict=True
):
    rows = {'teacher': listener.probabilities(logits)}
    for what, signal in heard.items():
        clip = soxr.resample(signal[start : start + 12_288], rate_hz, listener.sample_rate_hz)
        clip = np.resize(clip, listener.clip_samples).astype(np.float32)
        rows[f'student, {what}'] = listener.probabilities(ask(clip[None])[0])
    print(name)
    for who, shares in rows.items():
        print(f'  {who:28s}' + ''.join(f'{share:15.2f}' for share in shares))

# %% [markdown]
# From one microphone the student predicts clapping in either second: claps are loud and the whistle
# is not. From the sound that the array picks up on the right, the same student gives whistling a
# higher probability. The teacher, which was trained on single sources, is uncertain about two at
# once. Such short training shows how the parts fit together, not how well they work; for that, see
# the [results](../docs/results.md).
