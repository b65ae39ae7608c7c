"""A short version of the numeric tests with other processors' kernels; see `proofs/kernels.py`."""

import json
import re
import subprocess
import sys

import pytest

from tests.proofs import kernels

# Ranks and neighbours at ties, the band filter, and a served HearNet against Keras' own.
_FILES = (
    'tests/dualcam/evaluation/test_ties.py',
    'tests/dualcam/evaluation/test_retrieval.py',
    'tests/dualcam/evaluation/test_neighbours.py',
    'tests/dualcam/data/test_audio.py',
)


@pytest.mark.slow
@pytest.mark.parametrize('name, threads', [('laptop', 2), ('old', 1)])
def test_numbers_hold_under_other_kernels(name, threads):
    kernel = kernels.KERNELS[name]
    if missing := kernel.missing():
        pytest.skip(f'{name}: this processor has no {" or ".join(missing)}')
    arguments = list(_FILES)
    if name == 'laptop':
        arguments.append(
            'tests/dualcam/export/test_saved_models.py::'
            'test_any_length_and_batch_gets_kerass_numbers[hearnet-1-1]'
        )
    done = kernels.run(kernel, threads, arguments)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert int(re.search(r'(\d+) passed', done.stdout)[1]) > 20


def test_a_kernel_is_the_one_that_computes():
    """The environment variables reach OpenBLAS and NumPy."""
    kernel = kernels.KERNELS['old']
    if missing := kernel.missing():
        pytest.skip(f'old: this processor has no {" or ".join(missing)}')
    program = (
        'import json, numpy, threadpoolctl; from tests.proofs import kernels;'
        'print(json.dumps([[one["architecture"] for one in threadpoolctl.threadpool_info()'
        ' if one["internal_api"] == "openblas"], [name for name in kernels._features()[1]'
        ' if kernels._features()[0][name]]]))'
    )
    done = subprocess.run(
        [sys.executable, '-c', program],
        cwd=kernels.ROOT,
        env=kernels.os.environ | kernel.environment(),
        text=True,
        capture_output=True,
        check=True,
    )
    architectures, used = json.loads(done.stdout)
    assert set(architectures) == {'Sandybridge'}
    assert not [name for name in used if name.startswith(kernel.without)]


def test_kernels_for_other_processors_are_skipped_in_a_line(monkeypatch, capsys):
    monkeypatch.setattr(kernels, '_features', lambda: ({'AVX': True, 'AVX512F': True}, ['AVX512F']))
    assert kernels.KERNELS['SkylakeX'].missing() == ['AVX512_SKX']
    assert kernels.KERNELS['laptop'].environment()['NPY_DISABLE_CPU_FEATURES'] == 'AVX512F'
    assert 'NPY_DISABLE_CPU_FEATURES' not in kernels.KERNELS['Haswell'].environment()
    flags = type('Flags', (), {'kernels': ['SkylakeX'], 'threads': ['1']})
    monkeypatch.setattr(kernels.flags, 'FLAGS', flags)
    assert kernels.main(['kernels']) == 0
    assert capsys.readouterr().out == 'SkylakeX: skipped, this processor has no AVX512_SKX\n'
    flags.kernels = ['Pentium']
    assert kernels.main(['kernels']) == 1
    assert '--kernels=Pentium: expected some of as installed, Haswell' in capsys.readouterr().out
