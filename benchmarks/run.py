"""Measures how fast the parts are on this machine: one command, one table.

    python benchmarks/run.py --out=DIR [--only=networks,records] [--publish=docs]

Each row is a rate or a size, the median of three runs on synthetic data; the machine and the
versions are stated above the table. Peers (extra `bench`: torch, acoular, librosa,
pyroomacoustics) are measured alternately with ours in the same process; without them their cells
are blank. The authors' programs were measured on another day, on 2 processors. Writes
<out>/benchmarks.md, .json and .png, and prints the tables. `--publish` copies the JSON to a folder,
as performance.json, from which `make results` writes the tables of docs/performance.md.
"""

import dataclasses
import json
import os
import pathlib
import platform
import sys
import tempfile
import time
import traceback

# Import from the checkout's root instead of this folder, whose modules are `benchmarks.NAME`.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its startup is verbose

import matplotlib
import numpy as np
from absl import app, flags

from benchmarks import page
from dualcam.files import atomic, progress_bars
from experiments.shared import provenance

PARTS = tuple(page.PARTS)
_VERSIONS = (
    'tensorflow',
    'keras',
    'numpy',
    'scipy',
    'torch',
    'acoular',
    'librosa',
    'pyroomacoustics',
)


def main(_):
    """Runs the command."""
    options = flags.FLAGS
    unknown = sorted(set(options.only) - set(PARTS))
    if unknown:
        raise ValueError(
            f'--only={",".join(options.only)}: {unknown[0]!r} is none of {", ".join(PARTS)}'
        )
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    rows, failed = [], []
    started = time.monotonic()
    for part, measure_rows in progress_bars.bar(_measurements(options.only), unit='part'):
        try:
            with tempfile.TemporaryDirectory() as folder:
                for row in measure_rows(pathlib.Path(folder)):
                    rows.append((part, row))
                    progress_bars.write(
                        f'{part}: {row.name}: {row.value:.4g} {row.unit}', sys.stdout
                    )
        except Exception:
            # Keep the other parts' results.
            progress_bars.write(f'{part}: {traceback.format_exc()}', sys.stderr)
            failed.append(part)
    content = {
        'machine': _machine(),
        'commit': provenance.commit(),
        'minutes': round((time.monotonic() - started) / 60),
        'rows': [{'part': part} | dataclasses.asdict(row) for part, row in rows],
    }
    # The numbers first: they took a quarter of an hour.
    saved = json.dumps(content, indent=1) + '\n'
    (out / 'benchmarks.json').write_text(saved, encoding='utf-8')
    text = page.block(content)
    (out / 'benchmarks.md').write_text(text, encoding='utf-8')
    chart([row for _, row in rows], content['machine'], out / 'benchmarks.png')
    curves = page.curves([row for _, row in rows])
    if curves:
        page.growth_figure(curves).savefig(out / 'growth.png', dpi=110)
    growth = f', {out}/growth.png' if curves else ''
    print(f'\n{text}written: {out}/benchmarks.md, .json, .png{growth}')
    if options.publish:
        copy = pathlib.Path(options.publish) / 'performance.json'
        atomic.write_text(copy, saved)
        print(f'written: {copy}; make results renews docs/performance.md from it')
    if failed:
        sys.exit(f'failed, so missing from the table: rows of {", ".join(failed)}')


def chart(rows, machine, path):
    """A bar chart of speed-ups over the authors' programs and the peers."""
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    bars = [
        (f'{row.name}: {who}', ratio)
        for row in rows
        for who, ratio in (
            ('authors', row.value / row.authors if row.authors else None),
            (row.peer, row.ratio),
        )
        if ratio and row.unit.endswith(('/s', 'time'))
    ]
    figure, axes = plt.subplots(figsize=(11, 1.6 + 0.32 * len(bars)), layout='constrained')
    axes.barh([name for name, _ in bars], [ratio - 1.0 for _, ratio in bars], left=1.0, color='C0')
    axes.axvline(1.0, color='0.3', linewidth=0.8)
    axes.invert_yaxis()
    axes.set(xscale='log', xlabel='times as fast')
    axes.xaxis.set_major_formatter('{x:g}')
    axes.set_title(machine, fontsize=8, wrap=True)
    axes.grid(axis='x', alpha=0.3, which='both')
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _measurements(only):
    """[(part, function of a scratch folder that yields rows)]"""
    from benchmarks import (
        array_maps,
        array_processing,
        correspondence,
        growth,
        memory,
        networks,
        records,
        serving,
    )

    found = {
        'machine': (_limits,),
        'array': (
            array_processing.beamform,
            array_processing.cepstral_images,
            array_processing.simulator,
            array_processing.simulated_takes,
            array_maps.live_maps,
            array_maps.live_view,
        ),
        'records': (records.conversion, records.loading),
        'networks': (networks.steps, networks.pipelines, networks.resnet_features),
        'correspondence': (correspondence.losses, correspondence.retrieval_time),
        'serving': (serving.starting, serving.embedding, serving.serving),
        'memory': (memory.conversion, memory.epoch),
        'growth': (
            growth.microphone_counts,
            growth.directions,
            growth.record_counts,
            growth.file_counts,
            growth.class_counts,
            growth.clip_counts,
            growth.frequencies,
            growth.batches,
            growth.parts_of_a_step,
        ),
    }
    return [(part, one) for part in only for one in found[part]]


def _limits(_):
    """The machine's own limits: matrix products and GZIP."""
    import gzip

    from benchmarks import measure

    yield measure.row('matrix product of 2,048 x 2,048 floats', 'GFLOP/s', measure.matrix_rates())
    noise = np.random.default_rng(0).standard_normal(2**21).astype(np.float32).tobytes()
    for level in (1, 9):

        def pack(level=level):
            gzip.compress(noise, level)
            return len(noise) / 1e6

        yield measure.row(f'GZIP level {level} of noise, one process', 'MB/s', *measure.rates(pack))
    packed = gzip.compress(noise, 1)

    def unpack():
        gzip.decompress(packed)
        return len(noise) / 1e6

    yield measure.row('decompressing it', 'MB/s', *measure.rates(unpack))


def _machine():
    from importlib import metadata

    versions = []
    for package in _VERSIONS:
        try:
            versions.append(f'{package} {metadata.version(package)}')
        except metadata.PackageNotFoundError:
            continue
    return (
        f'{os.cpu_count()} processors ({_processor()}), {time.strftime("%Y-%m-%d")}, Python '
        f'{platform.python_version()}, {", ".join(versions)}'
    )


def _processor():
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


if __name__ == '__main__':
    flags.DEFINE_string('out', None, 'Folder to write the table to.', required=True)
    flags.DEFINE_string('publish', None, 'Folder for a copy of the JSON, performance.json.')
    flags.DEFINE_list('only', list(PARTS), f'Some of {", ".join(PARTS)}.')
    app.run(main)
