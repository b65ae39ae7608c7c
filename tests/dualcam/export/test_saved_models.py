"""Exports give Keras' numbers at any length and batch, from Python, from C and from TFLite."""

import json
import pathlib
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from dualcam import models
from dualcam.cli import main
from dualcam.data.signal import frontends, windowing
from dualcam.data.sources import datasets
from dualcam.export import saved_models, tflite
from dualcam.inference import students
from dualcam.models import convolutions
from tests.proofs import soak

pytestmark = pytest.mark.numeric

INFO = datasets.DatasetInfo('toy', ('low', 'high', 'noise'), 'made up', 1)
SIZE = 110_250
C_API = pathlib.Path(__file__).parents[2] / 'helpers' / 'c_api.py'


@pytest.fixture(scope='module')
def golden_sound(golden):
    """Recorded clips and the range of their spectrograms."""
    with np.load(golden / 'loader.npz') as file:
        return (
            (file['stats_global_min'].reshape(257), file['stats_global_max'].reshape(257)),
            np.concatenate([file['waveform_clip0'], file['waveform_clip1']]),
        )


@pytest.fixture(scope='module')
def span(golden_sound):
    return golden_sound[0]


@pytest.fixture(scope='module')
def sound(golden_sound):
    return golden_sound[1]


@pytest.fixture(scope='module', params=['hearnet', 'oursoundnet'])
def student(request, span, tmp_path_factory):
    """A network, its front end, and the folder of its SavedModel."""
    keras.utils.set_random_seed(5)
    model = models.build(request.param, 3)
    ears = frontends.Frontend(models.network(request.param).input, statistics=span)
    folder = tmp_path_factory.mktemp(request.param) / 'student' / '1'
    saved_models.export(model, folder, INFO, 5, ears)
    return model, ears, folder


@pytest.fixture(scope='module')
def signatures(student):
    loaded = tf.saved_model.load(str(student[2]))
    yield loaded.signatures


def test_an_exported_graph_keeps_its_convolutions(student):
    """Also those that are matrix products in Python; other programs convert and fuse them."""
    model, _, folder = student
    saved = saved_model_pb2.SavedModel.FromString((folder / 'saved_model.pb').read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    most = max(sum(node.op == 'Conv2D' for node in one.node_def) for one in functions)
    kinds = keras.layers.Conv1D, convolutions.StepwiseDense
    assert most >= sum(isinstance(layer, kinds) for layer in model.layers) > 3


def clips_of(sound, seconds, batch):
    """[batch, samples] from a recording, at different positions and loudness."""
    size = round(seconds * 22_050)
    return np.stack(
        [np.resize(np.roll(sound, -3001 * i), size) * 0.5**i for i in range(batch)]
    ).astype(np.float32)


def expected(model, ears, waveform):
    """Logits by Keras, windows by NumPy."""
    answers = []
    for signal in waveform:
        starts = windowing.starts(len(signal), SIZE, SIZE)
        signal = np.pad(signal, (0, max(0, SIZE - len(signal))))
        cut = np.stack([signal[start : start + SIZE] for start in starts])
        answers.append(model(ears.hear(tf.constant(cut)), training=False).numpy().mean(axis=0))
    return np.stack(answers)


def assert_close(got, want, model):
    bound = 1e-4
    if models.network(model.name).input == 'spectrogram':
        # Rounding in the filter and the transform, 2^-24 of the maximum, is 6e-4 of a channel
        # whose range is 1e-4 of the widest, and each kernel rounds differently. With a front end
        # in float64 these logits change by 1.3e-4, almost entirely due to the last three channels.
        bound = 2.0**-24 / 1e-4
    assert np.abs(got - want).max() <= bound * np.abs(want).max()


@pytest.mark.parametrize('seconds', [1, 3.7, 5, 61])
@pytest.mark.parametrize('batch', [1, 3, 32])
def test_any_length_and_batch_gets_kerass_numbers(student, signatures, sound, seconds, batch):
    model, ears, _ = student
    if batch == 32 and seconds == 61:
        seconds = 8  # two windows suffice, in a fraction of the time
    waveform = clips_of(sound, seconds, batch)
    outputs = signatures['serving_default'](waveform=tf.constant(waveform))
    want = expected(model, ears, waveform[:3])
    assert_close(outputs['logits'][:3].numpy(), want, model)
    assert outputs['logits'].shape == (batch, 3)
    np.testing.assert_allclose(
        outputs['probabilities'], tf.nn.softmax(outputs['logits']), atol=1e-6
    )
    embedding = models.network(model.name).features
    assert outputs['embedding'].shape == (batch, model.get_layer(embedding).output.shape[-1])


def test_silent_windows_do_not_count_and_silence_has_an_answer(student, signatures, sound):
    serve = signatures['serving_default']
    heard = clips_of(sound, 5, 1)
    padded = np.concatenate([np.zeros_like(heard), heard], axis=1)
    assert_close(
        serve(waveform=tf.constant(padded))['logits'].numpy(),
        serve(waveform=tf.constant(heard))['logits'].numpy(),
        student[0],
    )
    assert np.isfinite(serve(waveform=tf.zeros([1, 300_000]))['logits']).all()


def test_what_lies_beside_the_weights(student):
    model, _, folder = student
    assert (folder / 'assets/class_names.txt').read_text().split() == list(INFO.classes)
    card = (folder / 'assets/README.md').read_text()
    assert 'made up' in card and ', '.join(INFO.classes) in card and 'Unknown: it was' in card
    metadata = json.loads((folder / 'assets/metadata.json').read_text())
    assert metadata['sample_rate_hz'] == 22_050 and metadata['seconds'] == 5
    assert metadata['trained_on'] == 'made up' and metadata['network'] == model.name
    size = sum(p.stat().st_size for p in folder.rglob('*') if p.is_file())
    assert size <= 1.1 * 4 * model.count_params()
    other = models.build(model.name, 3)
    with pytest.raises(RuntimeError, match='differs'):
        saved_models.verify(other, folder, 5, student[1])


def test_what_a_stopped_export_left_does_no_harm(student, tmp_path):
    (tmp_path / '.1.partial' / 'assets.extra').mkdir(parents=True)
    (tmp_path / '.1.partial' / 'stale').touch()
    model, ears, _ = student
    saved_models.export(model, tmp_path / '1', INFO, 5, ears)
    saved_models.verify(model, tmp_path / '1', 5, ears)
    assert [p.name for p in tmp_path.iterdir()] == ['1'] and not (tmp_path / '1/stale').exists()


def test_a_server_can_warm_up(student, signatures):
    from tensorflow_serving.apis import prediction_log_pb2

    path = student[2] / 'assets.extra' / 'tf_serving_warmup_requests'
    asked = []
    for record in tf.data.TFRecordDataset(str(path)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        name = request.model_spec.signature_name
        asked.append(name)
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        assert signatures[name](**inputs)['probabilities'].shape == (1, 3)
    assert asked == ['serving_default', 'serve_wav_bytes']


@pytest.mark.parametrize(
    'kind, rate_hz, channels',
    [('PCM_16', 22_050, 1), ('PCM_24', 48_000, 2), ('FLOAT', 44_100, 1), ('PCM_U8', 8_000, 1)],
)
def test_wav_files_are_heard_as_their_waveforms(
    student, signatures, sound, tmp_path, kind, rate_hz, channels
):
    waveform = clips_of(sound, 4, 1)[0] / 512
    at_rate = np.interp(
        np.arange(4 * rate_hz) / rate_hz, np.arange(len(waveform)) / 22_050, waveform
    )
    soundfile.write(tmp_path / 'a.wav', np.repeat(at_rate[:, None], channels, 1), rate_hz, kind)
    contents = (tmp_path / 'a.wav').read_bytes()
    got = signatures['serve_wav_bytes'](wav_bytes=tf.constant([contents, contents]))
    if rate_hz == 22_050:
        read = soundfile.read(tmp_path / 'a.wav', dtype='float32')[0][None]
        want = signatures['serving_default'](waveform=tf.constant(read))
        assert_close(got['logits'][1:].numpy(), want['logits'].numpy(), student[0])
    listener = students.open_listener(student[2])
    from dualcam.data.sources import sound_files

    ((_, window),) = sound_files.read_windows(tmp_path / 'a.wav', SIZE, SIZE)
    shares = tf.nn.softmax(listener.listen('logits')(window[None])).numpy()
    np.testing.assert_allclose(got['probabilities'].numpy(), np.repeat(shares, 2, 0), atol=0.01)


@pytest.mark.parametrize(
    'waveform, message',
    [
        (np.full((2, 30_000), np.nan), 'not finite'),
        (np.full((1, 30_000), np.inf), 'not finite'),
        (np.zeros((0, 30_000)), 'empty batch'),
        (np.zeros((1, 0)), r'\[0\].*expected.*1 s or more'),
        (np.zeros((1, 22_049)), r'22049'),
        (np.zeros(30_000), r'of shape.*30000.*expected 2 axes'),
        (np.zeros((1, 30_000, 1)), 'of shape'),
    ],
)
def test_bad_waveforms_are_told_what_is_wrong(signatures, waveform, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures['serving_default'](waveform=tf.constant(waveform, tf.float32))


@pytest.mark.parametrize(
    'contents, message',
    [
        ([b''], 'only.*0.*bytes'),
        ([b'text, and more of it'], 'RIFF....WAVE but with.*116 101 120 116'),
        ([b'RIFF\0\0\0\0WAVE' + bytes(99)], 'no fmt chunk'),
        ([], 'empty batch'),
    ],
)
def test_what_is_no_wav_file_is_told_so(signatures, contents, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures['serve_wav_bytes'](wav_bytes=tf.constant(contents, tf.string))


def run_in_c(folder, out, calls):
    """Runs `tests/helpers/c_api.py`, once for all calls, since loading TensorFlow takes seconds.

    Args:
        folder: of the SavedModel.
        out: folder for results.
        calls: (signature, source) of each call.

    Returns:
        (error, logits) of each call; the error is empty, or the logits are None.
    """
    saved = saved_model_pb2.SavedModel.FromString((folder / 'saved_model.pb').read_bytes())
    arguments = []
    for number, (signature, source) in enumerate(calls):
        definition = saved.meta_graphs[0].signature_def[signature]
        (tensor,) = definition.inputs.values()
        logits = definition.outputs['logits'].name
        arguments += [tensor.name, logits, source, out / f'logits_{number}.npy']
    done = subprocess.run(
        [sys.executable, C_API, pathlib.Path(tf.__file__).parent, folder, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    errors = json.loads(done.stdout)
    assert len(errors) == len(calls)
    return [
        (error, None if error else np.load(out / f'logits_{number}.npy'))
        for number, error in enumerate(errors)
    ]


def test_c_without_python_gets_kerass_numbers(student, sound, tmp_path):
    model, ears, folder = student
    waveforms = [clips_of(sound, *one) for one in ((1, 1), (3.7, 3), (5, 32), (61, 1))]
    for number, waveform in enumerate(waveforms):
        np.save(tmp_path / f'in_{number}.npy', waveform)
    made = run_in_c(
        folder, tmp_path, [('serving_default', tmp_path / f'in_{i}.npy') for i in range(4)]
    )
    for waveform, (error, got) in zip(waveforms, made, strict=True):
        assert not error and len(got) == len(waveform), error
        assert_close(got[:3], expected(model, ears, waveform[:3]), model)


def test_c_sends_wav_files_and_gets_errors_not_crashes(student, signatures, sound, tmp_path):
    folder = student[2]
    soundfile.write(tmp_path / 'a.wav', clips_of(sound, 2, 1)[0] / 512, 22_050, 'PCM_24')
    np.save(tmp_path / 'in.npy', np.zeros(30_000, np.float32))
    (shape, _), (contents, _), (error, got) = run_in_c(
        folder,
        tmp_path,
        [
            ('serving_default', tmp_path / 'in.npy'),
            ('serve_wav_bytes', C_API),
            ('serve_wav_bytes', tmp_path / 'a.wav'),  # still served after the errors
        ],
    )
    assert 'expected 2 axes' in shape and 'not a WAV file' in contents
    assert not error
    want = signatures['serve_wav_bytes'](
        wav_bytes=tf.constant([(tmp_path / 'a.wav').read_bytes()])
    )['logits'].numpy()
    assert_close(got, want, student[0])


def test_openvino_computes_what_tensorflow_does(student, signatures, sound):
    """As docs/serving.md shows it: with a fixed shape, and 32 bits on any processor."""
    openvino = pytest.importorskip(
        'openvino', reason="OpenVINO is not installed (extra 'openvino', docs/serving.md)"
    )
    model, _, folder = student
    waveform = clips_of(sound, 5, 2)
    core = openvino.Core()
    read = core.read_model(folder)
    # With an open shape, the first call of OpenVINO 2026.4.1 returns different numbers.
    read.reshape({'waveform': list(waveform.shape)})
    compiled = core.compile_model(read, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    got = compiled(waveform)
    want = signatures['serving_default'](waveform=tf.constant(waveform))
    for name in ('logits', 'probabilities', 'embedding'):
        assert got[name].shape == want[name].shape
        assert_close(got[name], want[name].numpy(), model)


@pytest.mark.slow
def test_tflite_files_answer_as_the_original_does(student, sound, tmp_path, capsys):
    model, ears, folder = student
    for i in range(4):
        soundfile.write(tmp_path / f'{i}.wav', clips_of(sound, 7, 4)[i] / 512, 22_050, 'FLOAT')
    code = main.main(
        [
            'tflite',
            f'--model={folder}',
            f'--out={tmp_path}/edge',
            f'--examples={tmp_path}',
            f'--test={tmp_path}',
        ]
    )
    assert code == 0, capsys.readouterr().err
    listeners = {
        kind: students.open_listener(tmp_path / f'edge/{model.name}.{kind}.tflite')
        for kind in tflite.KINDS
    }
    for seconds, batch in ((1, 1), (3.7, 3), (5, 4), (11, 1)):
        waveform = clips_of(sound, seconds, batch)
        want = expected(model, ears, waveform)
        cut = [
            np.stack(
                [
                    np.pad(signal, (0, max(0, SIZE - len(signal))))[start : start + SIZE]
                    for start in windowing.starts(len(signal), SIZE, SIZE)
                ]
            )
            for signal in waveform
        ]
        together = np.concatenate(cut)  # all windows as one batch
        got = {
            kind: one.listen('logits')(together).reshape(batch, -1, 3).mean(axis=1)
            for kind, one in listeners.items()
        }
        assert_close(got['float32'], want, model)
        assert np.abs(got['float16'] - want).max() <= 5e-3 * np.abs(want).max()
        assert np.abs(got['int8'] - want).max() <= 0.2 * np.abs(want).max()
    sizes = {kind: pathlib.Path(one.source).stat().st_size for kind, one in listeners.items()}
    assert sizes['float16'] < 0.55 * sizes['float32'] and sizes['int8'] < 0.35 * sizes['float32']
    table = (tmp_path / 'edge' / 'tflite.md').read_text()
    assert all(f'| TFLite {kind} | {sizes[kind] / 1e6:.2f} |' in table for kind in tflite.KINDS)
    with zipfile.ZipFile(tmp_path / f'edge/{model.name}.int8.tflite') as archive:
        assert archive.read('class_names.txt').decode().split() == list(INFO.classes)
        assert 'A conversion to TFLite, int8' in archive.read('README.md').decode()


def test_what_cannot_be_converted_or_opened_is_named(student, tmp_path, capsys):
    folder = student[2]
    for arguments, message in (
        ([f'--model={folder}', '--kinds=int4'], "'int4' is none of float32"),
        ([f'--model={folder}', '--kinds=float16,int8'], 'int8 needs --examples'),
        ([f'--model={tmp_path}', '--kinds=float32'], 'nor a SavedModel'),
    ):
        assert main.main(['tflite', f'--out={tmp_path}', *arguments]) == 1
        assert message in capsys.readouterr().err
    (tmp_path / 'x.tflite').write_bytes(b'no model')
    with pytest.raises(ValueError, match=r'x\.tflite: not a \.tflite file that dualcam wrote'):
        students.open_listener(tmp_path / 'x.tflite')
    with zipfile.ZipFile(tmp_path / 'x.tflite', 'a') as archive:
        archive.writestr('metadata.json', '{}')
    with pytest.raises(ValueError, match=r'not a \.tflite file'):
        students.open_listener(tmp_path / 'x.tflite')
    with pytest.raises(ValueError, match=r'has no assets/class_names\.txt'):
        tflite.convert(tmp_path, tmp_path / 'y.tflite', 'float32')


@pytest.mark.parametrize('student', ['hearnet'], indirect=True)
def test_without_examples_all_but_int8_is_written(student, tmp_path, capsys):
    assert main.main(['tflite', f'--model={student[2]}', f'--out={tmp_path}']) == 0
    written = sorted(path.name.split('.')[1] for path in tmp_path.glob('*.tflite'))
    assert written == ['float16', 'float32']
    assert 'not written: int8, which needs --examples=PATH' in capsys.readouterr().out


def test_requests_of_random_lengths_leave_memory_where_it_is(signatures):
    """`tests/proofs/soak.py` at small scale."""
    outcome = soak.soak(signatures, 40, longest_s=6.0)
    assert outcome.growth < soak.LIMIT, outcome


def test_a_growing_memory_is_seen():
    held = []

    def leak(**_):
        held.append(np.ones(1 << 18))  # 2 MiB
        return {'probabilities': np.ones(1)}

    outcome = soak.soak(
        {saved_models.SIGNATURE: leak, saved_models.WAV_SIGNATURE: leak}, 200, longest_s=1.1
    )
    assert outcome.growth > soak.LIMIT, outcome
