"""A run's reports: TensorBoard's summaries, the projector's files, the report page."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from dualcam.evaluation import metrics
from dualcam.reports import figures, samples, tensorboard
from tests.helpers.made_up_runs import CLASSES, LOGITS, Clips, write_run


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
        'predictions over acoustic images',
        'spectrograms/sample 1, rain',
        'sounds/sample 2, dog bark',
    } <= set(found)
    assert {f'precision and recall/{name}/pr_curves' for name in CLASSES} <= set(found)
    shown = found['confusion matrix']
    width, height, encoded = shown.tensor.string_val
    assert shown.metadata.plugin_data.plugin_name == 'images'
    drawn = np.asarray(Image.open(io.BytesIO(encoded)))
    assert drawn.shape == (int(height), int(width), 3)
    counts = metrics.confusion(Clips().columns['label'], LOGITS.argmax(axis=1), len(CLASSES))
    np.testing.assert_array_equal(drawn, figures.confusion_picture(counts, CLASSES))
    table = next(
        value
        for value in summaries(tmp_path)
        if value.tag.startswith('confusion table')
        and value.metadata.plugin_data.plugin_name == 'text'
    )
    text = table.tensor.string_val[0].decode()
    assert text == figures.confusion_table([[2, 1, 0], [0, 2, 0], [0, 1, 1]], CLASSES)
    assert '| rain | 2 | 1 | 0 | 0.667 |' in text
    assert board.caption(chosen[3], 0) == 'rain\nteacher: dog bark\nprediction: rain'
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
    corner = picture[top + 3 :: cell, left + 3 :: cell][:2, :2, 0]  # red, next to the digits
    np.testing.assert_allclose(corner, [[0, 255], [64, 191]], atol=1)


def test_saved_samples_are_what_was_chosen(chosen, tmp_path):
    run_folder = write_run(tmp_path)
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
