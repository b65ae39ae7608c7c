"""Memory of long jobs: an epoch over as many records as AVIA has, and a conversion."""

import multiprocessing
import pathlib
import resource
import threading
import time

from benchmarks import measure, records

_AVIA_RECORDS = 11_340  # WACV 2020: 378 sequences of 30 s
_MIB = 2**20


def epoch(folder):
    """Memory of one epoch of 1 s acoustic images and one of 5 s sound, from records to batches.

    A few records on disk have many names. Cached copies are memory-mapped files, whose pages the
    system can reclaim, so only memory that the process itself holds is counted.
    """
    paths = records.write_seconds(folder / 'few', sequences=3, seconds=30)
    names = records.link_many(paths, folder / 'many', _AVIA_RECORDS, seconds=30)
    for modality, kind, seconds in (('acoustic', 'acoustic', 1), ('audio', 'spectrogram', 5)):
        held, rate = _in_a_child(
            _one_epoch, names, folder / f'cache-{modality}', modality, kind, seconds
        )
        what = f'{_AVIA_RECORDS:,} records, one epoch of {seconds} s {kind} clips'
        yield measure.Row(f'{what}: memory held', held, 'MiB', 'below 6,144')
        yield measure.Row(f'{what}: rate, including reading and packing', rate, 'clips/s')


def conversion(folder):
    """Peak memory of a convert_avia process, all modalities, two processes."""
    raw_folder = records.raw_avia(folder / 'raw', sequences=4, seconds=10)
    largest, _ = _in_a_child(_convert, raw_folder, folder / 'records')
    yield measure.Row(
        'convert_avia, all modalities: memory of the largest process', largest, 'MiB', 'below 1,024'
    )


def _in_a_child(work, *arguments):
    context = multiprocessing.get_context('spawn')
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_report, args=(send, work, arguments))
    child.start()
    send.close()
    found = receive.recv()
    child.join()
    return found


def _report(send, work, arguments):
    send.send(work(*arguments))


def _one_epoch(names, cache, modality, kind, seconds):
    """(peak MiB held, clips/s)"""
    from dualcam.data import stores
    from dualcam.data.clips import record_clips
    from dualcam.data.packers import record_packer

    with _Watch() as watch:
        started = time.perf_counter()
        held = stores.open_store(names, record_packer.RecordPacker([modality]), cache)
        rows = record_clips.sequence_rows(held, names, 30)
        windows = record_clips.training_windows(
            rows, record_clips.ClipParams(30, seconds, 30 // seconds), 0
        )
        made, seen = record_clips.cut(held, windows, [kind]), 0
        for batch in made.batches(32, (0, 0)):
            seen += len(batch['label'])
        rate = seen / (time.perf_counter() - started)
    return watch.largest_mib, rate


def _convert(raw_folder, out):
    """(MiB of the largest process, None)"""
    from dualcam.data import schema
    from records import convert_avia

    convert_avia.convert(
        raw_folder / 'matfiles',
        raw_folder / 'sync',
        out,
        schema.modalities_by_number((0, 1, 2)),
        10,
        compression_level=1,
        processes=2,
    )
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / _MIB, None


class _Watch:
    """Measures the peak memory that this process itself holds inside the `with` block."""

    def __enter__(self):
        self.largest_mib, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _follow(self):
        while not self._done.wait(0.1):
            self.largest_mib = max(self.largest_mib, _held_mib())


def _held_mib():
    """Anonymous and shared memory, without mapped files."""
    fields = dict(
        line.split(':', 1)
        for line in pathlib.Path('/proc/self/status').read_text().splitlines()
        if ':' in line
    )
    return sum(int(fields[name].split()[0]) for name in ('RssAnon', 'RssShmem')) * 1024 / _MIB
