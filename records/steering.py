"""A beamformer as pieces of work carry it: described, and made once by each process."""

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
        num_threads: as `band_beamforming.BandBeamformer` has it. Workers of a cluster take one:
            there is one of them per core.
    """

    array: microphones.MicArray
    grid: microphones.Grid
    focus_m: float | None
    num_threads: int | None = None

    def beamformer(self) -> band_beamforming.BandBeamformer:
        """The beamformer; the same one for the same description, which takes seconds to make."""
        return _made(pickle.dumps(self))


@functools.lru_cache(maxsize=1)
def _made(description):
    one = pickle.loads(description)
    return band_beamforming.BandBeamformer(
        one.array, one.grid, cepstra.mel_filters(), one.focus_m, num_threads=one.num_threads
    )
