"""Rules of the code base beyond linters: names, types, and imports between tests."""

import ast
import functools
import pathlib
import re
import types

import pytest

from tests.helpers.checkout import ROOT

PROGRAMS = ('dualcam', 'records', 'experiments', 'benchmarks', 'tests')
TYPED = ('dualcam', 'records')
# Conventional short names, or names that distinguish two libraries' modules.
ALIASES = {
    'hypothesis.strategies': 'st',
    'matplotlib.pyplot': 'plt',
    'numpy': 'np',
    'numpy.typing': 'npt',
    'tensorflow': 'tf',
    'tensorboard.plugins.hparams.api': 'hparams',
    'tensorboard.plugins.pr_curve.summary': 'pr_curve',
    'tensorflow.lite.python.schema_py_generated': 'schema',
    'xml.etree.ElementTree': 'ElementTree',
}


def sources(*folders):
    """Paths of the Python files below folders of the checkout, relative to it."""
    return [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in sorted((ROOT / folder).rglob('*.py'))
    ]


def parse(path):
    return ast.parse((ROOT / path).read_text(encoding='utf-8'), path)


def imports(tree):
    """(full name, local name or None, line) of all imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, alias.asname, node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f'{node.module}.{alias.name}', alias.asname, node.lineno


def is_test(module):
    """Whether a dotted name is a test module or a name in one."""
    parts = module.split('.')
    return parts[0] == 'tests' and any(part.startswith('test_') for part in parts[1:])


def public_functions(body, owner=''):
    """(name, function) of the public interface: functions, classes and their methods."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
            yield from public_functions(node.body, f'{node.name}.')
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            not node.name.startswith('_') or node.name == '__init__'
        ):
            yield owner + node.name, node


def untyped_parts(name, function):
    """Names of the parameters of a function without a type, and 'return'."""
    arguments = function.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters += [one for one in (arguments.vararg, arguments.kwarg) if one]
    is_static = any(getattr(one, 'id', '') == 'staticmethod' for one in function.decorator_list)
    if '.' in name and not is_static:
        parameters = parameters[1:]  # self or cls
    missing = [
        one.arg for one in parameters if one.annotation is None and not one.arg.startswith('_')
    ]
    if function.returns is None and function.name != '__init__':
        missing.append('return')
    return missing


def test_no_test_imports_another():
    found = [
        f'{path}:{line} imports {module}'
        for path in sources('tests')
        for module, _, line in imports(parse(path))
        if is_test(module) or module.startswith('tests.conftest')
    ]
    assert found == [], 'move what they share to tests/helpers'


def test_no_text_names_a_test_module_as_code():
    """Programs for child processes are strings, which `imports` does not see."""
    found = [
        f'{path}:{node.lineno}'
        for path in sources('tests')
        if path != 'tests/test_layout.py'
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and any(
            is_test(word.strip('\'"();,')) and 'import' in node.value for word in node.value.split()
        )
    ]
    assert found == [], 'move what they share to tests/helpers'


def module_file(name):
    """The file of a dotted name, if it is one of our modules."""
    place = ROOT / name.replace('.', '/')
    found = [place.with_suffix('.py'), place / '__init__.py']
    return next((file for file in found if file.is_file()), None)


@functools.cache
def module_names(name):
    """Names available in one of our modules: those it binds, and submodules."""
    file, found = module_file(name), {*dir(types.ModuleType('any')), '__file__'}
    if file.name == '__init__.py':
        found |= {path.stem for path in file.parent.iterdir()}
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition('.')[0])
    return found


def missing_names(tree):
    """(line, name) of attributes that our modules do not have.

    Names that the file also binds to something else, such as parameters, are skipped.
    """
    modules, bound = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for one in node.names:
                if module_file(f'{node.module}.{one.name}'):
                    modules[one.asname or one.name] = f'{node.module}.{one.name}'
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module and node.value.id not in bound and node.attr not in module_names(module):
                yield node.lineno, f'{module}.{node.attr}'


def test_names_of_our_modules_exist():
    """Including rarely run commands: mypy does not check experiments and tests."""
    found = [
        f'{path}:{line} {name}'
        for path in sources(*PROGRAMS)
        for line, name in missing_names(parse(path))
    ]
    assert found == []


def test_missing_names_are_found():
    source = 'from dualcam.data import schema\nschema.ROWS\nschema.NOTHING\n'
    assert list(missing_names(ast.parse(source))) == [(3, 'dualcam.data.schema.NOTHING')]
    assert list(missing_names(ast.parse(f'{source}def f(schema): pass\n'))) == []


def test_modules_are_imported_by_their_own_names():
    found = []
    for path in sources(*PROGRAMS):
        for module, alias, line in imports(parse(path)):
            is_reexport = path.endswith('__init__.py') and module.endswith(f'.{alias}')
            if alias and alias != ALIASES.get(module) and not is_reexport:
                found.append(f'{path}:{line} {module} as {alias}')
    assert found == [], 'a name that has to be changed is the wrong one'


def test_public_functions_have_types():
    found = [
        f'{path}:{function.lineno} {name}: {", ".join(missing)}'
        for path in sources(*TYPED)
        for name, function in public_functions(parse(path).body)
        if (missing := untyped_parts(name, function))
    ]
    assert found == []


def test_tests_lie_where_what_they_test_lies():
    """Each folder of tests corresponds to a folder of the programs."""
    found = {
        str(pathlib.PurePosixPath(path).parent)
        for path in sources('tests')
        if pathlib.PurePosixPath(path).name.startswith('test_')
    }
    folders = {folder.removeprefix('tests').lstrip('/') for folder in found} - {''}
    assert {folder for folder in folders if not (ROOT / folder).is_dir()} == set()


@pytest.mark.parametrize(
    'source, missing',
    [
        ('def f(a, *b, c=1, **d): pass', ['a', 'c', 'b', 'd', 'return']),
        ('def f(a: int, _) -> None: pass', []),
        ('class C:\n  def __init__(self, a: int): pass', []),
        ('class C:\n  def m(self, a) -> int: pass', ['a']),
        ('class C:\n  @staticmethod\n  def m(a) -> int: pass', ['a']),
    ],
)
def test_untyped_parts_are_found(source, missing):
    ((name, function),) = public_functions(ast.parse(source).body)
    assert untyped_parts(name, function) == missing


def test_private_functions_need_no_types():
    source = 'def _f(a): pass\nclass _C:\n  def m(self, a): pass\nclass C:\n  def _m(self, a): pass'
    assert list(public_functions(ast.parse(source).body)) == []


def test_documents_name_files_that_exist():
    """Paths with a folder, and the modules and files of tests that commands call."""
    found = []
    for path in [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]:
        text = path.read_text(encoding='utf-8')
        files = re.findall(r'(?:[\w-]+/)+[\w-]+\.(?:py|md|csv|toml)\b', text)
        modules = re.findall(rf'\b(?:{"|".join(PROGRAMS)})(?:\.[a-z_]+)+\b', text)
        found += [f'{path.name}: {name}' for name in files if is_ours(name) and not is_file(name)]
        found += [f'{path.name}: {name}' for name in modules if not is_module(name)]
    assert found == []


def is_ours(name):
    return name.split('/')[0] in (*PROGRAMS, 'docs')


def is_file(name):
    return (ROOT / name).is_file()


def is_module(name):
    """Whether a dotted name is a module, or a name in one."""
    places = [ROOT / name.replace('.', '/'), ROOT / name.rpartition('.')[0].replace('.', '/')]
    return any(place.is_dir() or place.with_suffix('.py').is_file() for place in places)


def test_names_that_do_not_exist_are_found():
    assert is_module('tests.proofs.kill') and is_module('dualcam.data.stores.open_store')
    assert not is_module('tests.kill.main') and not is_module('records.raw.read_frame')
    assert is_file('docs/reliability.md') and not is_file('dualcam/data/store.py')
    assert is_test('tests.records.test_verify.records') and not is_test('tests.helpers.goldens')
