"""Maps by acoular's beamformers instead of our own, if the package is installed.

Uses the same stretches, blocks and bands as `maps`, so that only the beamforming differs. An order
of magnitude slower; meant for methods that we do not have and for comparison.
"""

import functools

import numpy as np

from dualcam.acoustics import maps, microphones

METHODS = (*maps.METHODS, 'orthogonal')
_FAR_M = 1e4  # stands in for plane waves
_LIFT = 1e-13
_DEFAULTS = maps.MapParams()


class AcoularMapMaker(maps.MapMaker):
    """A `maps.MapMaker` that uses acoular, with the steering that acoular calls classic.

    Args:
        array, grid, rate_hz, params: as for `maps.MapMaker`; methods are those of `METHODS`.

    Raises:
        ValueError: as for `maps.MapMaker`, or acoular cannot be imported.
    """

    methods = METHODS

    def __init__(
        self,
        array: microphones.MicArray,
        grid: microphones.Grid,
        rate_hz: float,
        params: maps.MapParams = _DEFAULTS,
    ) -> None:
        super().__init__(array, grid, rate_hz, params)
        self._acoular = _loaded()
        mics = self._acoular.MicGeom(pos_total=array.positions_m.T)
        places_m = grid.directions.reshape(-1, 3).T * (params.focus_m or _FAR_M)
        self._steer = self._acoular.SteeringVector(
            steer_type='classic',
            grid=self._acoular.ImportGrid(pos=places_m),
            mics=mics,
            env=self._acoular.Environment(c=microphones.SPEED_OF_SOUND),
        )

    def _power(self, spectra, summed, own):
        total = self._spectrum(spectra.astype(np.complex128)).sum(axis=0)
        return maps.spots(total) if self.params.method == 'clean-sc' else total

    def _spectrum(self, spectra):
        """Maps of all bins of the band, [bins, rows, cols] float64, power."""
        cross = np.einsum('kbi,kbj->kij', spectra, spectra.conj()) / spectra.shape[1]
        if self.params.method == 'functional':
            # acoular takes roots of eigenvalues; rounding must not make zero ones negative.
            traces = np.einsum('kii->k', cross).real
            cross = cross + _LIFT * traces[:, None, None] * np.eye(self.array.num_mics)
        data = self._acoular.PowerSpectraImport(csm=cross, frequencies=self.frequencies_hz)
        make = {
            'sum': functools.partial(self._acoular.BeamformerBase, r_diag=False),
            'diagonal': functools.partial(self._acoular.BeamformerBase, r_diag=True),
            'functional': functools.partial(
                self._acoular.BeamformerFunctional, gamma=self.params.functional_order
            ),
            'clean-sc': functools.partial(self._acoular.BeamformerCleansc, r_diag=True),
            'orthogonal': functools.partial(
                self._acoular.BeamformerOrth, eva_list=np.arange(-_sources(self.array), 0)
            ),
        }[self.params.method]
        beamformer = make(freq_data=data, steer=self._steer, cached=False)
        made = np.stack([beamformer.synthetic(hz, 0) for hz in self.frequencies_hz])
        return made.reshape(-1, *self.grid.shape)


def _sources(array):
    """Number of eigenvalues that orthogonal beamforming uses."""
    return min(8, array.num_mics - 1)


def _loaded():
    try:
        import acoular
    except (ImportError, OSError) as error:
        raise ValueError(
            f'--engine=acoular needs the package acoular ({error}): pip install acoular'
        ) from error
    return acoular
