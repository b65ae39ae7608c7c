"""Rates of the maps of the live view and of `dualcam camera`, and of acoular's for the same sound.

One map is made from a twelfth of a second; the live view needs twelve per second. "Share of a core"
is CPU time, which other programs on the machine do not change; how many maps arrive in time
depends on them.
"""

import statistics
import threading
import time

import numpy as np
import soundfile

from benchmarks import measure
from dualcam.acoustics import acoular_maps, geometry_files, localisation, maps, recordings, views
from dualcam.live import engine, sound_sources

MAPS_PER_S = 12
_LIVE_S, _WARM_S = 10.0, 2.0
_ARRAYS = (('uma16', 48_000, 40.0), ('dualcam', 12_288, 200.0))  # target share


def live_maps(_):
    """Maps of 16 microphones at 48 kHz and of 128 at 12,288 Hz, 36 x 48 directions."""
    for name, rate_hz, reach in _ARRAYS:
        array = geometry_files.find_array(name)
        samples = np.random.default_rng(0).standard_normal((rate_hz // MAPS_PER_S, array.num_mics))
        samples = samples.astype(np.float32)
        arguments = array, views.View().grid(), rate_hz, maps.MapParams()
        maker = maps.MapMaker(*arguments)

        def ours(maker=maker, samples=samples):
            for _ in range(MAPS_PER_S):
                maker.power(samples)
            return MAPS_PER_S

        title = f'maps of {array.num_mics} microphones at {rate_hz:,} Hz'
        share = [_share_of_a_core(ours) for _ in range(measure.RUNS)]
        yield measure.row(
            f'{title}, CPU time of 12',
            '% of a second',
            share,
            reach=f'below {reach:g}',
        )
        peer_work = None
        if measure.is_installed('acoular'):
            peer = acoular_maps.AcoularMapMaker(*arguments)

            def peer_work(peer=peer, samples=samples):
                peer.power(samples)
                return 1

        yield measure.compared(
            title, 'maps/s', ours, "acoular's beamformer, same spectra and band", peer_work
        )


def live_view(folder):
    """The whole of `dualcam live` except the page, replaying in real time: does it keep up?"""
    for name, rate_hz, reach in _ARRAYS:
        array = geometry_files.find_array(name)
        path = folder / f'{name}.wav'
        _write_source(path, array, rate_hz)
        runs = [_live(path, array) for _ in range(measure.RUNS)]
        title = f'live view of {array.num_mics} microphones at {rate_hz:,} Hz'
        shares, shown, lost, delays_ms = zip(*runs, strict=True)
        yield measure.row(f'{title}, CPU time', '% of a core', shares, reach=f'below {reach:g}')
        yield measure.row(f'{title}, maps shown', '/s', shown, reach=f'{MAPS_PER_S}')
        yield measure.row(f'{title}, blocks dropped and maps skipped', '', lost, reach='at most 0')
        yield measure.row(f'{title}, last sample to map, median', 'ms', delays_ms)


def _write_source(path, array, rate_hz, seconds=4):
    """Writes a take: noise from 20 degrees to the right and 10 up, plus microphone noise."""
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal(seconds * rate_hz))
    hz = np.fft.rfftfreq(seconds * rate_hz, 1 / rate_hz)
    distances_m = np.linalg.norm(1.5 * views.direction(20.0, 10.0) - array.positions_m, axis=1)
    with soundfile.SoundFile(path, 'w', rate_hz, array.num_mics, 'PCM_24') as file:
        delays_s = (distances_m - 1.5) / 343.0
        heard = [
            np.fft.irfft(spectrum * np.exp(-2j * np.pi * hz * delay_s), seconds * rate_hz)
            for delay_s in delays_s
        ]
        hiss = 0.1 * rng.standard_normal((seconds * rate_hz, array.num_mics))
        file.write(0.1 * (np.stack(heard, axis=1) + hiss))


def _live(path, array):
    """(% of a core, maps/s, blocks dropped and maps skipped, ms from the last sample to a map)"""
    seen, warm, done = [], threading.Event(), threading.Event()

    def publish(message):
        header, _ = message.packed()
        if header['rows'] and not done.is_set():
            seen.append((time.time(), time.process_time(), header))
            if header['time_s'] > _WARM_S and not warm.is_set():
                seen[:-1] = []
                warm.set()
            if header['time_s'] > _WARM_S + _LIVE_S:
                done.set()

    running = engine.Engine(
        sound_sources.Replay(recordings.open_recording(path)),
        array,
        views.View(),
        maps.MapParams(),
        localisation.PeakParams(),
        publish=publish,
    )
    running.start()
    try:
        if not done.wait(10 * (_WARM_S + _LIVE_S)):
            raise RuntimeError(f'{path}: {len(seen)} maps, the last of {seen[-1:]}')
    finally:
        running.stop()
    (began, began_cpu, first), *_, (ended, ended_cpu, last) = seen
    lost = sum(last[name] - first[name] for name in ('dropped', 'late'))
    return (
        100 * (ended_cpu - began_cpu) / (ended - began),
        (len(seen) - 1) / (ended - began),
        lost,
        statistics.median(1000 * at - header['heard_ms'] for at, _, header in seen),
    )


def _share_of_a_core(work):
    """CPU time for one second's maps, per cent of a second."""
    began = time.process_time()
    work()
    return 100 * (time.process_time() - began)
