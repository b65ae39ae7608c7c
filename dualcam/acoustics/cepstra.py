"""512 frequencies to 12 cepstral channels for each direction of an acoustic image.

Mel-frequency cepstral coefficients as WACV 2020's sensor has them: a mel filter bank, the natural
logarithm, a discrete cosine transform. The papers give the number of channels only; what else
decides numbers is fixed here: 26 triangular filters of python_speech_features (rounded to bins,
unit peak) over 200 - 6,144 Hz; energies of zero count as the float64 epsilon, the package's own
rule; orthonormal DCT-II; coefficients 0 - 11, no lifter, no pre-emphasis. Coefficient 0 is the
direction's mean log energy times sqrt(26): the channel in which one sees where the sound is.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
import python_speech_features
import scipy.fft

from dualcam.acoustics import dimensions


@dataclasses.dataclass(frozen=True)
class CepstrumParams:
    """Settings of the compression, see the module's text."""

    num_filters: int = 26
    low_hz: float = 200.0
    high_hz: float = dimensions.ARRAY_RATE_HZ / 2
    num_cepstra: int = dimensions.CEPSTRA


def mel_filters(params: CepstrumParams = CepstrumParams()) -> np.ndarray:
    """Weights of the 512 bins in each mel filter, [filters, 512] float64."""
    filters = python_speech_features.get_filterbanks(
        params.num_filters,
        dimensions.SAMPLES_PER_FRAME,
        dimensions.ARRAY_RATE_HZ,
        params.low_hz,
        params.high_hz,
    )  # [filters, 513]
    return filters[:, : dimensions.BINS]  # the last bin ends the last triangle: its weight is 0


def energies_to_cepstra(
    energies: npt.ArrayLike, params: CepstrumParams = CepstrumParams()
) -> np.ndarray:
    """Cepstra of mel energies.

    Args:
        energies: [..., filters], power.

    Returns:
        [..., 12] float32.
    """
    energies = np.asarray(energies, np.float32)
    logs = np.log(np.where(energies == 0, np.finfo(np.float64).eps, energies), dtype=np.float32)
    basis = scipy.fft.dct(np.eye(params.num_filters), type=2, norm='ortho', axis=0)
    return logs @ basis[: params.num_cepstra].T.astype(np.float32)


def power_to_cepstra(power: np.ndarray, params: CepstrumParams = CepstrumParams()) -> np.ndarray:
    """Cepstra of multispectral acoustic images.

    Args:
        power: [..., 512].

    Returns:
        [..., 12] float32.

    Raises:
        ValueError: `power` has another number of frequencies.
    """
    if power.shape[-1] != dimensions.BINS:
        raise ValueError(
            f'power of shape {power.shape}; expected {dimensions.BINS} bins on the last axis'
        )
    return energies_to_cepstra(power @ mel_filters(params).T.astype(power.dtype), params)
