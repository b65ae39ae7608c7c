"""The live view's engine: sound in, maps and peaks out, in real time.

Threads besides the server's: the source's own, one that makes maps, one that keeps sound for takes
and for the student, and one in which the student, if there is one, classifies each source every
second. Nothing waits for a page: what it does not fetch in time is skipped. If maps fall behind,
some are skipped, so that those shown are current.
"""

import dataclasses
import functools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import threadpoolctl

from dualcam.acoustics import localisation, maps, microphones, steered_sound, views
from dualcam.inference import source_classes
from dualcam.live import sound_sources, take_recorder

if TYPE_CHECKING:  # it loads TensorFlow
    from dualcam.inference import students

_STUDENT_S = 1.0  # between two predictions of a student
_RATE_SHARE = 0.49  # upper limit of the band, as a share of the sample rate
_FOCUS_M = 0.1, 1000.0
_KEPT_S = 10.0  # of sound that may wait for the disk
_TRACK_PEAKS = 24  # remembered per source; a fan may sound for hours
_LATE = 1.2  # with so many spans of sound waiting, a map is skipped
_ONE_THREAD = 0.6  # share of its span that a map may take on one BLAS thread
METHODS = ('sum', 'diagonal', 'functional')


@dataclasses.dataclass(frozen=True, eq=False)
class Message:
    """What the page shows of a map.

    Attributes:
        header: values that JSON can represent.
        level_db: [rows, cols] float32.
    """

    header: dict
    level_db: np.ndarray

    def packed(self) -> tuple[dict, bytes]:
        """The header, and the map in hundredths of a decibel, int16 little-endian."""
        hundredths = np.clip(np.round(self.level_db * 100), -32768, 32767)
        return self.header, hundredths.astype('<i2').tobytes()


class Engine:
    """Runs from `start` to `stop`.

    Args:
        source: of the sound.
        array: microphones of its channels.
        view: of the camera.
        params: initial parameters of the maps.
        peak_params: what counts as a peak.
        student: from `students.open_listener`, or None.
        recorder: of takes, or None.
        publish: called with each `Message`, from the thread that makes maps.
    """

    def __init__(
        self,
        source: sound_sources.Source,
        array: microphones.MicArray,
        view: views.View,
        params: maps.MapParams,
        peak_params: localisation.PeakParams,
        student: 'students.Listener | None' = None,
        recorder: take_recorder.TakeRecorder | None = None,
        publish: Callable[[Message], None] = lambda message: None,
    ) -> None:
        self.source, self.array, self.view = source, array, view
        self.recorder, self.publish = recorder, publish
        self._student, self._peak_params = student, peak_params
        self._maker = maps.MapMaker(array, view.grid(), source.rate_hz, params)
        self._next_maker: maps.MapMaker | None = None
        self._wanted, self._change = params, threading.Event()
        self._queue, self._kept = (sound_sources.BlockQueue(), sound_sources.BlockQueue(_KEPT_S))
        self._tee = sound_sources.Tee(self._queue, self._kept)
        self._stopped = threading.Event()
        self._late = 0
        self._tracker = localisation.Tracker(most_peaks=_TRACK_PEAKS)
        self._ring = _Ring(student.seconds if student else 0.0, source)
        self._classes: dict[int, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._problem = ''
        self.cpu_s = 0.0
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._read, self._keep, self._work, self._prepare)
            + ((self._listen,) if student else ())
        ]

    @property
    def params(self) -> maps.MapParams:
        """The current parameters of the maps."""
        return self._maker.params

    @property
    def dynamic_range_db(self) -> float:
        """Range for peaks, below the loudest direction."""
        return self._peak_params.dynamic_range_db

    def start(self) -> None:
        """Begins."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stops, and ends a take that is being recorded."""
        self._stopped.set()
        self._change.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(5.0)
        if self.recorder is not None:
            self.recorder.stop()

    def change(self, **values: Any) -> None:
        """Changes the maps' parameters, effective from the next map or shortly after.

        Args:
            values: of low_hz, high_hz, focus_m (0 for plane waves), method, dynamic_range_db.

        Raises:
            ValueError: a value is not allowed.
        """
        known = {'low_hz', 'high_hz', 'focus_m', 'method', 'dynamic_range_db'}
        if not values or not values.keys() <= known:
            raise ValueError(f'{", ".join(values)}: expected some of {", ".join(sorted(known))}')
        range_db = values.pop('dynamic_range_db', None)
        if range_db is not None:
            if not 0 < _number(range_db) <= 60:
                raise ValueError(f'a range of {range_db} dB: expected more than 0, up to 60')
            self._peak_params = dataclasses.replace(
                self._peak_params, dynamic_range_db=float(range_db)
            )
        if not values:
            return
        if 'method' in values and values['method'] not in METHODS:
            raise ValueError(f'method {values["method"]!r}: expected one of {", ".join(METHODS)}')
        for name in values.keys() & {'low_hz', 'high_hz', 'focus_m'}:
            values[name] = _number(values[name])
        if 'focus_m' in values:
            focus_m = values['focus_m']
            values['focus_m'] = float(np.clip(focus_m, *_FOCUS_M)) if focus_m > 0 else None
        if 'high_hz' in values:
            values['high_hz'] = min(values['high_hz'], _RATE_SHARE * self.source.rate_hz)
        with self._lock:
            wanted = dataclasses.replace(self._wanted, **values)
            maps.band_bins(
                self._maker.block_samples, self.source.rate_hz, wanted.low_hz, wanted.high_hz
            )
            self._wanted = wanted
        self._change.set()

    def _guarded(self, work):
        try:
            work()
        except Exception as error:  # shown on the page; the other threads continue
            self._problem = f'{type(error).__name__}: {error}'

    def _read(self):
        self.source.run(self._tee, self._stopped)

    def _keep(self):
        while not self._stopped.is_set():
            block = self._kept.take(0.25)
            if block is not None:
                if self.recorder is not None:
                    self.recorder.add(block.samples, block.position, block.heard_at)
                self._ring.add(block.samples, block.position + len(block.samples))

    def _prepare(self):
        """Builds the next `MapMaker` when parameters change; maps continue meanwhile."""
        while not self._stopped.is_set():
            self._change.wait()
            self._change.clear()
            with self._lock:
                wanted = self._wanted
            if wanted != self._maker.params and not self._stopped.is_set():
                made = maps.MapMaker(self.array, self._maker.grid, self.source.rate_hz, wanted)
                with self._lock:
                    self._next_maker = made

    def _work(self):
        # Between two maps, idle BLAS threads would spin: with 16 microphones that takes four times
        # the processor time of the maps themselves.
        with threadpoolctl.threadpool_limits(1, 'blas') as threads:
            self._make_maps(threads.restore_original_limits)

    def _make_maps(self, use_more_threads):
        held: list[np.ndarray] = []
        map_s = 0.0  # processor time of the last one
        count = number = 0
        following: int | None = None  # position of the next expected sample
        span = self.source.rate_hz / self._maker.params.maps_per_s
        while not self._stopped.is_set():
            block = self._queue.take(0.25)
            began = time.thread_time()
            if block is None:
                self._publish_state()
                continue
            if following is not None and block.position != following:
                held, count = [], 0  # sound was dropped: no map across the gap
            following = block.position + len(block.samples)
            held.append(block.samples)
            count += len(block.samples)
            if count >= span:
                with self._lock:
                    if self._next_maker is not None:
                        self._maker, self._next_maker = self._next_maker, None
                samples = np.concatenate(held)
                stretch = samples[-max(int(span), self._maker.block_samples) :]
                if self._queue.waiting_s * self.source.rate_hz < _LATE * span:
                    number += 1
                    shown_from = time.thread_time()
                    self._show(stretch, following, number, block.heard_at)
                    map_s = time.thread_time() - shown_from
                else:
                    self._late += 1
                    if map_s > _ONE_THREAD * span / self.source.rate_hz:
                        use_more_threads()
                rest = count - int(span)
                held = [samples[len(samples) - rest :]] if 0 < rest < span else []
                count = rest if held else 0
            self.cpu_s += time.thread_time() - began

    def _show(self, stretch, end, number, heard_at):
        maker = self._maker
        end_s = end / self.source.rate_hz
        one = maker.measure(stretch, end_s - len(stretch) / 2 / self.source.rate_hz)
        peaks = localisation.peaks_of(one, self.view, self._peak_params)
        with self._lock:
            owners = self._tracker.add(one.time_s, peaks)
            classes = dict(self._classes)
        shown = []
        for peak, owner in zip(peaks, owners, strict=True):
            place = self.view.places(views.direction(peak.azimuth_deg, peak.elevation_deg))
            name, share = classes.get(owner.number, ('', 0.0))
            shown.append(
                {
                    'source': owner.number,
                    'azimuth_deg': round(peak.azimuth_deg, 2),
                    'elevation_deg': round(peak.elevation_deg, 2),
                    'level_db': round(peak.level_db, 2),
                    'x': round(float(place[0]), 4),
                    'y': round(float(place[1]), 4),
                    'class': name,
                    'probability': share,
                }
            )
        header = self._state() | {
            'number': number,
            'time_s': round(one.time_s, 4),
            'heard_ms': round(1000 * heard_at, 1),
            'span_ms': round(1000 * len(stretch) / self.source.rate_hz, 1),
            'rows': maker.grid.shape[0],
            'cols': maker.grid.shape[1],
            'gain_db': round(one.gain_db, 2),
            'top_db': round(float(one.level_db.max()), 2),
            'peaks': shown,
        }
        self.publish(Message(header, one.level_db.astype(np.float32)))

    def _state(self):
        params = self._maker.params
        return {
            'low_hz': params.low_hz,
            'high_hz': params.high_hz,
            'focus_m': params.focus_m or 0.0,
            'method': params.method,
            'dynamic_range_db': self.dynamic_range_db,
            'dropped': self._queue.dropped + self._kept.dropped,
            'late': self._late,
            'lost': self._tee.lost,
            'state': self._problem or self.source.state,
            'recording': self.recorder.state if self.recorder is not None else {},
        }

    def _publish_state(self):
        self.publish(Message(self._state() | {'rows': 0, 'cols': 0}, np.zeros((0, 0), np.float32)))

    def _listen(self):
        """The student's thread."""
        student = self._student
        assert student is not None, 'the thread is started for one'
        ask = student.listen('logits')
        ask(np.ones((1, student.clip_samples), np.float32))  # sets up
        while not self._stopped.wait(_STUDENT_S):
            sound = self._ring.all()
            with self._lock:
                tracks = [
                    (one.number, one.direction.copy())
                    for one in self._tracker.tracks
                    if self._ring.end_s - one.last_s < 0.5 and len(one.peaks) > 2
                ]
            if sound is None or not tracks:
                continue
            found = {}
            for number, direction in tracks:
                steerer = steered_sound.Steerer(
                    self.array,
                    self.source.rate_hz,
                    functools.partial(_same, direction),
                    self._maker.params.focus_m,
                )
                margin = np.zeros((steerer.margin, sound.shape[1]), np.float32)
                signal = steerer.steer(np.concatenate([margin, sound, margin]))
                if np.ptp(signal) > 0:
                    clip = source_classes.prepared(signal, self.source.rate_hz, student)
                    names, shares = source_classes.named(student, ask(clip[None])[0], 1)
                    found[number] = names[0], shares[0]
            with self._lock:
                self._classes = found


def _same(direction, _):
    """A source's direction as a function of time."""
    return direction


class _Ring:
    """The last seconds of sound, for the student."""

    def __init__(self, seconds: float, source: sound_sources.Source) -> None:
        self._rate_hz = source.rate_hz
        self._sound = np.zeros((round(seconds * source.rate_hz), source.num_channels), np.float32)
        self._count = self._end = 0
        self._lock = threading.Lock()

    @property
    def end_s(self) -> float:
        """Time of the last sample."""
        return self._end / self._rate_hz

    def add(self, samples: np.ndarray, end: int) -> None:
        with self._lock:
            size = len(self._sound)
            if size:
                places = (self._count + np.arange(len(samples))) % size
                self._sound[places] = samples
            self._count, self._end = self._count + len(samples), end

    def all(self) -> np.ndarray | None:
        """[samples, channels] in order; None until it is full."""
        with self._lock:
            size = len(self._sound)
            if not size or self._count < size:
                return None
            return np.roll(self._sound, -(self._count % size), axis=0)


def _number(value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f'{value!r}: expected a number')
    return float(value)
