"""Kills training with SIGKILL again and again: does it end like a run that was never stopped?

    python -m tests.proofs.kill_training --kills=50 [--seed=0]

Runs of every regime (labels, with dropout; a teacher's predictions, which are computed too; video
and a teacher's features, without labels; two networks that learn from each other; one tagging
network) are trained once undisturbed, with validation, TensorBoard, export and report. Then
identical runs are killed and restarted until they finish; every other kill comes at a write below
the run's folder, the rest after a time, both chosen by the seed. The results must be bit-identical:
weights, optimizer state, curves, TensorBoard events, predictions, exported student, and the set of
files. Only rates (clips/s) may differ.
"""

import tempfile

import numpy as np
from absl import app, flags

from tests.helpers import killed_runs, small_runs


def main(_):
    """Runs the command."""
    options, rng = flags.FLAGS, np.random.default_rng(flags.FLAGS.seed)
    with tempfile.TemporaryDirectory() as scratch:
        killer, wanted, writes, lasts_s = killed_runs.Killer(scratch), {}, {}, {}
        killer.train('visual', 'first')  # loads TensorFlow
        for regime in small_runs.REGIMES:
            name = f'undisturbed_{regime}'  # a name that occurs in no result
            _, writes[regime], lasts_s[regime] = killer.train(regime, name)
            wanted[regime] = killer.left(name)
            print(
                f'{regime}, undisturbed: {writes[regime]} writes, {lasts_s[regime]:.1f} s, '
                f'{len(wanted[regime])} results',
                flush=True,
            )
        kills, runs, unequal = dict.fromkeys(small_runs.REGIMES, 0), 0, 0
        while sum(kills.values()) < options.kills:
            regime = list(small_runs.REGIMES)[runs % len(small_runs.REGIMES)]
            name, ended = f'killed_{runs:03d}', False
            while not ended:
                number, when = sum(kills.values()), {}
                if number < options.kills:
                    when = (
                        {'write': int(rng.integers(1, writes[regime] + 1))}
                        if number % 2 == 0
                        else {'after_s': float(rng.uniform(0, lasts_s[regime]))}
                    )
                ended, *_ = killer.train(regime, name, killed_runs.Kill(**when))
                kills[regime] += not ended
            runs += 1
            different = killed_runs.differences(killer.left(name), wanted[regime])
            unequal += bool(different)
            print(
                f'{name}: {regime}, {sum(kills.values())} kills so far; '
                + (f'DIFFERENT: {different[:5]}' if different else 'equal'),
                flush=True,
            )
    print(
        f'{sum(kills.values())} kills ({", ".join(f"{n} {name}" for name, n in kills.items())}), '
        f'{runs} runs, {unequal} not equal to the undisturbed one'
    )
    return int(unequal > 0)


if __name__ == '__main__':
    flags.DEFINE_integer('kills', 50, 'How many processes are killed.', lower_bound=1)
    flags.DEFINE_integer('seed', 0, 'Chooses when.')
    app.run(main)
