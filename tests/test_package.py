"""The built package works: the sdist's wheel, installed, in a folder outside the checkout."""

import importlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
import yaml
from packaging import requirements, utils

import dualcam
from tests.helpers.checkout import ROOT

# All in one process, since TensorFlow takes seconds to start.
SMOKE = """
import pathlib, sys
import keras, numpy as np, soundfile
import dualcam
from dualcam import models
from dualcam.cli import main
from dualcam.data.signal import frontends
from dualcam.data.sources import datasets
from dualcam.export import saved_models

installed, take = map(pathlib.Path, sys.argv[1:])
assert pathlib.Path(dualcam.__file__).is_relative_to(installed), dualcam.__file__
try:
    import records
except ImportError:
    pass
else:
    raise AssertionError(f'{records.__file__}: the checkout is on the path')
keras.utils.set_random_seed(0)
statistics = np.zeros(257, np.float32), np.full(257, 400, np.float32)
saved_models.export(
    models.build('hearnet', 2, seconds=1), pathlib.Path('student/1'),
    datasets.DatasetInfo('toy', ('claps', 'whistles'), 'made up'), 1,
    frontends.Frontend('spectrogram', statistics=statistics),
)
sound, rate_hz = soundfile.read(take)
soundfile.write('one.wav', sound[:, 0], rate_hz)
for call in (
    'classify --model=student/1 --input one.wav --out=classes.csv',
    'embed --model=student/1 --input=one.wav --out=features.npz',
    f'camera --input={take} --array=uma16 --out=seen',
    'array --array=dualcam --out=layout',
):
    assert main.main(call.split()) == 0, call
"""


def python(*arguments, cwd, **variables):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {'PYTHONPATH': ''} | variables,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """(sdist, wheel): the wheel is built from the sdist, as an index would."""
    folder = tmp_path_factory.mktemp('built')
    source = folder / 'source'
    source.mkdir()
    for path in (ROOT / 'dualcam', ROOT / 'examples'):
        shutil.copytree(
            path, source / path.name, ignore=shutil.ignore_patterns('__pycache__', '*.ipynb')
        )
    for name in ('CHANGELOG.md', 'CITATION.cff', 'LICENSE', 'MANIFEST.in', 'README.md'):
        shutil.copy(ROOT / name, source)
    for name in (*SETS, 'pyproject.toml', 'setup.py'):
        shutil.copy(ROOT / name, source)
    program = f'from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})'
    python('-c', program, cwd=source)
    (sdist,) = folder.glob('*.tar.gz')
    options = ['--no-build-isolation', '--no-deps', '--no-index']
    python('-m', 'pip', 'wheel', '-q', *options, sdist, cwd=folder)
    (wheel,) = folder.glob('*.whl')
    return sdist, wheel


def test_the_sdist_holds_what_belongs_to_the_package(built):
    sdist, _ = built
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    assert {'CHANGELOG.md', 'CITATION.cff', 'LICENSE', 'README.md', *SETS} <= names
    assert 'examples/take.wav' in names
    assert not [name for name in names if name.startswith(('tests/', 'records/'))]


def test_the_wheel_holds_the_package_and_nothing_else(built):
    _, wheel = built
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.partition('/')[0] for name in names}
    assert tops == {'dualcam', f'dualcam-{dualcam.__version__}.dist-info'}
    shipped = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'dualcam').rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }
    assert {name for name in names if name.startswith('dualcam/')} == shipped


@pytest.mark.slow
def test_an_installed_wheel_works_outside_of_the_checkout(built, tmp_path):
    _, wheel = built
    installed, empty = tmp_path / 'installed', tmp_path / 'empty'
    empty.mkdir()
    python(
        *f'-m pip install -q --no-deps --no-index --target={installed}'.split(), wheel, cwd=empty
    )
    # Like site-packages: before an editable install of the checkout.
    path = {'PYTHONPATH': str(installed)}
    said = python(installed / 'bin' / 'dualcam', '--version', cwd=empty, **path)
    assert said == f'dualcam {dualcam.__version__}\n'
    python('-c', HIDE_CHECKOUT + SMOKE, installed, ROOT / 'examples/take.wav', cwd=empty, **path)
    made = {path.name for path in empty.rglob('*')}
    assert {'classes.csv', 'features.npz', 'overlay.mp4', 'sources.csv', 'array.png'} <= made
    rows = (empty / 'seen/sources.csv').read_text().splitlines()
    places = [tuple(map(float, row.split(',')[3:5])) for row in rows[1:]]
    assert places == [pytest.approx((-20, -5), abs=2), pytest.approx((18, 8), abs=2)]


# An editable install puts the checkout on the path by a finder, or by a .pth file.
HIDE_CHECKOUT = f"""
import sys
sys.meta_path[:] = [one for one in sys.meta_path if 'editable' not in str(one)]
sys.path[:] = [path for path in sys.path if path != {str(ROOT)!r}]
"""


def test_the_shipped_take_is_what_its_program_makes(command, tmp_path):
    import numpy as np
    import soundfile

    code, _, errors = command('examples/make_take.py', f'--out={tmp_path / "take.wav"}')
    assert code == 0, errors
    made, rate_hz = soundfile.read(tmp_path / 'take.wav', dtype='int16')
    shipped, same_rate_hz = soundfile.read(ROOT / 'examples/take.wav', dtype='int16')
    assert rate_hz == same_rate_hz and made.shape == shipped.shape
    assert np.abs(made.astype(int) - shipped).max() <= 2  # sums round differently on other machines


def test_releases_have_sections_and_the_version_the_first():
    text = (ROOT / 'CHANGELOG.md').read_text(encoding='utf-8')
    versions = [line.split()[1].rstrip(',') for line in text.splitlines() if line[:3] == '## ']
    assert versions[0] == dualcam.__version__
    assert versions == sorted(versions, key=lambda one: [*map(int, one.split('.'))], reverse=True)


def test_the_citation_fits_package_and_format():
    cited = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    assert {'cff-version', 'message', 'title', 'authors'} <= set(cited) <= CFF_KEYS
    assert cited['version'] == dualcam.__version__
    assert metadata()['license'] == cited['license']
    readme = ' '.join((ROOT / 'README.md').read_text(encoding='utf-8').split())
    for reference in cited['references']:
        assert {'type', 'title', 'authors', 'year'} <= set(reference) <= CFF_REFERENCE_KEYS
        assert f'*{reference["title"]}*' in readme
        for author in reference['authors']:
            assert set(author) in ({'family-names', 'given-names'}, {'family-names'}, {'name'})


# Of the Citation File Format, 1.2.0.
CFF_KEYS = {
    *('abstract', 'authors', 'cff-version', 'commit', 'contact', 'date-released', 'doi'),
    *('identifiers', 'keywords', 'license', 'license-url', 'message', 'preferred-citation'),
    *('references', 'repository', 'repository-artifact', 'repository-code', 'title', 'type'),
    *('url', 'version'),
}
CFF_REFERENCE_KEYS = {
    *('authors', 'title', 'type', 'year', 'conference', 'collection-title', 'url', 'identifiers'),
    *('doi', 'pages', 'start', 'end', 'notes', 'scope'),
}


# What `make setup` installs with each set of versions, beyond the package's requirements, and for
# which Pythons.
SETS = {
    'constraints.txt': (('dev', 'tensorflow-io'), ('3.10', '3.11', '3.12')),
    'constraints-tf2.21.txt': (('dev', 'litert'), ('3.10', '3.11', '3.12', '3.13')),
}


def metadata():
    # Python 3.10 has none; there, pytest installs the package.
    name = 'tomllib' if sys.version_info >= (3, 11) else 'tomli'
    text = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    return importlib.import_module(name).loads(text)['project']


def pins(file_name, python):
    """{package: version} in a file of constraints for a version of Python."""
    found = {}
    for line in (ROOT / file_name).read_text(encoding='utf-8').splitlines():
        if line.startswith('#'):
            continue
        pin = requirements.Requirement(line)
        if pin.marker is None or pin.marker.evaluate({'python_version': python}):
            (exact,) = pin.specifier
            name = utils.canonicalize_name(pin.name)
            assert exact.operator == '==' and name not in found, line
            found[name] = exact.version
    return found


def test_python_versions_agree():
    """pyproject.toml, the hosted workflow and the documents name the same versions."""
    assert metadata()['requires-python'] == '>=3.10,<3.14'
    path = pathlib.Path('.github/workflows/ci.yml')
    jobs = yaml.safe_load((ROOT / path).read_text(encoding='utf-8'))['jobs']
    for job, (_, pythons) in zip(('test', 'newest'), SETS.values(), strict=True):
        assert jobs[job]['strategy']['matrix']['python'] == [*pythons]
    assert 'Python 3.10 - 3.12' in (ROOT / 'README.md').read_text(encoding='utf-8')
    table = (ROOT / 'docs/versions.md').read_text(encoding='utf-8')
    assert '| 3.10 - 3.12 | 3.10 - 3.13 |' in table


@pytest.mark.parametrize(
    'file_name, python',
    [(name, python) for name, (_, pythons) in SETS.items() for python in pythons],
)
def test_what_is_installed_is_pinned_to_what_is_asked_for(file_name, python):
    pinned, project = pins(file_name, python), metadata()
    asked = [*project['dependencies']]
    for extra in SETS[file_name][0]:
        asked += project['optional-dependencies'][extra]
    asked = [requirements.Requirement(one) for one in asked]
    asked = [
        one for one in asked if not one.marker or one.marker.evaluate({'python_version': python})
    ]
    assert len(asked) > 20
    for one in asked:
        assert one.specifier.contains(pinned[utils.canonicalize_name(one.name)]), one


def test_the_sets_differ_in_tensorflow_and_what_follows_from_it():
    default, newest = (pins(name, '3.11') for name in SETS)
    assert default['tensorflow'] == '2.16.2' and default['tensorflow-io'] == '0.37.1'
    assert newest['tensorflow'] == newest['tensorflow-serving-api'] == '2.21.0'
    assert newest['numpy'].startswith('2.') and 'tensorflow-io' not in newest
    assert 'ai-edge-litert' in newest and 'ai-edge-litert' not in default


def test_tensorflow_io_is_installed_but_not_required():
    asked = [requirements.Requirement(one) for one in metadata()['dependencies']]
    assert 'tensorflow-io' not in {one.name for one in asked}
    assert 'tensorflow-io' in SETS['constraints.txt'][0]


@pytest.mark.parametrize('variable, file_name', [*zip(('TF=', 'TF=2.21'), SETS, strict=True)])
def test_make_installs_a_set_in_a_venv_of_its_own(variable, file_name):
    call = ['make', '-n', '-W', 'pyproject.toml', 'setup', variable]
    said = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    venv = '.venv' + file_name.removeprefix('constraints').removesuffix('.txt')
    extras = ','.join(SETS[file_name][0])
    install = (
        f'{venv}/bin/python -m pip install -q --no-build-isolation --no-compile -c {file_name}'
    )
    assert f"{install} -e '.[{extras}]'\n" in said


def test_tables_do_not_wait_for_what_only_tests_need():
    call = ['make', '-n', '-W', 'pyproject.toml', 'table2', 'VENV=.venv-none']
    said = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--no-compile -c constraints.txt -e '.[tensorflow-io]'\n" in said
    assert '[dev' not in said and said.index('pip install') < said.index('run_table2.py')


def test_make_lets_python_keep_what_it_compiles_and_memory():
    call = ['make', '-s', '--eval', 'shown: ; @env', 'shown']
    variables = os.environ | {'PYTHONDONTWRITEBYTECODE': '1', 'MALLOC_TRIM_THRESHOLD_': '7'}
    variables.pop('MALLOC_MMAP_THRESHOLD_', None)
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True, env=variables)
    shown = done.stdout.splitlines()
    assert 'PYTHONDONTWRITEBYTECODE' not in done.stdout
    assert f'MALLOC_MMAP_THRESHOLD_={2**28}' in shown
    assert 'MALLOC_TRIM_THRESHOLD_=7' in shown  # what users set stays


def test_make_rejects_a_set_that_does_not_exist():
    call = ['make', '-n', 'setup', 'TF=2.99']
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'TF=2.99: there is no constraints-tf2.99.txt; expected TF=2.21' in done.stderr


def test_hooks_run_the_linters_of_make_lint():
    (repo,) = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())['repos']
    assert repo['repo'] == 'local'
    hooks = [hook['entry'] for hook in repo['hooks']]
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    makefile = makefile.replace('$(PY)', '.venv/bin/python').replace('$(VENV)', '.venv')
    recipe = makefile.partition('\nlint: setup\n')[2].partition('\n\n')[0]
    assert hooks == [line.strip() for line in recipe.splitlines()]
