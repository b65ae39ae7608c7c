"""Hours of the live view, faster than real time: does its memory use stay constant?

    python -m tests.proofs.live_hours --hours=2 --pace=10

A UMA-16 take is replayed at `pace` times real time through all of `dualcam live`: blocks, maps,
peaks and their tracks, a student (a small stand-in; `tests.proofs.soak` tests real ones), recorded
takes, and the server's WebSocket with a client in place of the page, which moves a slider every 120
maps and records a take of 60 maps every 600. One of the two sources never pauses. Resident memory
(from /proc) is read after each hundredth of the time; the largest value in the first fifth counts
as that of a warm process. Later values must not exceed it by more than 5 %. Late maps are dropped,
as in live use.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile
import time
import types

import numpy as np
import soundfile
from absl import app, flags
from websockets.sync import client

from dualcam.acoustics import geometry_files, localisation, maps, recordings, views
from dualcam.live import engine, server, sound_sources, take_recorder
from tests.helpers import array_takes, served_pages

LIMIT = 1.05  # of the warm process's memory
RATE_HZ = 16_000
_TAKE_S = 6.0
_WARM_SHARE = 0.2
_SLIDER_MAPS, _TAKE_EVERY_MAPS, _TAKE_MAPS = 120, 600, 60
_BANDS = ((900, 1900), (1000, 2000))  # narrow ones, so that two cores run at many times real time


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The measurements of a replay.

    Attributes:
        heard_s: seconds of sound from the source.
        seconds: time that it took.
        shown: number of maps that the client received.
        takes: number of recorded takes.
        dropped, late: numbers of dropped blocks and of late maps, which were left out.
        warm_mib, largest_mib, last_mib: resident memory once warm, the largest after that, and at
            the end.
    """

    heard_s: float
    seconds: float
    shown: int
    takes: int
    dropped: int
    late: int
    warm_mib: float
    largest_mib: float
    last_mib: float

    @property
    def growth(self):
        """The ratio of the largest memory to that of the warm process."""
        return self.largest_mib / self.warm_mib


def replay(heard_s, pace, received=lambda data: None):
    """Replays a take for a given duration of sound.

    Args:
        heard_s: seconds of sound.
        pace: speed, relative to real time.
        received: called with the bytes of each message that the client receives.

    Returns:
        An `Outcome`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        rng = np.random.default_rng(0)
        take = array_takes.uma16_take([(20.0, 10.0)], _TAKE_S, rng, RATE_HZ)
        pausing = array_takes.uma16_take([(-15.0, -5.0)], _TAKE_S, rng, RATE_HZ)
        pausing[: len(take) // 2] = 0.0
        soundfile.write(folder / 'take.wav', take + pausing, RATE_HZ, 'PCM_24')
        running = engine.Engine(
            sound_sources.Replay(recordings.open_recording(folder / 'take.wav'), pace),
            geometry_files.uma16(),
            views.View(),
            maps.MapParams(*_BANDS[0]),
            localisation.PeakParams(),
            _student(),
            take_recorder.TakeRecorder(folder / 'takes', RATE_HZ, 16),
        )
        with (
            _served(running) as address,
            client.connect(f'ws://{address}/maps', max_queue=None) as page,
        ):
            return _watch(page, folder / 'takes', heard_s, received)


def _watch(page, takes_folder, heard_s, received):
    memory_mib, shown, takes, read_at = [], 0, 0, 0.0
    started, header = time.perf_counter(), None
    while header is None or header['time_s'] < heard_s:
        data = page.recv(timeout=30)
        if isinstance(data, str):
            answer = json.loads(data)
            assert answer['answer'] != 'error', answer
            if answer['answer'] == 'recorded' and answer['take']:
                takes += 1
                (takes_folder / f'{answer["take"]}.wav').unlink()  # hours would fill the disk
            continue
        received(data)
        header = json.loads(data[4 : 4 + int.from_bytes(data[:4], 'little')])
        assert header['state'] == '', header['state']
        if not header['rows']:
            continue
        shown += 1
        if shown % _SLIDER_MAPS == 0:
            low_hz, high_hz = _BANDS[shown // _SLIDER_MAPS % 2]
            _ask(page, 'change', low_hz=low_hz, high_hz=high_hz)
        if shown % _TAKE_EVERY_MAPS == _SLIDER_MAPS // 2:
            _ask(page, 'record', **{'class': 'noise'})
        if shown % _TAKE_EVERY_MAPS == _SLIDER_MAPS // 2 + _TAKE_MAPS:
            _ask(page, 'stop')
        if header['time_s'] >= read_at:
            memory_mib.append(resident_mib())
            read_at = header['time_s'] + heard_s / 100
    warm = max(1, round(_WARM_SHARE * len(memory_mib)))
    return Outcome(
        header['time_s'],
        time.perf_counter() - started,
        shown,
        takes,
        header['dropped'],
        header['late'],
        max(memory_mib[:warm]),
        max(memory_mib[warm:]),
        memory_mib[-1],
    )


def resident_mib():
    """This process's resident memory."""
    pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def _ask(page, kind, **values):
    page.send(json.dumps({'ask': kind, 'values': values}))


def _student():
    return types.SimpleNamespace(
        classes=('hum', 'hiss'),
        seconds=1,
        sample_rate_hz=RATE_HZ,
        clip_samples=RATE_HZ,
        listen=lambda layer: lambda clips: np.stack([clips.mean(axis=1), clips.std(axis=1)], 1),
        probabilities=lambda logits: np.exp(logits) / np.exp(logits).sum(),
    )


@contextlib.contextmanager
def _served(running):
    """Address of the live view while it runs."""
    with served_pages.served(server.Live(running).app) as bound:
        yield served_pages.host_and_port(bound)


def main(_):
    """Runs the command."""
    options = flags.FLAGS
    outcome = replay(3600 * options.hours, options.pace)
    print(
        f'{outcome.heard_s / 3600:.2f} hours of sound in {outcome.seconds / 60:.1f} minutes: '
        f'{outcome.shown:,} maps shown, {outcome.late:,} left out, {outcome.dropped:,} blocks '
        f'dropped, {outcome.takes} takes; {outcome.warm_mib:.1f} MiB once warm, at most '
        f'{outcome.largest_mib:.1f} MiB after that ({outcome.growth - 1:+.1%}), '
        f'{outcome.last_mib:.1f} MiB in the end'
    )
    return int(outcome.growth > LIMIT)


if __name__ == '__main__':
    flags.DEFINE_float('hours', 2.0, 'Of sound.', lower_bound=0.01)
    flags.DEFINE_float('pace', 10.0, 'Times real time.', lower_bound=0.1)
    app.run(main)
