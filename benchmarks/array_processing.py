"""Rates of beamforming, cepstra and the simulator.

"Times real time" is seconds of recording per second of work.
"""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
import tempfile
import unittest.mock

import numpy as np
import python_speech_features

from benchmarks import measure
from dualcam.acoustics import band_beamforming, beamforming, cepstra, dimensions, microphones
from dualcam.data.sources import datasets
from records.synthetic import presets, propagation, scenes

SECONDS = 4
_FRAMES = SECONDS * dimensions.FRAMES_PER_SECOND


def beamform(_):
    """Beamforming to 512 frequencies; peer: plain matrix products."""
    mics, grid = microphones.built_in_array(), microphones.look_directions()
    seconds = 3 * SECONDS
    frames = np.tile(noise(), (3, 1, 1))
    beamformer = beamforming.Beamformer(mics, grid, 1.5)
    held = beamformer.power(frames)
    delays_s = microphones.steering_delays(mics.positions_m, grid.directions, 1.5)
    turns = (
        dimensions.ARRAY_RATE_HZ
        / dimensions.SAMPLES_PER_FRAME
        * delays_s.reshape(-1, mics.num_mics).T
    )
    some_bins = range(0, dimensions.BINS, 10)
    steering = [
        np.exp(2j * np.pi * k * turns).astype(np.complex64) / mics.num_mics for k in some_bins
    ]
    spectra = np.moveaxis(beamforming.frame_spectra(frames), -1, 0)[list(some_bins)]

    def plain():
        """A tenth of the frequencies; all of them would take a gigabyte."""
        for spectrum, matrix in zip(spectra, steering, strict=True):
            pressures = spectrum @ matrix
            np.square(pressures.real) + np.square(pressures.imag)
        return seconds * len(some_bins) / dimensions.BINS

    def ours():
        beamformer.power(frames, out=held)
        return seconds

    name = 'beamforming, 128 microphones to 36 x 48 x 512'
    own, others = measure.rates(ours, plain)
    yield measure.row(
        name, 'x real time', own, 'plain complex matrix products, spectra given', others, reach='25'
    )
    if measure.is_installed('acoular'):
        # In its own process: it only gets the processors if NumPy is limited to one of them.
        with (
            unittest.mock.patch.dict(os.environ, OPENBLAS_NUM_THREADS='1'),
            concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool,
        ):
            yield measure.row(
                'the same', 'x real time', own, 'acoular', *pool.submit(_acoular).result()
            )
    to_bands = band_beamforming.BandBeamformer(mics, grid, cepstra.mel_filters(), 1.5)

    def bands():
        to_bands.energies(frames)
        return seconds

    yield measure.row('beamforming to 26 mel bands', 'x real time', *measure.rates(bands))
    exact = beamforming.Beamformer(mics, grid, 1.5, rank_tolerance=0).power(frames[:2])
    close = beamformer.power(frames[:2])
    yield measure.Row(
        'its largest deviation from the full-rank result, relative to the loudest direction',
        float(np.abs(close - exact).max() / exact.max()),
        '',
        'below 1e-3',
    )


def _acoular(num_bins=8):
    """Rates of acoular on a few frequencies of a frame, scaled to their share of a second."""
    import acoular

    acoular.config.global_caching = 'none'
    mics, grid = microphones.built_in_array(), microphones.look_directions()
    steering = acoular.SteeringVector(
        grid=acoular.ImportGrid(pos=1.5 * grid.directions.reshape(-1, 3).T),
        mics=acoular.MicGeom(pos_total=mics.positions_m.T),
    )
    samples = noise()[0].T.astype(float)

    def work():
        spectra = acoular.PowerSpectra(
            source=acoular.TimeSamples(data=samples, sample_freq=dimensions.ARRAY_RATE_HZ),
            block_size=dimensions.SAMPLES_PER_FRAME,
            window='Hanning',
            ind_low=200,
            ind_high=200 + num_bins,
            cached=False,
        )
        beamformer = acoular.BeamformerBase(
            freq_data=spectra, steer=steering, r_diag=False, cached=False
        )
        for k in range(200, 200 + num_bins):
            beamformer.synthetic(k * dimensions.ARRAY_RATE_HZ / dimensions.SAMPLES_PER_FRAME)
        return num_bins / dimensions.BINS / dimensions.FRAMES_PER_SECOND

    return measure.rates(work)


def cepstral_images(_):
    """512 frequencies to 12 cepstra; peer: python_speech_features, one direction at a time."""
    rng = np.random.default_rng(0)
    power = rng.random((_FRAMES, 36, 48, dimensions.BINS), np.float32)

    def ours():
        cepstra.power_to_cepstra(power)
        return SECONDS

    def each():
        """A hundredth of the directions."""
        some = power[:1, :6, :36].reshape(-1, dimensions.BINS)
        filters = cepstra.mel_filters()
        for spectrum in some:
            logs = np.log(np.maximum(filters @ spectrum, 1e-12))
            python_speech_features.lifter(logs[None], 0)
        return len(some) / (36 * 48 * dimensions.FRAMES_PER_SECOND)

    yield measure.compared(
        '512 frequencies to 12 cepstra',
        'x real time',
        ours,
        'one direction at a time',
        each,
        reach='50',
    )


def simulator(_):
    """A take of 128 channels; peer: pyroomacoustics with as many reflections."""
    mics = microphones.built_in_array()
    rng = np.random.default_rng(0)
    scenario = scenes.SCENARIOS[1]
    sound = rng.standard_normal(SECONDS * dimensions.ARRAY_RATE_HZ)
    home_m = scenes.subject_home(np.random.default_rng(0))

    def ours():
        path_m = scenes.wander(home_m, 0, _FRAMES + 1, rng)
        scenes.record_take(
            scenario, sound, [sound] * scenario.num_others, path_m, mics.positions_m, rng
        )
        return SECONDS

    peer = None
    if measure.is_installed('pyroomacoustics'):
        import pyroomacoustics

        def peer():
            room = pyroomacoustics.ShoeBox(
                [8, 6, 3],
                fs=dimensions.ARRAY_RATE_HZ,
                max_order=2,
                materials=pyroomacoustics.Material(0.4),
            )
            centre = np.array([4.0, 1.0, 1.5])
            for place in ([4.0, 3.0, 1.5], [2.5, 3.5, 1.5]):
                room.add_source(place, signal=sound)
            room.add_microphone_array((mics.positions_m + centre).T)
            room.simulate()
            return SECONDS

    yield measure.compared(
        'simulator: an office with reflections, 128 channels',
        'x real time',
        ours,
        'pyroomacoustics, two fixed sources',
        peer,
        reach='3',
    )
    source = propagation.PointSource(sound, np.array([[0.0, 0.0, 2.0]]))

    def one():
        propagation.microphone_signals([source], mics.positions_m, _FRAMES)
        return SECONDS

    yield measure.row('one fixed source to 128 channels', 'x real time', *measure.rates(one))


def simulated_takes(folder):
    """The command that simulates takes, as `make tfrecords` calls it, its startup included."""
    subjects = 2
    folders = len(datasets.AVIA_CLASSES) * len(scenes.SCENARIOS) * subjects
    preset = presets.PRESETS['avia']['demo']

    def work():
        # Kept until the end: where files have just been deleted, new ones take ext4 longer.
        raw = tempfile.mkdtemp(dir=folder)
        subprocess.run(
            [
                sys.executable,
                '-m',
                'records.synthetic',
                f'--out={raw}',
                '--preset=demo',
                f'--subjects={subjects}',
                f'--matfiles={raw}/matfiles',
                '--nokeep_array',
                '--novideo',
            ],
            check=True,
            capture_output=True,
        )
        return folders * preset.num_takes * preset.take_s

    yield measure.row(
        f'simulated takes, straight to cepstra: {folders} folders on all processors',
        'x real time',
        *measure.rates(work, warm_up=False),
        reach='20',
    )


def noise():
    """Frames of the built-in array's 24-bit samples, [frames, 128, 1024] int32."""
    rng = np.random.default_rng(0)
    return rng.integers(-(2**20), 2**20, (_FRAMES, 128, dimensions.SAMPLES_PER_FRAME), np.int32)
