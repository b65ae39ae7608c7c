"""AAAI 2021, Tables 1 - 6: audio tagging, alone, from a teacher, and by mutual learning.

    python experiments/run_aaai2021.py --table=1|..|6 --records=DIR --out=DIR [--preset=demo]
        [--seeds=0,1,2] [--vgg16=FILE] [--soundnet8=FILE] [--vggish=CHECKPOINT]

Records are those of records.convert_tagging. Without --vgg16 the frames are seen by a small network
that learns from the training clips, which titles say; without --soundnet8 and --vggish rows with
their features stay blank, and Table 6's student hears log-mel alone. Three seeds are the paper's;
each is judged by itself, and so are their averaged predictions. The paper preset was not run: its
data are given out on request only.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # run from the checkout

from absl import flags

from experiments.shared import command


def _body(options, _, seeds):
    from experiments.aaai2021 import comparison, presets, runs, tables
    from experiments.shared import comparison_pages, parallel

    number = int(options.table)
    weights = runs.Weights(options.vgg16, options.soundnet8, options.vggish)
    lines = tables.specs(number, weights)
    asked = {}
    for line in lines:
        for run, test in line.wanted:
            asked.setdefault(run, {})[test] = None
    wanted = list(asked)
    preset = command.chosen_preset(options, presets.preset_named(options.preset))
    workshop = runs.open_workshop(
        options.records, options.out, preset, wanted, weights, options.profile, options.max_bad
    )
    command.list_skipped(workshop.store)
    parallel.train_ahead(
        workshop,
        [
            [(run, list(asked.get(run, [runs.TEST])), seed) for run in piece]
            for seed in seeds
            for piece in _pieces(wanted)
        ],
        options.jobs,
    )
    rows, precisions = tables.fill(lines, number, workshop, seeds)
    table = tables.table(
        number,
        rows,
        workshop.info,
        workshop.note,
        f'Test clips: {len(workshop.source.labels)}. Mean ± deviation over {len(seeds)} '
        f'seed{"s" if len(seeds) > 1 else ""}, each judged by itself, in brackets 95 % intervals '
        'by bootstrap over clips and seeds, and scores of the averaged predictions. In italics '
        'what the paper printed of its data; a blank was not measured.',
        {'preset': preset.name, 'records': workshop.store.digest, 'average_precision': precisions},
    )
    print('\n' + command.write(table, options, seeds, workshop.store.digest))
    written = command.written(table, options)
    if number in (2, 3):
        path = pathlib.Path(options.out) / f'{table.name}_events.png'
        tables.write_events(precisions, workshop.info.classes, workshop.note, path)
        written += f', {path.name}'
    compared = comparison.gather(number, lines, rows, precisions, workshop, seeds)
    page = comparison_pages.write(table, compared, options.out)
    print(f'{written}; the runs side by side: {page}')
    print(f'runs: {options.out}/runs; curves: make tensorboard LOGS={options.out}/runs')


def _pieces(wanted):
    """Runs that share a teacher together, the teacher first; the longest piece first."""
    pieces = {}
    for run in wanted:
        key = run.teacher or run
        piece = pieces.setdefault(key, [key] if key in wanted else [])
        if run not in piece:
            piece.append(run)
    alone = [piece for piece in pieces.values() if piece[0].method != 'mutual' and len(piece) == 1]
    mutual = [piece for piece in pieces.values() if piece[0].method == 'mutual']
    return [*(piece for piece in pieces.values() if len(piece) > 1), *mutual, *alone]


if __name__ == '__main__':
    flags.DEFINE_enum('table', '3', ['1', '2', '3', '4', '5', '6'], 'Which one.')
    flags.DEFINE_string('vgg16', None, 'Weights of keras.applications.VGG16 with its top (.h5).')
    flags.DEFINE_string('soundnet8', None, 'SoundNet-8, as its authors published it (.t7).')
    flags.DEFINE_string('vggish', None, 'VGGish, as its authors published it (checkpoint).')
    command.start(_body, jobs=True)
