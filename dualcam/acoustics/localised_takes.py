"""Localises a whole recording: its maps on disk, their peaks, and the tracked sources."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import soundfile

from dualcam.acoustics import localisation, maps, recordings, steered_sound, views
from dualcam.files import atomic, large_arrays, progress_bars
from dualcam.files.path_types import AnyPath

_QUIET_DB = 20.0  # a channel this far below the median is suspicious
_LISTEN_PEAK = 0.9
_PEAKS, _TRACKS = localisation.PeakParams(), localisation.TrackParams()


@dataclasses.dataclass(frozen=True, eq=False)
class LocalisedTake:
    """A localised recording.

    Attributes:
        recording: the sound.
        maker: of the maps.
        view: of the camera.
        times_s: [maps] middles.
        level_db: [maps, rows, cols] float32, memory-mapped.
        peaks: a list of peaks for each map.
        owners: the track of each peak.
        sources: tracks that last long enough, in order of their start; numbered from 1.
        channel_db: [channels] mean square.
        loudest: largest absolute sample of the first channel.
    """

    recording: recordings.Recording
    maker: maps.MapMaker
    view: views.View
    times_s: np.ndarray
    level_db: np.ndarray
    peaks: list[list[localisation.Peak]]
    owners: list[list[localisation.Track]]
    sources: list[localisation.Track]
    channel_db: np.ndarray
    loudest: float

    def source_number(self, track: localisation.Track) -> int | None:
        """The number of a source, None for a track that is too short."""
        return next((i for i, one in enumerate(self.sources, 1) if one is track), None)

    def quiet_channels(self) -> list[int]:
        """Channels of the file, from 1, that are silent or far quieter than the others."""
        low = self.channel_db < np.median(self.channel_db) - _QUIET_DB
        return [self.recording.channels[i] + 1 for i in np.flatnonzero(low)]


def localise(
    recording: recordings.Recording,
    maker: maps.MapMaker,
    view: views.View,
    maps_path: AnyPath,
    peak_params: localisation.PeakParams = _PEAKS,
    track_params: localisation.TrackParams = _TRACKS,
) -> LocalisedTake:
    """Makes the maps of a recording and tracks its sources.

    Args:
        recording: the sound, read block by block.
        maker: for its array and rate.
        view: of the camera.
        maps_path: .npy file of [maps, rows, cols] decibels to write.
        peak_params, track_params: what counts as a peak and as a source.

    Raises:
        ValueError: it is shorter than a map, or a `recordings.BadRecording`.
        OSError: the disk lacks room for the maps.
    """
    count = count_maps(recording.num_samples, maker)
    if not count:
        raise ValueError(
            f'{recording.path}: {recording.duration_s:.3f} s of sound; expected '
            f'{maker.block_samples / maker.rate_hz:.3f} s or more'
        )
    meter = _Meter(recording.num_channels)
    tracker = localisation.Tracker(track_params)
    times_s: list[float] = []
    peaks: list[list[localisation.Peak]] = []
    owners = []
    with (
        large_arrays.RowFile(maps_path, np.float32, (count, *maker.grid.shape)) as file,
        progress_bars.bar(total=count, desc='maps', unit='map') as bar,
    ):
        for one in maker.maps(meter.watch(recording.blocks())):
            if len(times_s) == count:
                break
            file.write(len(times_s), one.level_db)
            times_s.append(one.time_s)
            peaks.append(localisation.peaks_of(one, view, peak_params))
            owners.append(tracker.add(one.time_s, peaks[-1]))
            bar.update(1)
    if len(times_s) < count:
        raise recordings.BadRecording(
            f'{recording.path}: ends after {meter.count / recording.rate_hz:.3f} s instead of '
            f'{recording.duration_s:.3f} s; is it damaged?'
        )
    return LocalisedTake(
        recording,
        maker,
        view,
        np.array(times_s),
        np.load(maps_path, mmap_mode='r'),
        peaks,
        owners,
        tracker.sources(),
        maps.to_db(meter.squares / max(meter.count, 1)),
        meter.loudest,
    )


def count_maps(num_samples: int, maker: maps.MapMaker) -> int:
    """Number of maps for a number of samples."""
    span = maker.rate_hz / maker.params.maps_per_s
    whole = int(num_samples / span) + 1
    while whole and round(whole * span) > num_samples:
        whole -= 1
    return whole + (num_samples - round(whole * span) >= maker.block_samples)


def write_listen(
    path: pathlib.Path, take: LocalisedTake, towards: tuple[float, float] | None
) -> str:
    """Writes the sound from a direction, or from the loudest source as it moves, as 24-bit WAV.

    Args:
        path: of the WAV.
        take: the take.
        towards: azimuth and elevation in degrees; None for the source with the most energy.

    Returns:
        Description of the direction, for printing.

    Raises:
        ValueError: there is no source.
    """
    if towards is None:
        if not take.sources:
            raise ValueError(
                '--listen=peak: no source was found; give a direction, AZIMUTH,ELEVATION'
            )
        source = max(
            take.sources, key=lambda one: one.mean_place()[2] + 10 * np.log10(len(one.peaks))
        )
        direction_at: Callable[[float], np.ndarray] = source.direction_at
        said = f'source {take.source_number(source)}'
    else:
        fixed = views.direction(*towards)
        direction_at = lambda _: fixed  # noqa: E731
        said = f'{towards[0]:g} degrees right, {towards[1]:g} up'
    recording = take.recording
    steerer = steered_sound.Steerer(
        take.maker.array, recording.rate_hz, direction_at, take.maker.params.focus_m
    )
    # Beamforming only makes sound quieter: full scale of one microphone mostly fits the sum.
    scale = _LISTEN_PEAK / max(take.loudest, 1e-12)
    with (
        atomic.writing_file(path, '.wav') as partial,
        soundfile.SoundFile(
            partial, 'w', round(recording.rate_hz), 1, 'PCM_24', format='WAV'
        ) as file,
    ):
        for block in steerer.stream(recording.blocks()):
            file.write(np.clip(scale * block, -1.0, 1.0))
    return said


class _Meter:
    """Accumulates the channels' mean squares over blocks."""

    def __init__(self, num_channels: int) -> None:
        self.squares = np.zeros(num_channels)
        self.count = 0
        self.loudest = 0.0

    def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self.squares += np.einsum('sc,sc->c', block, block, dtype=np.float64)
            self.count += len(block)
            self.loudest = max(self.loudest, float(np.abs(block[:, 0]).max(initial=0.0)))
            yield block
