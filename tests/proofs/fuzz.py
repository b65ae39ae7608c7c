"""Damages thousands of files: each must be read correctly or refused with a clear error.

    python -m tests.proofs.fuzz --inputs=5000 [--out=DIR]

Covers records, lists, manifests, .mat, .npy, .dc, pictures, .t7 and WAV files, and the served WAV
decoder. One child process reads them, with 2 s of CPU time and 1 GiB for each; a crash, a hang or
any other error is a failure, which is printed with its number and copied to --out. So is an
unreadable record in which `records.verify` finds nothing wrong. The seed and the number recreate
the file (--first, --inputs=1).
"""

import collections.abc
import dataclasses
import importlib
import multiprocessing
import os
import pathlib
import resource
import shutil
import signal
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its startup is verbose

import numpy as np
from absl import app, flags

from tests.helpers import mutations

PROCESSOR_S = 2.0  # for one file
_MEMORY_BYTES = 1 << 30  # for one file
_SILENT_S = 1800  # after which a child counts as lost
_REBUILT_SHARE = 0.8  # of files whose kind can be damaged below its checksums


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: of the file to damage; its folder contains the files it refers to.
        seeds: function of the empty folder, which may fill it: whole files, a list of bytes.
        read: function of the path; checks what it gets, and returns False for nothing.
        share: of all inputs, relative to the others.
        errors: what a damaged file may raise.
        names_file: whether the message has the file's name in it.
        rebuild: function of a seed and a generator that damages what the bytes mean.
    """

    name: str
    seeds: collections.abc.Callable
    read: collections.abc.Callable
    share: int = 1
    errors: tuple = (ValueError,)
    names_file: bool = True
    rebuild: collections.abc.Callable | None = None


@dataclasses.dataclass(frozen=True)
class Failure:
    """A file that is neither read nor refused as it should be."""

    number: int
    kind: str
    what: str


class Corpus:
    """Damaged files by number, the same for the same seed.

    Args:
        kinds: {name: `Kind`}.
        scratch: an empty folder.
        seed: of all files.
    """

    def __init__(self, kinds, scratch, seed=0):
        self._kinds, self._names, self._seed = kinds, list(kinds), seed
        self._shares = np.array([kind.share for kind in kinds.values()], float)
        self._paths, self._seeds = {}, {}
        for name, kind in kinds.items():
            path = pathlib.Path(scratch) / name / kind.name
            path.parent.mkdir(parents=True)
            self._paths[name], self._seeds[name] = path, kind.seeds(path.parent)
        self._others = [seeds[0] for seeds in self._seeds.values()]

    def whole(self):
        """Yields (kind's name, path of a file that is not damaged)."""
        for name, seeds in self._seeds.items():
            for data in seeds:
                yield name, self.put(name, data)

    def damaged(self, number):
        """(kind's name, path) of damaged file `number`."""
        rng = np.random.default_rng([self._seed, number])
        name = self._names[rng.choice(len(self._names), p=self._shares / self._shares.sum())]
        rebuild, seeds = self._kinds[name].rebuild, self._seeds[name]
        data = seeds[rng.integers(len(seeds))]
        if rebuild and rng.random() < _REBUILT_SHARE:
            data = rebuild(data, rng)
        else:
            data = mutations.mutate(data, rng, self._others)
        return name, self.put(name, data)

    def put(self, name, data):
        """Writes bytes to the place of a file of this kind; returns its path."""
        self._paths[name].write_bytes(data)
        return self._paths[name]


def judge(kind, path):
    """The outcome for a file: 'read', 'refused', or what is wrong with how it is read."""
    try:
        return 'read' if kind.read(path) else 'refused'
    except kind.errors as error:
        cause = error
        while cause is not None:
            # Compared by name, since TensorFlow may not be imported.
            if isinstance(cause, MemoryError) or type(cause).__name__ == 'ResourceExhaustedError':
                return f'asks for too much memory: {_short(error)}'
            cause = cause.__cause__ or cause.__context__
        if kind.names_file and path.name not in str(error):
            return f'refused without its name: {_short(error)}'
        return 'refused'
    except BaseException as error:  # any other error is what this program looks for
        return f'raises {_short(error)}'


def run(numbers, seed, out, module, names=None, processor_s=PROCESSOR_S):
    """Reads damaged files in child processes.

    Args:
        numbers: of the files, a range.
        seed: of them.
        out: folder for copies of those that fail.
        module: name of the Python module that has `KINDS`, {name: `Kind`}.
        names: of the kinds; default all.
        processor_s: CPU time that a file may take.

    Returns:
        ({kind: {'read' | 'refused': count}}, list of `Failure`s).
    """
    counts, failures, left = {}, [], list(numbers)
    # Otherwise the child reserves address space for each of its threads, which is not memory.
    os.environ['MALLOC_ARENA_MAX'] = '2'
    context = multiprocessing.get_context('spawn')
    while left:
        with tempfile.TemporaryDirectory() as scratch:
            here, there = context.Pipe(duplex=False)
            child = context.Process(
                target=_read_all,
                args=(left, seed, scratch, pathlib.Path(out), module, names, processor_s, there),
            )
            child.start()
            there.close()
            lost = _listen(here, left, counts, failures)
            if child.is_alive():
                child.join(_SILENT_S if lost is None else 0)
                child.kill()
            child.join()
            if lost is not None:
                number, kind = lost
                if kind is None:
                    raise RuntimeError(f'the child ended with {child.exitcode} before any file')
                failures.append(
                    Failure(
                        number,
                        kind,
                        f'takes more than {processor_s:g} s'
                        if child.exitcode == -signal.SIGPROF
                        else f'ends the process with {child.exitcode}',
                    )
                )
    return counts, failures


def _listen(pipe, left, counts, failures):
    """Takes what a child says; (number, kind) of what it was lost with, or None at its end."""
    number, kind, verdict = left[0], None, None
    while left:
        try:
            if not pipe.poll(_SILENT_S):
                break
            number, kind, verdict = pipe.recv()
        except EOFError:
            break
        if verdict is None:  # it has started
            continue
        left.remove(number)
        if verdict in ('read', 'refused'):
            counts.setdefault(kind, {'read': 0, 'refused': 0})[verdict] += 1
        else:
            failures.append(Failure(number, kind, verdict))
    if not left or verdict is not None:
        return None
    left.remove(number)
    return number, kind


def _read_all(numbers, seed, scratch, out, module, names, processor_s, pipe):
    """The work of a child process. A copy of each file exists until it is known not to fail."""
    kinds = importlib.import_module(module).KINDS
    corpus = Corpus({name: kinds[name] for name in names or kinds}, scratch, seed)
    for name, path in corpus.whole():  # traces, and loads libraries
        judge(kinds[name], path)
    out.mkdir(parents=True, exist_ok=True)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    for number in numbers:
        name, path = corpus.damaged(number)
        copy = shutil.copy(path, out / f'{number}-{name}-{path.name}')
        pipe.send((number, name, None))
        pages = int(pathlib.Path('/proc/self/statm').read_text().split()[0])
        limit = pages * resource.getpagesize() + _MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
        signal.setitimer(signal.ITIMER_PROF, processor_s)  # its signal ends the process
        verdict = judge(kinds[name], path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        if verdict in ('read', 'refused'):
            os.remove(copy)
        pipe.send((number, name, verdict))
    pipe.close()


def _short(error):
    text = repr(error)
    return text if len(text) < 300 else f'{text[:150]} ... {text[-150:]}'


def main(_):
    """Runs the command."""
    options = flags.FLAGS
    numbers = range(options.first, options.first + options.inputs)
    counts, failures = run(
        numbers, options.seed, options.out, 'tests.proofs.fuzz_kinds', options.kinds or None
    )
    print('| kind | read | refused |\n|---|---|---|')
    for kind, found in sorted(counts.items()):
        print(f'| {kind} | {found["read"]} | {found["refused"]} |')
    for failure in failures:
        print(f'FAILURE {failure.number}: {failure.kind} {failure.what}')
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f'{len(numbers)} files, {spent.ru_utime + spent.ru_stime:.0f} s of processor time, '
        f'{len(failures)} failures' + (f', see {options.out}' if failures else '')
    )
    return int(bool(failures))


if __name__ == '__main__':
    flags.DEFINE_integer('inputs', 5000, 'How many damaged files.', lower_bound=1)
    flags.DEFINE_integer('first', 0, 'Number of the first one.', lower_bound=0)
    flags.DEFINE_integer('seed', 0, 'Of all of them.')
    flags.DEFINE_list('kinds', [], 'Of files; default all, see fuzz_kinds.py.')
    flags.DEFINE_string('out', 'work/fuzz', 'Where files go that fail.')
    app.run(main)
