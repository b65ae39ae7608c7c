"""Model cards: training data and scores accompany every export of a student."""

import json
import zipfile

import numpy as np
import pytest

import dualcam
from dualcam.cli import main
from dualcam.evaluation import saved_tests, uncertainty
from dualcam.export import model_cards
from dualcam.inference import students
from tests.helpers import made_up_runs, small_runs

METADATA = {
    'network': 'hearnet',
    'sample_rate_hz': 22_050,
    'seconds': 5,
    'samples': 110_250,
    'classes': list(made_up_runs.CLASSES),
    'data_set': 'toy',
    'trained_on': 'made up\n# not a heading',
    'embedding_layer': 'fc1',
    'versions': {'dualcam': '9.8.7', 'tensorflow': '2.99'},
}


@pytest.fixture
def run_folder(tmp_path):
    """A run's folder and its SavedModel, with only the files that a card reads."""
    folder = made_up_runs.write_run(tmp_path / 'run')
    described = json.loads((folder / 'run.json').read_text()) | {
        'kind': 'distillation',
        'records': 'digest0',
        'lists': {'training': {'records': 350, 'sha256': 'aa11'}},
    }
    described['params'] |= {'imitation': 0.5, 'temperature': 4.0, 'band_limited': True}
    (folder / 'run.json').write_text(json.dumps(described))
    assets = folder / 'saved_model' / '1' / 'assets'
    assets.mkdir(parents=True)
    (assets / 'metadata.json').write_text(json.dumps(METADATA))
    return folder


def test_a_card_says_what_a_run_and_its_export_know(run_folder):
    model_cards.renew_of_run(run_folder)
    card = (run_folder / 'saved_model/1/assets/README.md').read_text()
    for words in (
        '- data: toy: made up # not a heading\n',
        '`digest0`',
        '350 records, SHA-256 `aa11`',
        '70 for training, 7 for validation',
        'softened predictions (imitation 0.5, temperature 4)',
        'seed: 7',
        'one microphone at 22,050 Hz',
        'float32 [batch, 110250]: 5 s',
        'rain, dog bark, clock <tick>',
        '0.5000 (2 clips)',
        'it cannot say "none of them"',
        '- dualcam: 9.8.7\n- tensorflow: 2.99\n- keras: 3\n',
        'below 6.1 kHz',
    ):
        assert words in card, words
    assert [line for line in card.splitlines() if line.startswith('# ')] == [
        '# hearnet: a student of one microphone'
    ]


def test_a_card_is_renewed_with_the_scores_of_a_test(run_folder):
    assert 'test unseen' not in model_cards.of_saved_model(run_folder / 'saved_model' / '1')
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 3, (2, 30)).tolist()
    takes = [str(n // 3) for n in range(30)]
    (run_folder / 'test_unseen.json').write_text(
        json.dumps({'labels': labels, 'answers': answers, 'takes': takes})
    )
    model_cards.renew_of_run(run_folder)
    right = np.equal(labels, answers)
    sure = uncertainty.interval([uncertainty.Accuracy([(right, takes)])])
    card = model_cards.of_saved_model(run_folder / 'saved_model' / '1')
    assert (
        f'accuracy, test unseen: {right.mean():.4f} [{sure.low:.3f}, {sure.high:.3f}] '
        '(30 clips of 10 takes); in brackets the 95 % bootstrap interval over takes\n' in card
    )


def test_a_card_of_several_events_says_so(run_folder):
    assets = run_folder / 'saved_model/1/assets'
    (assets / 'metadata.json').write_text(json.dumps(METADATA | {'threshold': 0.25}))
    (run_folder / saved_tests.EVENTS.format('validation')).write_text(
        json.dumps({'mean_average_precision': 0.625, 'num_clips': 40})
    )
    card = model_cards.compose(assets.parent)
    assert 'mean average precision, validation: 0.6250 (40 clips)' in card
    assert (
        'full scale 1' in card
        and 'probability of at least 0.25' in card
        and 'none of them' not in card
    )


def test_an_export_outside_a_run_has_a_card_without_scores(run_folder, tmp_path):
    (run_folder / 'saved_model').rename(tmp_path / 'saved_model')
    card = model_cards.compose(tmp_path / 'saved_model' / '1')
    assert 'Unknown: it was exported' in card and 'digest0' not in card and 'data: toy' in card


@pytest.mark.slow
def test_a_trained_student_takes_its_card_along(tmp_path, capsys):
    """From `run.train` to a `.tflite` file, by the command."""
    folder = tmp_path / 'run'
    small_runs.REGIMES['supervised'](None, folder)
    place = folder / 'saved_model' / '1'
    card = (place / 'assets' / model_cards.FILE).read_text()
    answers = json.loads((folder / 'answers.json').read_text())
    share = np.mean(np.equal(answers['labels'], answers['answers']))
    assert f'accuracy, validation: {share:.4f} (2 clips of 2 takes)' in card
    assert answers['takes'] == ['class_0/data_006', 'class_1/data_007']
    assert f'- dualcam: {dualcam.__version__}\n' in card and 'seed: 0' in card
    assert f'`{json.loads((folder / "run.json").read_text())["records"]}`' in card
    want = students.open_listener(place).listen('logits')(np.ones((1, 44_100), np.float32))
    (place / 'assets' / model_cards.FILE).unlink()  # as from a version that wrote none
    arguments = ['tflite', f'--model={folder}', f'--out={tmp_path}', '--kinds=float32']
    assert main.main(arguments) == 0, capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / 'hearnet.float32.tflite') as archive:
        appended = archive.read(model_cards.FILE).decode()
        assert archive.testzip() is None
    assert appended.startswith(card) and 'A conversion to TFLite, float32' in appended
    for source in (place, tmp_path / 'hearnet.float32.tflite'):
        got = students.open_listener(source).listen('logits')(np.ones((1, 44_100), np.float32))
        np.testing.assert_allclose(got, want, atol=1e-3 * np.abs(want).max())
