"""AAAI 2021, Tables 1 - 6: audio tagging alone, with a teacher, and by mutual learning.

    python experiments/run_aaai2021.py --table=1|..|6 --records=DIR --out=DIR [--preset=demo]
        [--seeds=0,1,2] [--vgg16=FILE] [--soundnet8=FILE] [--vggish=CHECKPOINT]

Records come from records.convert_tagging. Without --vgg16 a small network trained on the training
clips provides the frames' features, as titles say; without --soundnet8 and --vggish rows with their
features stay blank, and Table 6's student uses log-mel only. The paper has three seeds; each is
scored separately, and so are their averaged predictions. The paper preset was not run: its data are
only available on request.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # run from the checkout

from absl import flags

from experiments.shared import command


def _body(options, _, seeds, cluster):
    from experiments.aaai2021 import comparison, presets, runs, tables
    from experiments.shared import comparison_pages, parallel, workers

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
    if workers.follow(workshop):
        return
    parallel.train_ahead(
        workshop,
        [
            [(run, list(asked.get(run, [runs.TEST])), seed) for run in piece]
            for piece in _pieces(wanted)
            for seed in seeds
        ],
        options.jobs,
        cluster,
    )
    rows, precisions = tables.fill(lines, number, workshop, seeds)
    table = tables.table(
        number,
        rows,
        workshop.info,
        workshop.note,
        f'Test clips: {len(workshop.source.labels)}. Mean ± deviation over {len(seeds)} '
        f'seed{"s" if len(seeds) > 1 else ""}, each scored separately, with 95 % bootstrap '
        'intervals over clips and seeds in brackets, and scores of the averaged predictions. '
        "Italics: published values for the paper's data; a blank was not measured.",
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
    print(f'{written}; comparison of the runs: {page}')
    print(f'runs: {options.out}/runs; curves: make tensorboard LOGS={options.out}/runs')


def _pieces(wanted):
    """Runs grouped by teacher, the teacher first; the longest group first."""
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
    flags.DEFINE_enum('table', '3', ['1', '2', '3', '4', '5', '6'], 'Number of the table.')
    flags.DEFINE_string('vgg16', None, 'Weights of keras.applications.VGG16 with its top (.h5).')
    flags.DEFINE_string('soundnet8', None, 'SoundNet-8, as its authors published it (.t7).')
    flags.DEFINE_string('vggish', None, 'VGGish, as its authors published it (checkpoint).')
    command.start(_body, jobs=True, on_cluster=True)
