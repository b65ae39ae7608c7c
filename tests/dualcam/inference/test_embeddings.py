import json

import keras
import numpy as np
import pytest
import soundfile

from dualcam import models
from dualcam.cli import main
from dualcam.data import audio
from dualcam.data.signal import frontends
from dualcam.data.sources import datasets, sound_files, sound_folders
from dualcam.export import saved_models
from dualcam.inference import batching, embeddings, network_students, students

pytestmark = pytest.mark.numeric

INFO = datasets.DatasetInfo('toy', ('a', 'b', 'c'), 'toy', 1)


@pytest.fixture(scope='module')
def student():
    """A HearNet of one second."""
    keras.utils.set_random_seed(1)
    return models.build('hearnet', 3, seconds=1)


@pytest.fixture(scope='module')
def ears():
    return frontends.Frontend(
        'spectrogram',
        'log',
        (np.zeros(257, np.float32), np.ones(257, np.float32)),
        band_limited=False,
    )


@pytest.fixture(scope='module')
def listener(student, ears):
    return network_students.from_model(student, ears, 1, INFO.classes, 'toy')


def write(path, seconds, rate_hz=22_050, channels=1, seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(seed).standard_normal((round(seconds * rate_hz), channels))
    soundfile.write(path, 0.1 * wave, rate_hz, **options)
    return path


def test_any_file_embeds(tmp_path, listener):
    write(tmp_path / 'a.ogg', 2.5)
    write(tmp_path / 'b.wav', 1.5, 48_000, 2, subtype='PCM_24')
    write(tmp_path / 'c.flac', 1, 44_100)
    write(tmp_path / 'd.wav', 1, 8_000)
    write(tmp_path / 'e.wav', 0.2)
    write(tmp_path / 'f.wav', 90)
    found = sound_folders.find_files(tmp_path)
    made = embeddings.embed(listener, found, embeddings.EmbedParams(), tmp_path / 'parts')
    assert np.bincount(made.window_file).tolist() == [3, 2, 1, 1, 1, 90]
    assert made.windows.shape == (98, 1000) and np.isfinite(made.windows).all()
    assert made.clips.shape == (6, 1000) and not (tmp_path / 'parts').exists()
    np.testing.assert_allclose(made.clips[0], made.windows[:3].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(made.window_s[:3], [0, 1, 1.5], atol=1e-3)


def test_an_embedding_is_the_layer_of_the_network(tmp_path, student, ears, listener):
    path = write(tmp_path / 'a.wav', 1)
    signal = sound_files.read_sound(path)
    inputs = ears.see(audio.to_peak(signal[None]) * audio.PEAK)
    for layer, steps in (('fc1', 1), ('conv2', 20)):
        made = embeddings.embed(
            listener,
            sound_folders.find_files(path),
            embeddings.EmbedParams(layer),
            tmp_path / 'parts',
        )
        direct = keras.Model(student.input, student.get_layer(layer).output)(inputs).numpy()
        assert direct.shape[1] == steps
        np.testing.assert_allclose(made.windows[0], direct[0].mean(axis=0), rtol=1e-3, atol=1e-4)
    with pytest.raises(
        ValueError, match="layer 'conv9' is not available; expected one of embedding"
    ):
        listener.listen('conv9')


def test_batches_and_a_resumed_job_change_nothing(tmp_path, listener, monkeypatch):
    for number in range(5):
        write(tmp_path / 'in' / f'{number}.wav', 1 + number / 2, seed=number)
    found = sound_folders.find_files(tmp_path / 'in')
    whole = embeddings.embed(listener, found, embeddings.EmbedParams(), tmp_path / 'parts')
    monkeypatch.setattr(embeddings, '_FILES_A_PART', 2)
    small = embeddings.embed(
        listener, found, embeddings.EmbedParams(batch_size=3), tmp_path / 'parts'
    )
    np.testing.assert_allclose(whole.windows, small.windows, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(whole.window_file, small.window_file)

    read, asked = sound_files.read_heard_windows, []

    def stops(path, *arguments):
        asked.append(path)
        if path.endswith('3.wav') and len(asked) < 5:
            raise KeyboardInterrupt
        return read(path, *arguments)

    monkeypatch.setattr(sound_files, 'read_heard_windows', stops)
    monkeypatch.setattr(batching, 'in_background', lambda items, ahead: items)
    # A part is written once a window of the next one has been answered.
    params = embeddings.EmbedParams(batch_size=1)
    with pytest.raises(KeyboardInterrupt):
        embeddings.embed(listener, found, params, tmp_path / 'parts')
    asked.clear()
    asked += [''] * 5
    resumed = embeddings.embed(listener, found, params, tmp_path / 'parts')
    assert [path[-5:] for path in asked[5:]] == ['2.wav', '3.wav', '4.wav']
    np.testing.assert_allclose(resumed.windows, whole.windows, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    'files_a_part, message',
    [
        (1, r'1 bad file: .*b\.wav.*--max_bad=1'),
        (2, r'1 bad file: .*b\.wav.*--max_bad=1'),
        (200, r'3 bad files: .*b\.wav.*--max_bad=3'),
    ],
)
def test_bad_files_are_left_out_whole_and_only_on_request(
    files_a_part, message, tmp_path, listener, monkeypatch
):
    monkeypatch.setattr(embeddings, '_FILES_A_PART', files_a_part)
    write(tmp_path / 'a.wav', 1)
    (tmp_path / 'b.wav').write_text('text')
    soundfile.write(tmp_path / 'c.wav', np.zeros(40_000), 22_050)
    wave = np.random.default_rng(0).standard_normal(60_000)
    wave[50_000] = np.nan  # after two good windows
    soundfile.write(tmp_path / 'd.wav', wave, 22_050, subtype='FLOAT')
    half = np.concatenate([np.zeros(22_050), wave[:22_050] * 0.1])
    soundfile.write(tmp_path / 'e.wav', half, 22_050)
    found = sound_folders.find_files(tmp_path)
    with pytest.raises(ValueError, match=message):
        embeddings.embed(listener, found, embeddings.EmbedParams(), tmp_path / 'parts')
    made = embeddings.embed(listener, found, embeddings.EmbedParams(max_bad=3), tmp_path / 'parts')
    assert [name[-5:] for name in made.files] == ['a.wav', 'e.wav'] and len(made.skipped) == 3
    assert made.window_s.tolist() == [0.0, 1.0]  # silence has no embedding


def test_parts_of_another_job_are_refused(tmp_path, listener):
    write(tmp_path / 'a.wav', 1)
    (tmp_path / 'parts').mkdir()
    (tmp_path / 'parts' / 'job.txt').write_text('other')
    found = sound_folders.find_files(tmp_path)
    with pytest.raises(ValueError, match='another model'):
        embeddings.embed(listener, found, embeddings.EmbedParams(), tmp_path / 'parts')
    for wrong, message in (
        (embeddings.EmbedParams(hop_s=2.0), 'hop'),
        (embeddings.EmbedParams(batch_size=0), 'batches'),
    ):
        with pytest.raises(ValueError, match=message):
            embeddings.embed(listener, found, wrong, tmp_path / 'other')


def test_the_command_asks_a_saved_model(tmp_path, student, ears, capsys):
    write(tmp_path / 'in' / 'x' / 'a.wav', 1)
    write(tmp_path / 'in' / 'y' / 'b.wav', 2)
    saved_models.export(student, tmp_path / 'student' / '1', INFO, 1, ears)
    arguments = [
        'embed',
        f'--model={tmp_path}/student',
        f'--input={tmp_path}/in',
        f'--out={tmp_path}/f.npz',
    ]
    assert main.main(arguments) == 0
    assert '2 files, 3 windows of 1 s, 1000 features by hearnet' in capsys.readouterr().out
    with np.load(tmp_path / 'f.npz') as file:
        assert file['features'].shape == (2, 1000) and file['labels'].tolist() == [0, 1]
        assert file['classes'].tolist() == ['x', 'y'] and str(file['layer']) == 'embedding'
        by_file = file['features']
    own = embeddings.embed(
        network_students.from_model(student, ears, 1, INFO.classes, 'toy'),
        sound_folders.find_files(tmp_path / 'in'),
        embeddings.EmbedParams(),
        tmp_path / 'parts',
    )
    np.testing.assert_allclose(by_file, own.clips, rtol=1e-3, atol=1e-4)
    capsys.readouterr()
    for change, message in (
        (arguments, 'exists'),
        ([*arguments, '--layer=conv4', '--overwrite'], "run's folder has the convolutions"),
        ([*arguments[:3], f'--out={tmp_path}/f.csv'], '.npz'),
        (['embed', f'--model={tmp_path}', *arguments[2:], '--overwrite'], 'neither a run'),
    ):
        assert main.main(change) == 1
        error = capsys.readouterr().err
        assert error.startswith('error:') and message in error and error.count('\n') == 1


def test_a_saved_model_without_its_assets_is_named(tmp_path, student, ears):
    saved_models.export(student, tmp_path / '1', INFO, 1, ears)
    metadata = tmp_path / '1' / 'assets' / 'metadata.json'
    fields = json.loads(metadata.read_text())
    del fields['classes']
    metadata.write_text(json.dumps(fields))
    with pytest.raises(ValueError, match='not a SavedModel that dualcam exported'):
        students.open_listener(tmp_path)


def test_a_wrong_normalisation_is_named():
    with pytest.raises(ValueError, match='expected one of min_max, mean_std, log'):
        frontends.Frontend('spectrogram', 'sqrt')
