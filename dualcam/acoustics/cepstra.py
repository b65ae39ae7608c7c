"""Compresses 512 frequencies to 12 cepstral channels for each direction of an acoustic image.

Mel-frequency cepstral coefficients like those of WACV 2020's sensor: a mel filter bank, the natural
logarithm, a discrete cosine transform. The papers only give the number of channels; the other
choices are fixed here: 26 triangular filters of python_speech_features (rounded to bins, unit peak)
over 200 - 6,144 Hz; zero energies are replaced by the float64 epsilon, as in that package;
orthonormal DCT-II; coefficients 0 - 11, no lifter, no pre-emphasis. Coefficient 0 is the
direction's mean log energy times sqrt(26): the channel that shows where the sound is.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
import python_speech_features
import scipy.fft
import scipy.special

from dualcam.acoustics import dimensions


@dataclasses.dataclass(frozen=True)
class CepstrumParams:
    """Settings of the compression; see the module docstring."""

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
    return filters[:, : dimensions.BINS]  # the last bin has weight 0: it ends a triangle


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
        ValueError: `power` has a different number of frequencies.
    """
    if power.shape[-1] != dimensions.BINS:
        raise ValueError(
            f'power of shape {power.shape}; expected {dimensions.BINS} bins on the last axis'
        )
    return energies_to_cepstra(power @ mel_filters(params).T.astype(power.dtype), params)


def band_db(
    cepstra: npt.ArrayLike,
    low_hz: float = 0.0,
    high_hz: float = np.inf,
    params: CepstrumParams = CepstrumParams(),
) -> np.ndarray:
    """Energy in a band, as far as cepstra determine it.

    The cosine terms that the compression dropped are taken as zero, which gives the mel energies of
    a smoothed spectrum. They are summed over the filters that peak in the band.

    Args:
        cepstra: [..., 12].
        low_hz, high_hz: of the band; default all filters.
        params: the settings that the cepstra were made with.

    Returns:
        [...] float64, decibels.

    Raises:
        ValueError: no filter peaks in the band.
    """
    peaks_hz = mel_filters(params).argmax(axis=1) * (
        dimensions.ARRAY_RATE_HZ / dimensions.SAMPLES_PER_FRAME
    )
    chosen = (peaks_hz >= low_hz) & (peaks_hz <= high_hz)
    if not chosen.any():
        raise ValueError(
            f'a band of {low_hz:g} - {high_hz:g} Hz: expected one containing a mel filter, whose '
            f'peaks are at {", ".join(f"{hz:g}" for hz in peaks_hz)} Hz'
        )
    basis = scipy.fft.dct(np.eye(params.num_filters), type=2, norm='ortho', axis=0)
    logs = np.asarray(cepstra, np.float64) @ basis[: params.num_cepstra, chosen]
    return 10.0 / np.log(10.0) * scipy.special.logsumexp(logs, axis=-1)
