"""Everything in the documents exists: commands with their options, links, pictures."""

import ast
import functools
import re
import shlex

import pytest
import yaml

from dualcam.cli import main
from tests.helpers.checkout import ROOT

PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
MAKEFILE = (ROOT / 'Makefile').read_text(encoding='utf-8')
TARGETS = set(re.findall(r'^([a-z][\w -]*?):(?!=)', MAKEFILE, re.M))
TARGETS = {name for names in TARGETS for name in names.split()}
VARIABLES = set(re.findall(r'\b([A-Z][A-Z0-9_]+)\b', MAKEFILE))
COMMANDS = main.make_parsers()[1]
FIRST_PARTY = ('dualcam', 'records', 'experiments', 'benchmarks', 'tests', 'docs')


def shown(text):
    """Commands in a page's indented or fenced blocks and between backticks, without comments."""
    text = re.sub(r'```(?:python|json)\n.*?```', '', text, flags=re.S)
    text = text.replace('\\\n', ' ')
    blocks = re.findall(r'^(?: {4}|\t)(.+)$', text, re.M)
    for block in re.findall(r'```(?:text|sh)?\n(.*?)```', text, re.S):
        blocks += block.splitlines()
    for line in [*blocks, *re.findall(r'`([^`\n]+)`', text)]:
        call = re.split(r'\s+#|  +[a-z]|\s*[|;]\s', line.strip().removeprefix('.venv/bin/'))[0]
        # `python -m records.look` alone names a module, which test_layout.py checks.
        if re.match(r'(make [a-z]|dualcam [a-z]|python [\w-])', call):
            yield call


CALLS = [(page.name, call) for page in PAGES for call in shown(page.read_text(encoding='utf-8'))]


def test_calls_are_found():
    assert len(CALLS) > 100
    kinds = {call.split()[0] for _, call in CALLS}
    assert kinds == {'make', 'dualcam', 'python'}
    text = 'Say `make x A=1`\n\n    dualcam look --input A   # why\n    $ other\n'
    assert list(shown(text)) == ['dualcam look --input A', 'make x A=1']


@functools.cache
def options_of(module):
    """Names of the flags and options that a program and the modules it imports define."""
    path = ROOT / (module.replace('.', '/') + '.py')
    if not path.is_file():
        path = ROOT / module.replace('.', '/') / '__main__.py'
    if not path.is_file():
        path = ROOT / module.replace('.', '/') / '__init__.py'
    found, seen, left = set(), set(), [path]
    while left:
        path = left.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Call) and node.args:
                name, first = getattr(node.func, 'attr', ''), node.args[0]
                if (name.startswith('DEFINE') or name == 'add_argument') and isinstance(
                    first, ast.Constant
                ):
                    found.add(str(first.value).removeprefix('--'))
            if isinstance(node, ast.ImportFrom) and (node.module or '').startswith(FIRST_PARTY):
                for one in node.names:
                    base = ROOT / node.module.replace('.', '/')
                    left += [base / f'{one.name}.py', base.with_suffix('.py')]
    return found


def missing(call):
    """The part of a command that does not exist, or None."""
    words = shlex.split(call.replace('[', '').replace(']', ''))
    if words[0] == 'make':
        for word in words[1:]:
            name, is_setting, _ = word.partition('=')
            if name not in (VARIABLES if is_setting else TARGETS) and name != '...':
                return name
        return None
    if words[0] == 'dualcam':
        if words[1] not in COMMANDS:
            return words[1]
        known = COMMANDS[words[1]]._option_string_actions  # argparse has no public list
        names = [word.partition('=')[0] for word in words if word.startswith('--')]
        return next((name for name in names if name not in known), None)
    if words[1] == '-m':
        module = words[2]
        if not module.startswith(FIRST_PARTY) or 'NAME' in module:
            return None  # such as python -m http.server
    else:
        module = words[1].removesuffix('.py').replace('/', '.')
    if not any((ROOT / module.replace('.', '/')).with_suffix(end).exists() for end in ('', '.py')):
        return module
    names = {word.partition('=')[0][2:] for word in words if word.startswith('--')}
    known = options_of(module)
    return next(
        (f'{module} --{n}' for n in names if {n, n.removeprefix('no')}.isdisjoint(known)), None
    )


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_commands_exist_with_their_options(page):
    found = [(call, missing(call)) for name, call in CALLS if name == page.name]
    assert [one for one in found if one[1]] == []


@pytest.mark.parametrize(
    'call, name',
    [
        ('make tabel2', 'tabel2'),
        ('make table2 SIZE=1', 'SIZE'),
        ('make table2 PRESET=smoke', None),
        ('dualcam hear --model=M', 'hear'),
        ('dualcam look --inputs A', '--inputs'),
        ('python -m records.convert', 'records.convert'),
        ('python -m records.verify --rot=A', 'records.verify --rot'),
        ('python -m records.verify --root=A', None),
        ('python experiments/run_table2.py --records=A', None),
    ],
)
def test_what_does_not_exist_is_found(call, name):
    assert missing(call) == name


def test_every_page_is_in_the_site_s_navigation():
    settings = yaml.safe_load((ROOT / 'mkdocs.yml').read_text(encoding='utf-8'))

    def leaves(node):
        if isinstance(node, str):
            return [node]
        return [
            leaf
            for one in (node.values() if isinstance(node, dict) else node)
            for leaf in leaves(one)
        ]

    made = {'take.md', 'contributing.md', 'changes.md'}
    assert set(leaves(settings['nav'])) == made | {
        page.name for page in (ROOT / 'docs').glob('*.md')
    }


def test_the_site_loads_nothing_from_elsewhere():
    settings = yaml.safe_load((ROOT / 'mkdocs.yml').read_text(encoding='utf-8'))
    assert settings['theme']['font'] is False and settings['strict']
    assert not {'extra_javascript', 'extra_css'} & set(settings)
    assert 'offline' not in settings['plugins']  # it adds a script from unpkg.com


def test_the_picture_of_imports_is_current(command, tmp_path):
    code, _, errors = command('docs/tools/architecture.py', f'--out={tmp_path / "now.svg"}')
    assert code == 0, errors
    kept = ROOT / 'docs/pictures/architecture.svg'
    assert (tmp_path / 'now.svg').read_text() == kept.read_text(), (
        'run python docs/tools/architecture.py'
    )


def test_pages_name_each_record_key_of_the_schema():
    """Other programs are written according to docs/formats.md."""
    from dualcam.data import schema

    text = (ROOT / 'docs/formats.md').read_text(encoding='utf-8')
    for modality in schema.MODALITIES.values():
        for key in (modality.feature_list, *modality.size_keys):
            assert f'`{key}`' in text, key
    keys = [schema.SOUND_DATA, schema.SOUND_RATE, schema.SOUND_START, schema.SOUND_LABEL]
    keys += [schema.CLIP_NAME, schema.CLIP_AUDIO, schema.CLIP_FRAMES, schema.CLIP_LABELS]
    keys += [*schema.AVIA_KEYS.values(), *schema.ACIVW_KEYS.values()]
    assert [key for key in keys if f'`{key}`' not in text] == []


def test_the_format_page_s_program_writes_what_is_read(tmp_path):
    import numpy as np

    from dualcam.data import stores
    from dualcam.data.packers import record_packer

    text = (ROOT / 'docs/formats.md').read_text(encoding='utf-8')
    (program,) = re.findall(r'```python\n(.*?)```', text, re.S)
    scope = {}
    exec(program, scope)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((12, 36, 48, 12))
    sound = rng.integers(-(2**20), 2**20, (12, 1, 1024))
    path = tmp_path / 'Location_02/Subject_03/Action_006/Data_001.tfrecord'
    path.parent.mkdir(parents=True)
    scope['write_second'](str(path), 5, 1, 2, images, sound)
    packer = record_packer.RecordPacker(['acoustic', 'audio'])
    store = stores.open_store([path], packer, tmp_path / 'cache')
    np.testing.assert_array_equal(store.arrays['acoustic'][0], images.astype(np.float32))
    np.testing.assert_array_equal(store.arrays['audio'][0], sound[:, 0])
    labels = {name: int(column[0]) for name, column in store.columns.items()}
    assert labels == {'label': 5, 'group': 1, 'subject': 2}


@pytest.mark.slow
def test_the_notebook_runs_and_the_array_helps_the_student(command, tmp_path):
    pytest.importorskip('nbclient', reason='the pinned one needs Python 3.11')
    pytest.importorskip('ipykernel')
    pytest.importorskip('jupytext')
    code, _, errors = command(
        'docs/tools/notebook.py', '--notebook=examples/take.py', f'--out={tmp_path}'
    )
    assert code == 0, errors
    text = (tmp_path / 'take.md').read_text(encoding='utf-8')
    pictures = re.findall(r'!\[[^]]*\]\((take_\d\.png)\)', text)
    assert len(pictures) == 3
    assert all((tmp_path / name).read_bytes().startswith(b'\x89PNG') for name in pictures)
    rows = re.findall(r'^  (student|teacher)(.*?)((?:\s+\d\.\d\d){3})$', text, re.M)
    shares = [
        (role + what.strip(), [float(one) for one in row.split()]) for role, what, row in rows
    ]
    assert len(shares) == 8
    assert all(sum(row) == pytest.approx(1, abs=0.02) for _, row in shares)
    for second in (dict(shares[:4]), dict(shares[4:])):
        alone, right = second['student, one microphone'], second['student, towards the right']
        assert right[1] > alone[1]  # more of whistling
