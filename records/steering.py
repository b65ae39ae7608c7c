"""A beamformer's description, which is sent with pieces of work; each process builds it once."""

import dataclasses
import functools
import pickle

from dualcam.acoustics import band_beamforming, cepstra, microphones


@dataclasses.dataclass(frozen=True, eq=False)
class Steering:
    """A beamformer to the papers' mel bands.

    Attributes:
        array: the microphones.
        grid: the look directions.
        focus_m: distance to focus at, metres; None for plane waves.
        num_threads: see `band_beamforming.BandBeamformer`. Workers of a cluster use one thread,
            since there is one worker per core.
    """

    array: microphones.MicArray
    grid: microphones.Grid
    focus_m: float | None
    num_threads: int | None = None

    def beamformer(self) -> band_beamforming.BandBeamformer:
        """The beamformer; building it takes seconds, so equal descriptions share one."""
        return _made(pickle.dumps(self))


@functools.lru_cache(maxsize=1)
def _made(description):
    one = pickle.loads(description)
    return band_beamforming.BandBeamformer(
        one.array, one.grid, cepstra.mel_filters(), one.focus_m, num_threads=one.num_threads
    )
