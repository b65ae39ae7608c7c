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
# A second and a half before 16 microphones: somebody claps on the left, and after half a second
# somebody else whistles on the right. Where do the sounds come from? What does each sound like by
# itself? And what do a teacher, which sees acoustic images, and its student, which hears one
# microphone, make of them?
#
# This page is a notebook that jupytext keeps as text, `examples/take.py`, and that `make docs`
# runs. All of it, training included, takes two minutes of a processor. The sounds are simulated.

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
# One microphone hears both, one over the other. The spectrogram shows claps as vertical strokes
# and the whistle as a line.

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
# Beamforming asks each of 36 x 48 directions how much sound comes from there, twelve times a
# second and at 512 frequencies: an acoustic image. Here is its energy between 900 and 6,400 Hz at
# a moment with a clap and at one with the whistle, as an overlay on the camera's frame (grey,
# since this take has no video).

# %%
grid = view.grid()


def acoustic_images(signals):
    """[frames, 36, 48, 512] of signals [samples, mics]."""
    frames = signals.reshape(-1, 1024, signals.shape[1]).transpose(0, 2, 1)
    return beamforming.beamform(frames, array, grid, focus_m=1.5)


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
# The array can also listen in one direction: it delays its microphones so that what comes from
# there adds up, and the rest does not. `dualcam camera --listen=-20,-5` does the same. Below, the
# sound of the two directions; the whistle's line is weaker on the left, the claps' strokes on the
# right. An array as small as this one does not tell low frequencies apart.

# %%
PLACES = {'left': (-20, -5), 'right': (18, 8)}


def listen(towards):
    """The sound of a direction, [samples]."""
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
# Takes to learn from: three actions by five people at random places, two takes of two seconds
# each. A clip is one second: twelve acoustic images for the teacher, the sound of one microphone
# for the student. The fifth person validates.

# %%
CLASSES = ('clapping', 'whistling', 'paper ripping')
rng = np.random.default_rng(0)


def second_of(signals):
    """Acoustic images [12, 36, 48, 12] and sound [12, 1024] as records have them."""
    images = cepstra.power_to_cepstra(acoustic_images(signals))
    return images, (signals[:, 0] * 2**19).astype(np.int32).reshape(12, 1024)


def take(action, person):
    """Two seconds, [2 * 12,288, 16], as loud as the example."""
    number = datasets.AVIA_CLASSES.index(action)
    signal = sources.parametric_source(number, subjects.subject(person), 2.0, rng)
    place = views.direction(rng.uniform(-25, 25), rng.uniform(-18, 18))
    source = propagation.PointSource(signal, 1.5 * place[None])
    signals = propagation.microphone_signals([source], array.positions_m, 24).T
    signals = signals + 3e-4 * rng.standard_normal(signals.shape)
    return 0.5 * signals / np.abs(signals).max()


def make_store(name, seconds, labels):
    """A store of seconds, as `stores.open_store` gives one of records."""
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
# The teacher learns from labels; then the student from labels and the teacher's answers. A run is
# a folder with curves, checkpoints and the exported student.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
clips = record_clips.ClipParams(total_length=2, sample_length=1, number_of_crops=2)


def params(network, epochs, **options):
    return supervised.RunParams(
        network, clips, loop.LoopParams(epochs, 16, 1e-3, schedule='cosine'), **options
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
# ## What each gets right
#
# The first second of the take has claps, and the whistle in its second half; in its last second
# both sound. The teacher sees the acoustic images. The student is asked three times: with what one
# microphone heard, and with what the array heard towards the left and the right.

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
# One microphone hears clapping, whatever else there is: claps are loud and the whistle is not. What
# the array hears towards the right has more of whistling in it, for the same student. The teacher,
# which learned from lone sources, is unsure of two at once. So short a training shows how things
# fit together, not how well they work: for that, see the [results](../docs/results.md).
