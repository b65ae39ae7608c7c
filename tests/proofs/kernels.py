"""The numeric tests with the kernels of other processors: do they pass however numbers are rounded?

    python -m tests.proofs.kernels [--kernels=Haswell,laptop] [--threads=1,2] [-- PYTEST_ARGUMENTS]

Matrix products, convolutions and NumPy's loops have kernels for each type of processor, which sum
in a different order and therefore round differently. Environment variables select among those that
this processor can run; the tests marked `numeric` run with each, with one and with two threads.
Kernels that this processor cannot run are reported and skipped. Exit code 1 if a test fails.
"""

import dataclasses
import importlib
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
from absl import app, flags

ROOT = pathlib.Path(__file__).parents[2]
THREADS = 'DUALCAM_TEST_THREADS'  # as `tests/conftest.py` sets for TensorFlow
_INSTALLED = 'as installed'


@dataclasses.dataclass(frozen=True)
class Kernel:
    """Environment variables that select kernels, and the features that a processor needs for them.

    Attributes:
        needs: names of the features in NumPy.
        variables: of the environment.
        without: features that NumPy must not use, if this processor has them; the beginnings of
            their names, which for NumPy from 2.4 are of groups: X86_V3 has AVX2, X86_V4 AVX-512.
    """

    needs: tuple[str, ...] = ()
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    without: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """All variables, on this processor."""
        features, dispatched = _features()
        named = [
            name
            for name in dispatched
            if features.get(name) and name.startswith(self.without)  # startswith(()) is False
        ]
        return self.variables | ({'NPY_DISABLE_CPU_FEATURES': ' '.join(named)} if named else {})

    def missing(self) -> list[str]:
        """The features that this processor lacks."""
        features, _ = _features()
        return [name for name in self.needs if not features.get(name)]


_AVX2 = ('AVX2', 'FMA3')
# TensorFlow uses oneDNN by default only on some processors, so it is switched on.
KERNELS = {
    _INSTALLED: Kernel(),
    'Haswell': Kernel(_AVX2, {'OPENBLAS_CORETYPE': 'Haswell'}),
    'Zen': Kernel(_AVX2, {'OPENBLAS_CORETYPE': 'Zen'}),
    'SkylakeX': Kernel(
        ('AVX512_SKX',), {'OPENBLAS_CORETYPE': 'SkylakeX', 'TF_ENABLE_ONEDNN_OPTS': '1'}
    ),
    # Like most laptops.
    'laptop': Kernel(
        _AVX2,
        {
            'OPENBLAS_CORETYPE': 'Haswell',
            'ONEDNN_MAX_CPU_ISA': 'AVX2',
            'TF_ENABLE_ONEDNN_OPTS': '1',
        },
        ('AVX512', 'X86_V4'),
    ),
    # Like ten-year-old processors, without fused operations, which round most often.
    'old': Kernel(
        ('AVX',),
        {
            'OPENBLAS_CORETYPE': 'Sandybridge',
            'ONEDNN_MAX_CPU_ISA': 'AVX',
            'TF_ENABLE_ONEDNN_OPTS': '1',
        },
        ('AVX512', 'AVX2', 'FMA3', 'X86_V3', 'X86_V4'),
    ),
    # TensorFlow's own kernels instead of oneDNN's.
    'Eigen': Kernel((), {'TF_ENABLE_ONEDNN_OPTS': '0'}),
}


def run(kernel: Kernel, threads: int, arguments: list[str]) -> subprocess.CompletedProcess:
    """Runs the numeric tests in another process, with a kernel and a number of threads.

    Args:
        kernel: one of `KERNELS`.
        threads: for matrix products and TensorFlow.
        arguments: of pytest, which select among the numeric tests.
    """
    environment = os.environ | kernel.environment() | {THREADS: str(threads)}
    environment |= {name: str(threads) for name in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS')}
    # Settings of a surrounding test run must not apply here.
    environment = {k: v for k, v in environment.items() if not k.startswith('PYTEST_')}
    return subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-m', 'numeric', '-p', 'no:cacheprovider']
        + arguments,
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )


def _features():
    """{feature: whether this processor has it}, and the features that select NumPy's loops."""
    core = '_core' if int(np.__version__.split('.')[0]) >= 2 else 'core'
    umath = importlib.import_module(f'numpy.{core}._multiarray_umath')
    return umath.__cpu_features__, umath.__cpu_dispatch__


def main(arguments):
    """Runs the command."""
    options, failed = flags.FLAGS, False
    unknown = [name for name in options.kernels if name not in KERNELS]
    if unknown:
        print(f'error: --kernels={unknown[0]}: expected some of {", ".join(KERNELS)}')
        return 1
    for name in options.kernels or KERNELS:
        kernel = KERNELS[name]
        if missing := kernel.missing():
            print(f'{name}: skipped, this processor has no {" or ".join(missing)}')
            continue
        for threads in map(int, options.threads):
            started = time.perf_counter()
            done = run(kernel, threads, arguments[1:])
            failed |= done.returncode != 0
            count = f'{threads} thread{"s" if threads > 1 else ""}'
            print(
                f'{name}, {count}: {(done.stdout.strip().splitlines() or ["no output"])[-1]} '
                f'[{time.perf_counter() - started:.0f} s]',
                flush=True,
            )
            if done.returncode:
                print(done.stdout[-20_000:] + done.stderr[-5_000:])
    return int(failed)


if __name__ == '__main__':
    flags.DEFINE_list('kernels', [], f'Some of {", ".join(KERNELS)}; default all.')
    flags.DEFINE_list('threads', ['1', '2'], 'Numbers of threads.')
    app.run(main)
