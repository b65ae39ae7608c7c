"""Rates of the maps of the live view and of `dualcam camera`, beside acoular's of the same sound.

One map is made of a twelfth of a second; live, twelve a second are needed. "Share of a core" counts
the processor's time, so that other programs on the machine do not change it.
"""

import time

import numpy as np

from benchmarks import measure
from dualcam.acoustics import acoular_maps, geometry_files, maps, views

MAPS_PER_S = 12
_ARRAYS = (('uma16', 48_000, 40.0), ('dualcam', 12_288, 200.0))  # share that is aimed at


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
            f'{title}, processor time of 12',
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


def _share_of_a_core(work):
    """Processor time of a second's maps, per cent of a second."""
    began = time.process_time()
    work()
    return 100 * (time.process_time() - began)
