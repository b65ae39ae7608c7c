"""Kills conversions at chosen moments, runs them again, and compares with undisturbed ones.

    python -m tests.proofs.kill --count=200 [--seed=0]

Conversions run in separate processes and are killed by SIGKILL: just before a file operation
(creating a folder, opening, writing, flushing, renaming, removing), in the middle of it or just
after it; every fourth one at a random time. One in three is killed a second time while it resumes.
All converters take turns. Every record left by a killed conversion must be complete; after the last
call all files must equal those of an undisturbed conversion, including every line of the manifest,
and no other files may be left.
"""

import os
import pathlib
import signal
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its startup is verbose

import numpy as np
from absl import app, flags

from dualcam.cli import errors
from dualcam.data import schema
from dualcam.files import progress_bars
from records import convert_acivw, convert_avia, convert_sounds, convert_tagging, manifest
from tests.helpers import memory, small_raw


def _avia(raw, out):
    convert_avia.convert(
        raw / 'avia/matfiles',
        raw / 'avia/sync',
        out,
        [schema.ACOUSTIC, schema.AUDIO],
        sequence_seconds=3,
    )


def _acivw(raw, out):
    convert_acivw.convert(raw / 'acivw', out, [schema.ACOUSTIC])


def _sounds(raw, out):
    convert_sounds.convert(raw / 'sounds', out)


def _tagging(raw, out):
    for split in ('training', 'testing'):
        convert_tagging.convert(
            raw / 'clips/list.csv',
            split,
            raw / 'clips/audio',
            out,
            raw / 'clips/frames',
            clip_seconds=1,
        )


CONVERSIONS = {'avia': _avia, 'acivw': _acivw, 'sounds': _sounds, 'tagging': _tagging}


class Operations:
    """Counts a process's file operations and kills it at one of them.

    Args:
        fatal: number of the operation, from 1; 0 kills at none.
        begun: whether the kill comes after the operation has started: half of its data is written,
            or it is done.
    """

    def __init__(self, fatal=0, begun=False):
        self.count, self._fatal, self._begun = 0, fatal, begun

    def watch(self):
        """Replaces the file operations in this process."""
        for name in ('mkdir', 'open', 'fsync', 'replace', 'unlink', 'ftruncate'):
            setattr(os, name, self._watched(getattr(os, name)))
        write, write_text = os.write, pathlib.Path.write_text
        os.write = self._watched(
            write, lambda descriptor, data: write(descriptor, data[: len(data) // 2])
        )
        pathlib.Path.write_text = self._watched(
            write_text,
            lambda path, text, **options: write_text(path, text[: len(text) // 2], **options),
        )

    def _watched(self, operation, half=None):
        def watched(*arguments, **options):
            self.count += 1
            if self.count == self._fatal:
                if self._begun:
                    (half or operation)(*arguments, **options)
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*arguments, **options)

        return watched


def run(convert, raw, out, operations=None, seconds=None):
    """Converts in a separate process.

    Args:
        convert: one of `CONVERSIONS`.
        raw, out: folders.
        operations: an `Operations` that counts, and kills it.
        seconds: time after which it is killed.

    Returns:
        The process's exit code: 0, 1 for an error, or -SIGKILL.
    """
    child = os.fork()
    if not child:
        code = 1
        try:
            progress_bars.hide()
            if operations:
                operations.watch()
            convert(raw, out)
            code = 0
        except BaseException as error:
            print(f'{type(error).__name__}: {error}', file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def contents(folder):
    """{path: bytes} of a conversion's files; the manifest's lines sorted by record."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }
    if manifest.MANIFEST_FILE in found:
        found[manifest.MANIFEST_FILE] = sorted(found[manifest.MANIFEST_FILE].splitlines(True))
    return found


def differences(got, want):
    """Names of files that differ."""
    return sorted(path for path in got.keys() | want.keys() if got.get(path) != want.get(path))


def count_operations(convert, raw, out):
    """Converts undisturbed; returns the number of file operations."""
    reading, writing = os.pipe()
    operations = Operations()

    def counted(raw, out):
        convert(raw, out)
        os.write(writing, str(operations.count).encode())

    assert run(counted, raw, out, operations) == 0
    os.close(writing)
    with open(reading, 'rb') as file:
        return int(file.read())


def main(_):
    """Runs the command."""
    rng = np.random.default_rng(flags.FLAGS.seed)
    with memory.folder() as folder:  # a kill cannot tell it from a disk
        folder = pathlib.Path(folder)
        raw = folder / 'raw'
        for name, write in (
            ('avia', small_raw.write_avia),
            ('acivw', small_raw.write_acivw),
            ('sounds', small_raw.write_sounds),
            ('clips', small_raw.write_clips),
        ):
            write(raw / name, rng)
        undisturbed, num_operations, lasts_s = {}, {}, {}
        for name, convert in CONVERSIONS.items():
            num_operations[name] = count_operations(convert, raw, folder / name)
            undisturbed[name] = contents(folder / name)
            started = time.perf_counter()
            run(convert, raw, folder / f'{name}_timed')
            lasts_s[name] = time.perf_counter() - started
        wrong, kills, early = [], 0, 0
        for number in progress_bars.bar(range(flags.FLAGS.count), unit='kill'):
            name = list(CONVERSIONS)[number % len(CONVERSIONS)]
            convert, out = CONVERSIONS[name], folder / f'killed_{number}'
            for _ in range(2 if rng.random() < 1 / 3 else 1):
                if number // len(CONVERSIONS) % 4 == 3:
                    how = {'seconds': rng.uniform(0, lasts_s[name])}
                else:
                    how = {
                        'operations': Operations(
                            rng.integers(1, num_operations[name] + 1), rng.random() < 0.5
                        )
                    }
                kills += run(convert, raw, out, **how) == -signal.SIGKILL
                there = contents(out) if out.exists() else {}
                records = {
                    path: data
                    for path, data in there.items()
                    if path.endswith(schema.RECORD_SUFFIX)
                }
                early += (
                    0
                    < len(records)
                    < sum(path.endswith(schema.RECORD_SUFFIX) for path in undisturbed[name])
                )
                wrong += [
                    f'{name}, kill {number}: {path} is not whole'
                    for path, data in records.items()
                    if data != undisturbed[name].get(path)
                ]
            if run(convert, raw, out):
                wrong.append(f'{name}, kill {number}: does not go on')
            wrong += [
                f'{name}, kill {number}: {path} differs after a restart'
                for path in differences(contents(out), undisturbed[name])
            ]
        for line in wrong:
            print(line)
        print(
            f'{flags.FLAGS.count} conversions killed {kills} times, {early} times with some of '
            f'their records written: {len(wrong)} differences from undisturbed ones'
        )
    return 1 if wrong else 0


if __name__ == '__main__':
    flags.DEFINE_integer('count', 200, 'Conversions to kill.', lower_bound=1)
    flags.DEFINE_integer('seed', 0, 'Of the moments and the data.')
    app.run(errors.clean_errors(main))
