"""A run without labels: sound and video learn from each other (ECCV 2020, sections 3 and 4).

Its folder is like that of `run.py`, without answers and an exported student; `pictures` shows
where in the frames of validation clips the networks see what they hear. What is learned, is in
`correspondence.py`.
"""

import dataclasses
import pathlib

import keras
import numpy as np

from dualcam import models
from dualcam.data import schema
from dualcam.data.clips import record_clips
from dualcam.data.signal import frontends
from dualcam.losses import triplet
from dualcam.models import l3net
from dualcam.reports import overlays, run_page, samples, tensorboards
from dualcam.training import hardware, loop, run, run_data, run_folder
from dualcam.training.recipes import correspondence

_SHOWN = 12  # clips in the picture of similarities
_SMALL = 298, 224  # pixels of one


@dataclasses.dataclass(frozen=True)
class PretextParams:
    """All that decides the outcome of such a run, next to its data.

    Attributes:
        network: the network on sound: 'dualcamnet_eccv', 'hearnet_eccv' or 'l3_audio'.
        video_network: the one on frames: 'resnet18_eccv', or 'l3_vision' beside 'l3_audio'.
        clips: how clips are cut; ECCV 2020 has 2 s.
        loop: how long and how fast; ECCV 2020 has batches of 64, 20 epochs and a rate of 1e-5.
        alpha: share of the transfer from a trained DualCamNet; None without one.
        margin: of the triplets.
        all_epochs: epochs in which all triplets count.
        weight_decay: of the L2 terms.
        standardise: acoustic images, see `run.RunParams`.
        options, video_options: further arguments of the networks, as (name, value) pairs.
        normalisation, band_limited, frontend_version: see `run.RunParams`.
    """

    network: str
    video_network: str
    clips: record_clips.ClipParams
    loop: loop.LoopParams
    alpha: float | None = None
    margin: float = correspondence.MARGIN
    all_epochs: int = correspondence.ALL_EPOCHS
    weight_decay: float = 5e-4
    standardise: bool = False
    options: tuple[tuple[str, object], ...] = ()
    video_options: tuple[tuple[str, object], ...] = ()
    normalisation: str = 'mean_std'
    band_limited: bool = True
    frontend_version: int = frontends.VERSION

    def __post_init__(self):
        known = {
            'dualcamnet_eccv': 'resnet18_eccv',
            'hearnet_eccv': 'resnet18_eccv',
            'l3_audio': 'l3_vision',
        }
        if known.get(self.network) != self.video_network:
            raise ValueError(
                f'{self.network} with {self.video_network}: expected one of '
                + ', '.join(' with '.join(pair) for pair in known.items())
            )

    @property
    def sound(self):
        """The network on sound as a `run.RunParams`."""
        return run.RunParams(
            self.network,
            self.clips,
            self.loop,
            standardise=self.standardise,
            options=self.options,
            normalisation=self.normalisation,
            band_limited=self.band_limited,
        )

    @property
    def video(self):
        """The network on frames as a `run.RunParams`."""
        return run.RunParams(self.video_network, self.clips, self.loop, options=self.video_options)


def train(params, data, folder, teacher_sums=None, name='', profile=False):
    """Trains a pair of networks and fills the run's folder; goes on where a stopped run was.

    Args:
        params: a `PretextParams`.
        data: an `inputs.RunData`; its labels choose nothing that is learned.
        folder: of the run; if it is complete, nothing is done.
        teacher_sums: [records of the store, channels], what a trained DualCamNet says of each
            record (`correspondence.summed`), to learn from it too.
        name: for the progress bar.
        profile: see `loop.fit`.

    Returns:
        The trained model, see `split`.

    Raises:
        ValueError: the folder belongs to a run with other parameters or data.
        loop.NotFinite, loop.Stopped, OSError: see `loop.fit`.
    """
    folder = pathlib.Path(folder)
    if (params.alpha is None) != (teacher_sums is None):
        raise ValueError(f'alpha {params.alpha}: goes with what a teacher says of the records')
    with run_folder.claimed(folder, params, data) as trained:
        if trained:
            return load(folder)
        return _train(params, data, folder, teacher_sums, name, profile)


def _train(params, data, folder, teacher_sums, name, profile):
    keras.utils.set_random_seed(params.loop.seed)
    rows, windows = data.windows(params)
    run_data.gather_stats(params.sound, data.store, rows, windows[0], folder)
    training, validation = (
        cut(params, data.store, chosen, folder, teacher_sums) for chosen in windows
    )
    with hardware.building(params.loop):
        model = build(params, folder)
        step = _step(params, model)
        optimizer = loop.make_optimizer(params.loop, len(training))
    keep = 'best' if params.network == 'l3_audio' else 'last'
    history = loop.fit(
        step, training, validation, params.loop, folder, optimizer, name, profile=profile, keep=keep
    )
    best = loop.chosen_epoch(history, keep)
    model = hardware.settled(params.loop, model, lambda: build(params, folder))
    _show(params, model, validation, data.info.classes, best + 1, folder)
    run_folder.complete(folder, history, best, training, validation)
    return model


def load(folder):
    """The trained model of a run's folder.

    Raises:
        ValueError: there is no such run.
    """
    folder = pathlib.Path(folder)
    params, _ = described(folder)
    model = build(params, folder)
    run_folder.restore_best(folder, model)
    return model


def is_pretext(folder):
    """Whether a run's folder is of this kind."""
    return 'video_network' in run_folder.saved_params(folder)


def described(folder):
    """`PretextParams` and class names of a run's folder.

    Raises:
        ValueError: there is no such run, or another version of dualcam made it.
    """
    return run_folder.read(folder, params_from_json)


def params_from_json(fields):
    """`PretextParams` from what `run.json` holds."""
    return PretextParams(
        **(
            fields
            | {
                'clips': record_clips.ClipParams(**fields['clips']),
                'loop': loop.LoopParams(**fields['loop']),
                **{
                    key: tuple((name, value) for name, value in fields[key])
                    for key in ('options', 'video_options')
                },
            }
        )
    )


def build(params, folder):
    """The networks of a run as one, with the statistics in its folder."""
    if params.network == 'l3_audio':
        options = dict(params.options) | dict(params.video_options)
        return l3net.build_correspondence(params.clips.sample_length, **options)
    return correspondence.pair(
        run_data.build_map(params.sound, folder), run_data.build_map(params.video, folder)
    )


def split(params, model):
    """The networks on sound and on frames that a run's model is made of.

    Returns:
        Two Keras models: to maps [batch, 12, 16, 128] or features [batch, features], and to
        maps, or, of L3-Net, features.
    """
    if params.network != 'l3_audio':
        return model.get_layer(params.network), model.get_layer(params.video_network)
    made = []
    for name in (params.network, params.video_network):
        key, layer = models.network(name).input, models.network(name).features
        features = model.get_layer(layer).output
        count = model.input[key].shape[1]
        if name == params.video_network and count > 1:
            features = keras.ops.mean(
                keras.ops.reshape(features, [-1, count, features.shape[-1]]), axis=1
            )
        made.append(keras.Model(model.input[key], features, name=name))
    return tuple(made)


def cut(params, store, windows, folder, teacher_sums=None):
    """Windows of a store as clips of a run's two networks.

    Args:
        params: a `PretextParams`.
        store: holds the records.
        windows: [clips, seconds] rows of it.
        folder: of the run, with its statistics.
        teacher_sums: as for `train`.

    Returns:
        `clips.Clips` with the columns 'video', a video's number in its class, and
        'teacher_feature' where there is a teacher.
    """
    columns = {'video': store.labels['location'][windows[:, 0]]}
    if teacher_sums is not None:
        columns['teacher_feature'] = correspondence.clip_features(teacher_sums, windows)
    kind = models.network(params.network).input
    ears = run_data.frontend(params.sound, folder) if kind == 'spectrogram' else None
    options = dict(params.video_options) | {'seconds': params.clips.sample_length}
    return record_clips.Clips(
        store,
        windows,
        f'{kind}+{correspondence.FRAMES}',
        ears,
        columns,
        models.network(params.video_network).frames(**options),
    )


def _step(params, model):
    if params.network == 'l3_audio':
        return correspondence.L3Step(model, params.weight_decay)
    if params.alpha is None:
        return correspondence.CorrespondenceStep(
            model, params.margin, params.weight_decay, params.all_epochs
        )
    return correspondence.TransferStep(
        model, params.alpha, params.margin, params.weight_decay, params.all_epochs
    )


def _show(params, model, validation, classes, epoch, folder):
    """Embeddings of the validation clips for the projector, and where the networks look."""
    place = folder / 'tensorboard' / 'validation'
    for path in place.glob(
        f'events.*{tensorboards.SUFFIX}'
    ):  # of a call that was stopped after this
        path.unlink()
    board = tensorboards.Board(place, classes, [])
    labels = np.asarray(validation.columns['label'])
    looked_at, embeddings, levels = samples.spread(labels, _SHOWN), [], {}
    networks = split(params, model)
    for batch in validation.batches(32):
        heard, seen = (
            network(batch['input'][models.network(network.name).input], training=False)
            for network in networks
        )
        embeddings.append(triplet.audio_features(heard).numpy())
        if len(seen.shape) == 4:
            levels |= zip(
                batch['clip'].numpy(), triplet.similarity(heard, seen).numpy(), strict=True
            )
    if levels:
        picture = overlays.sheet(
            [_over_frame(levels[number], validation, number) for number in looked_at],
            [
                f'{classes[labels[number]]}: {heat.min():.2f} - {heat.max():.2f}'
                for number, heat in ((number, levels[number]) for number in looked_at)
            ],
        )
        board.picture('where the networks look', picture, epoch)
        (folder / run_page.PICTURES).mkdir(exist_ok=True)
        (folder / run_page.PICTURES / 'where_the_networks_look.png').write_bytes(
            overlays.png(picture)
        )
    board.end(
        np.concatenate(embeddings),
        {
            'class': [classes[label] for label in labels],
            'video': [
                f'{classes[label]} {number}'
                for label, number in zip(labels, validation.columns['video'], strict=True)
            ],
        },
    )


def _over_frame(level, clips, number):
    """A similarity [rows, cols] over the frame in the middle of a clip, scaled to its own range."""
    low, high = level.min(), level.max()
    middle = clips.seconds * schema.FRAMES_PER_SECOND // 2
    return overlays.overlay(
        (level - low) / max(high - low, 1e-9), clips.picture(number, middle), _SMALL
    )
