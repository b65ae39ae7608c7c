"""What a run leaves to look at: TensorBoard's summaries, the projector's files, the report."""

import csv
import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from dualcam.reports import figures, run_page, samples, tensorboard

CLASSES = ('rain', 'dog bark', 'clock <tick>')


class Clips:
    """Stands in for `clip_sets.Clips`: 7 clips, classes 0, 0, 0, 1, 1, 2, 2."""

    def __init__(self):
        self.columns = {
            'label': np.array([0, 0, 0, 1, 1, 2, 2]),
            'teacher_logits': np.eye(3)[[0, 1, 0, 1, 1, 2, 0]],
        }

    def waveform(self, number):
        return np.sin(np.arange(22_050) * 0.01 * (number + 1)).astype(np.float32) * 256

    def images(self, number):
        images = np.zeros((12, 36, 48, 12), np.float32)
        images[number, 3 * number, 5, 0] = 9.0
        return images

    def picture(self, number, frame):
        assert frame == number  # the loudest one
        return np.full((480, 640, 3), 10 * number, np.uint8)


LOGITS = np.eye(3)[[0, 0, 1, 1, 1, 2, 1]] * 4.0


@pytest.fixture
def chosen():
    return samples.choose(Clips(), 5)


def test_samples_are_of_as_many_classes_as_can_be(chosen):
    assert [sample.number for sample in chosen] == [0, 3, 5, 1, 4]
    assert [sample.label for sample in chosen] == [0, 1, 2, 0, 1]
    assert chosen[1].teacher.argmax() == 1 and chosen[1].waveform.shape == (22_050,)
    assert chosen[1].overlay.shape == (360, 480, 3)
    assert np.all(chosen[1].overlay[300:, 300:] == 30)  # the video frame below the map
    assert samples.choose(None) == []


def test_an_epoch_is_written_with_names_answers_and_scores(chosen, tmp_path, summaries):
    board = tensorboard.Board(tmp_path, CLASSES, chosen)
    board.begin()
    board.after_epoch(1, Clips().columns['label'], LOGITS)
    board.end(LOGITS, {'class': ['a'] * 7, 'answer': ['b'] * 7, 'scenario': range(7)})
    found = {value.tag: value for value in summaries(tmp_path)}
    assert {
        'confusion matrix',
        'answers over acoustic images',
        'spectrograms/sample 1, rain',
        'sounds/sample 2, dog bark',
    } <= set(found)
    assert {f'precision and recall/{name}/pr_curves' for name in CLASSES} <= set(found)
    table = next(
        value
        for value in summaries(tmp_path)
        if value.tag.startswith('confusion table')
        and value.metadata.plugin_data.plugin_name == 'text'
    )
    text = table.tensor.string_val[0].decode()
    assert text == figures.confusion_table([[2, 1, 0], [0, 2, 0], [0, 1, 1]], CLASSES)
    assert '| rain | 2 | 1 | 0 | 0.667 |' in text
    assert board.caption(chosen[3], 0) == 'rain\nteacher: dog bark\nanswer: rain'
    with open(tmp_path / 'metadata.tsv', newline='') as file:
        rows = list(csv.reader(file, delimiter='\t'))
    assert rows[0] == ['class', 'answer', 'scenario'] and rows[7] == ['a', 'b', '6']
    np.testing.assert_allclose(np.loadtxt(tmp_path / 'embeddings.tsv'), LOGITS)
    assert 'embeddings.tsv' in (tmp_path / 'projector_config.pbtxt').read_text()


def test_a_quick_matrix_is_dark_where_the_answers_are():
    counts = np.array([[9, 0], [3, 1]])
    picture = figures.confusion_picture(counts, ('no', 'yes')).astype(int)
    cell = 30
    left, top = picture.shape[1] - 8 - 2 * cell, picture.shape[0] - 2 * cell
    corner = picture[top + 3 :: cell, left + 3 :: cell][:2, :2, 0]  # red, beside the digits
    np.testing.assert_allclose(corner, [[0, 255], [64, 191]], atol=1)


@pytest.fixture
def run_folder(chosen, tmp_path):
    """A finished run as far as its report looks at it."""
    history = [
        {
            'epoch': e,
            'train/total': 2.0 / (e + 1),
            'train/accuracy': 0.5,
            'validation/total': 1.5,
            'validation/accuracy': 0.4,
        }
        for e in range(3)
    ]
    for name, content in (
        (
            'run.json',
            {
                'classes': CLASSES,
                'origin': 'made <up>',
                'seed': 7,
                'commit': None,
                'params': {'network': 'hearnet', 'loop': {'epochs': 3}},
                'versions': {'keras': '3'},
            },
        ),
        (
            'metrics.json',
            {
                'best_epoch': 1,
                'validation_accuracy': 0.4,
                'training_clips': 70,
                'validation_clips': 7,
                'history': history,
            },
        ),
        ('answers.json', {'accuracy': 5 / 7, 'labels': [0, 1], 'answers': [0, 0]}),
        ('test_all.json', {'accuracy': 0.125, 'labels': [2, 1], 'answers': [2, 0]}),
    ):
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / 'saved_model').mkdir()
    samples.save(chosen, LOGITS, CLASSES, tmp_path / 'examples')
    return tmp_path


def test_the_report_has_all_of_a_run_in_one_page(run_folder):
    page = run_page.write(run_folder).read_text()
    for words in (
        'made &lt;up&gt;',
        'clock &lt;tick&gt;',
        '0.1250 (2 clips)',
        '2 of 3',
        'loop.epochs',
        'tensorflow/serving',
        'teacher: dog bark, answer: rain',
    ):
        assert words in page, words
    assert page.count('<audio') == 5 and page.count('data:image/png') == 2 + 2 * 5
    assert page.count('<polyline') == 4 and 'http' not in page.replace('http://www.w3', '')
    assert 'made <up>' not in page


def test_saved_samples_are_what_was_chosen(run_folder, chosen):
    entries = json.loads((run_folder / 'examples' / 'examples.json').read_text())
    assert [e['class'] for e in entries] == ['rain', 'dog bark', 'clock <tick>', 'rain', 'dog bark']
    assert [e['answer'] for e in entries] == [
        'rain',
        'dog bark',
        'clock <tick>',
        'rain',
        'dog bark',
    ]
    sound, rate_hz = soundfile.read(run_folder / 'examples' / entries[0]['sound'])
    assert rate_hz == 22_050 and np.corrcoef(sound, chosen[0].waveform)[0, 1] > 0.999
    with Image.open(run_folder / 'examples' / entries[0]['overlay']) as image:
        np.testing.assert_array_equal(np.asarray(image), chosen[0].overlay)


def test_a_run_without_validation_or_sound_has_a_report_too(run_folder):
    metrics = json.loads((run_folder / 'metrics.json').read_text())
    metrics |= {
        'validation_accuracy': None,
        'validation_clips': 0,
        'history': [
            {k: v for k, v in record.items() if 'validation' not in k}
            for record in metrics['history']
        ],
    }
    (run_folder / 'metrics.json').write_text(json.dumps(metrics))
    (run_folder / 'answers.json').unlink()
    (run_folder / 'examples' / 'examples.json').unlink()
    page = run_page.write(run_folder).read_text()
    assert page.count('<polyline') == 2 and '<audio' not in page and '0.1250' in page


def test_a_run_without_accuracy_has_a_chart_of_its_loss_alone(run_folder):
    metrics = json.loads((run_folder / 'metrics.json').read_text())
    metrics['history'] = [
        {k: v for k, v in record.items() if 'accuracy' not in k} for record in metrics['history']
    ]
    (run_folder / 'metrics.json').write_text(json.dumps(metrics))
    page = run_page.write(run_folder).read_text()
    assert 'aria-label="loss"' in page and 'aria-label="accuracy"' not in page
