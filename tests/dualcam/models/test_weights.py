"""Other programs' weights, written in their formats and read back, give the golden numbers."""

import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saver_pb2

from dualcam import models
from dualcam.cli import main
from dualcam.models import soundnet, weight_import, weights
from tests.helpers import goldens, weight_files

NETWORKS = {
    'dualcamnet': 'wacv_DualCamHybrid',
    'hearnet': 'wacv_HearNet',
    'oursoundnet': 'wacv_SoundNet5',
    'resnet50': 'wacv_ResNet50',
    'temporal_resnet50': 'wacv_ResNet50Temporal',
    'avnet': 'wacv_AVModel',
}


def golden_arrays(golden, name):
    entry = json.loads((golden / 'models.json').read_text())[NETWORKS[name]]
    return entry, {v['name']: goldens.weights(v['name'], v['shape']) for v in entry['variables']}


def logits_of(model, golden, name):
    """The network's logits for the golden input, and the expected ones."""
    entry = json.loads((golden / 'models.json').read_text())[NETWORKS[name]]
    stored = np.load(golden / 'models.npz')
    if name == 'avnet':
        inputs = {
            'video': goldens.network_input(NETWORKS[name], entry['input']['video'])[None],
            'acoustic': goldens.network_input(NETWORKS[name], entry['input']['audio'])[None],
        }
        want = stored[f'{NETWORKS[name]}/logits_mean_over_12']
    else:
        inputs = goldens.network_input(NETWORKS[name], entry['input']).reshape(
            -1, *model.input_shape[1:]
        )
        want = stored[
            f'{NETWORKS[name]}/logits' + ('_mean_over_12' if name == 'dualcamnet' else '')
        ]
    return model(inputs, training=False).numpy(), want


def build(name, **options):
    return models.build(name, **({'frame_stride': 12} if name == 'resnet50' else {}), **options)


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_checkpoints_of_the_authors_programs(name, golden, tmp_path):
    _, arrays = golden_arrays(golden, name)
    slots = {
        f'{next(iter(arrays))}/Adam': np.zeros(3, np.float32),
        'beta1_power': np.float32(0.9),
        'global_step': np.int64(7),
    }
    path = weight_files.write_checkpoint(tmp_path / 'model.ckpt', arrays | slots)
    model = build(name)
    report = weight_import.import_weights(path, model)
    assert set(report.taken) == set(arrays) and not report.missing
    assert set(report.left) == set(slots)
    got, want = logits_of(model, golden, name)
    assert goldens.relative_l2(got, want) < 1e-4
    # It can also be given by any of its files.
    imported = model.get_weights()
    model.set_weights([np.zeros_like(values) for values in imported])
    weight_import.import_weights(tmp_path / 'model.ckpt.index', model)
    for a, b in zip(model.get_weights(), imported, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('version', [saver_pb2.SaverDef.V1, saver_pb2.SaverDef.V2])
def test_checkpoint_of_a_saver(golden, tmp_path, version):
    """The old format is a single file, such as resnet_v1_50.ckpt."""
    _, arrays = golden_arrays(golden, 'hearnet')
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = {
            name: tf.compat.v1.get_variable(name, array.shape) for name, array in arrays.items()
        }
        for name, variable in variables.items():
            variable.load(arrays[name], session)
        saver = tf.compat.v1.train.Saver(write_version=version)
        path = saver.save(session, str(tmp_path / 'model.ckpt'), 1200)
    model = models.build('hearnet')
    assert len(weight_import.import_weights(path, model).taken) == 14
    got, want = logits_of(model, golden, 'hearnet')
    assert goldens.relative_l2(got, want) < 1e-4
    weight_import.import_weights(tmp_path, model)  # a folder: its latest checkpoint
    if version == saver_pb2.SaverDef.V1:
        cut = tmp_path / 'cut.ckpt'
        cut.write_bytes((tmp_path / 'model.ckpt-1200').read_bytes()[:1_000_000])
        weight_files.check_refused(
            cut, model, [v.numpy() for v in model.variables], 'not a whole checkpoint'
        )


@pytest.mark.slow
def test_slim_checkpoint_of_imagenet(golden, tmp_path):
    _, arrays = golden_arrays(golden, 'resnet50')
    del arrays['resnet_v1_50/logits/weights'], arrays['resnet_v1_50/logits/biases']
    imagenet = {
        'resnet_v1_50/logits/weights': np.zeros((1, 1, 2048, 1000), np.float32),
        'resnet_v1_50/logits/biases': np.zeros(1000, np.float32),
        'global_step': np.int64(1),
        'resnet_v1_50/mean_rgb': np.zeros(3, np.float32),
    }
    path = weight_files.write_checkpoint(tmp_path / 'resnet_v1_50.ckpt', arrays | imagenet)
    for name, missing in (('resnet50', 2), ('temporal_resnet50', 10), ('avnet', 14)):
        model = build(name)
        report = weight_import.import_weights(path, model)
        assert set(report.taken) == set(arrays) and set(report.left) == set(imagenet)
        assert len(report.missing) == missing
        if name == 'resnet50':  # with our logits, the outputs are the golden numbers
            _, ours = golden_arrays(golden, name)
            for variable in report.missing:
                weights.tf1_names(model)[variable].assign(np.squeeze(ours[variable]))
            got, want = logits_of(model, golden, name)
            assert goldens.relative_l2(got, want) < 1e-4
    assert 'DualCamNet/full1/weights' in report.missing
    assert 'resnet_v1_50/logits/weights' in report.missing
    other = models.build('resnet50', layout='keras')
    weight_files.check_refused(path, other, [v.numpy() for v in other.variables], "layout='slim'")
    # A part of our network that is incomplete in the file is an error.
    half = {n: a for n, a in arrays.items() if 'unit_2/bottleneck_v1/conv2/' not in n}
    path = weight_files.write_checkpoint(tmp_path / 'half.ckpt', half | imagenet)
    weight_files.check_refused(
        path,
        model,
        [v.numpy() for v in model.variables],
        'resnet_v1_50/block1/unit_2/bottleneck_v1/conv2/',
    )


@pytest.mark.slow
def test_keras_own_resnet(tmp_path, rng):
    keras.utils.set_random_seed(3)
    theirs = keras.applications.ResNet50(weights=None, classifier_activation=None)
    for variable in theirs.weights:  # so that batch normalisation has an effect
        if 'moving' in variable.name or 'gamma' in variable.name or 'bias' in variable.name:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    path = tmp_path / 'resnet50_weights_tf_dim_ordering_tf_kernels.h5'
    with h5py.File(path, 'w') as file:  # the layout of the file that Keras downloads
        for layer in filter(lambda layer: layer.weights, theirs.layers):
            group = file.create_group(layer.name)
            for variable in layer.weights:
                group.create_dataset(f'{layer.name}/{variable.name}:0', data=variable.numpy())
    model = models.build('resnet50', 1000, frame_stride=12, layout=weight_import.layout_of(path))
    report = weight_import.import_weights(path, model)
    assert not report.missing and not report.left
    frames = rng.uniform(0, 255, (2, 224, 224, 3)).astype(np.float32)
    rgb = frames - np.float32([123.68, 116.78, 103.94])
    bgr = frames[..., ::-1] - np.float32([103.94, 116.78, 123.68])
    want = theirs(bgr, training=False).numpy()
    assert goldens.relative_l2(model(rgb[:, None], training=False).numpy(), want) < 1e-4
    # With 14 classes the logits stay randomly initialised.
    report = weight_import.import_weights(
        path, models.build('resnet50', layout='keras', frame_stride=12)
    )
    assert set(report.missing) == set(report.left) and len(report.missing) == 2
    # Another stride would give another function; the default layout is not Keras'.
    other = models.build('resnet50', 1000, frame_stride=12)
    weight_files.check_refused(path, other, [v.numpy() for v in other.variables], "layout='keras'")
    weights.save(model, tmp_path / 'a.weights.h5')
    assert weights.layout(tmp_path / 'a.weights.h5') == 'keras'
    with pytest.raises(ValueError, match=r"a\.weights\.h5.*layout='keras'"):
        weights.load(other, tmp_path / 'a.weights.h5')
    # Temporal ResNet-50 and AVNet accept the same file; their other layers are missing in it.
    for name, missing in (('temporal_resnet50', 10), ('avnet', 14)):
        report = weight_import.import_weights(path, models.build(name, layout='keras'))
        assert len(report.missing) == missing and len(report.taken) == 265
    path.write_bytes(path.read_bytes()[:-1000])
    weight_files.check_refused(
        path, model, [v.numpy() for v in model.variables], 'not a whole HDF5 file'
    )


# Torch 7


@pytest.mark.slow
@pytest.mark.parametrize('old_norm', [False, True])
def test_soundnet_5(golden, tmp_path, old_norm):
    _, arrays = golden_arrays(golden, 'oursoundnet')
    path = weight_files.soundnet_file(tmp_path / 'soundnet5.t7', arrays, (0, 4, 8, 12), old_norm)
    model = models.build('oursoundnet')
    rest = {name: variable.numpy() for name, variable in weights.tf1_names(model).items()}
    report = weight_import.import_weights(path, model)
    assert len(report.taken) == 4 * 6 and len(report.left) == 1
    assert all(name.split('/')[1] in ('conv5', 'conv6', 'fc1', 'fc2') for name in report.missing)
    for name, variable in weights.tf1_names(model).items():
        want = arrays[name] if name in report.taken else rest[name]
        np.testing.assert_allclose(
            variable.numpy().reshape(-1), want.reshape(-1), rtol=1e-5, atol=1e-7
        )
    # With the rest from a checkpoint, the outputs are the golden numbers.
    others = {n: a for n, a in arrays.items() if n in report.missing}
    weight_import.import_weights(
        weight_files.write_checkpoint(tmp_path / 'rest.ckpt', others), model, allow_missing=True
    )
    got, want = logits_of(model, golden, 'oursoundnet')
    assert goldens.relative_l2(got, want) < 1e-4


def test_soundnet_5_with_its_own_end(tmp_path, capsys):
    """conv5's convolutions for objects and places are joined into one, on top of conv4."""
    arrays = weight_files.soundnet_5_file(tmp_path / 'soundnet5.t7')
    out = tmp_path / 'soundnet5.weights.h5'
    call = ['import-weights', f'--from={tmp_path}/soundnet5.t7', '--model=soundnet5']
    assert main.main([*call, f'--out={out}']) == 0
    assert '26 taken, 0 left, 0 missing' in capsys.readouterr().out
    assert weights.network_of(out) == 'soundnet5'
    model = soundnet.build_5()
    weights.load(model, out)
    for name, variable in weights.tf1_names(model).items():
        np.testing.assert_allclose(
            variable.numpy().reshape(-1), arrays[name].reshape(-1), rtol=1e-5, atol=1e-7
        )
    wave = np.random.default_rng(0).uniform(-256, 256, (1, 110_250)).astype(np.float32)
    before = keras.Model(model.input, model.get_layer('conv5').input)(wave).numpy()
    kernel = arrays['SoundNet/conv5/weights'][:, 0]
    want = np.tensordot(before[:, :16], kernel, ([1, 2], [0, 1])) + arrays['SoundNet/conv5/biases']
    got = model(wave, training=False).numpy()
    assert got.shape == (1, 1, 1401) and before.shape[1] < 16 + 12
    # Sums of 4,096 products round by the size of the products, not of the sum.
    np.testing.assert_allclose(got[:, 0], want, rtol=1e-3, atol=1e-6 * np.abs(want).max())
    # A file without these last layers is refused, and changes nothing.
    other = weight_files.soundnet_file(tmp_path / 'short.t7', arrays, (0, 4, 8, 12))
    weight_files.check_refused(other, model, [v.numpy() for v in model.variables], 'module 15')


def test_soundnet_8(tmp_path):
    arrays = weight_files.soundnet_8_arrays()
    path = weight_files.soundnet_file(tmp_path / 'soundnet8.t7', arrays, (0, 4, 8, 11, 14, 18, 21))
    model = models.build('soundnet8')
    report = weight_import.import_weights(path, model)
    assert set(report.taken) == set(arrays) and len(report.taken) == 7 * 6
    for name, variable in weights.tf1_names(model).items():
        if name in arrays:
            np.testing.assert_array_equal(variable.numpy().reshape(-1), arrays[name].reshape(-1))


# Damage


@pytest.fixture
def hearnet(golden, tmp_path):
    _, arrays = golden_arrays(golden, 'hearnet')
    model = models.build('hearnet')
    return arrays, model, [v.numpy() for v in model.variables], tmp_path


def test_a_wrong_shape_names_the_variable(hearnet):
    arrays, model, before, folder = hearnet
    wrong = arrays | {'hear_net/conv3/weights': np.zeros((3, 1, 256, 255), np.float32)}
    weight_files.check_refused(
        weight_files.write_checkpoint(folder / 'a.ckpt', wrong),
        model,
        before,
        'hear_net/conv3/weights',
    )


def test_half_a_layer_names_the_variable(hearnet):
    arrays, model, before, folder = hearnet
    half = {n: a for n, a in arrays.items() if n != 'hear_net/fc1/biases'}
    weight_files.check_refused(
        weight_files.write_checkpoint(folder / 'a.ckpt', half), model, before, 'hear_net/fc1/biases'
    )


def test_a_missing_layer_names_the_variable(hearnet):
    arrays, model, before, folder = hearnet
    some = {n: a for n, a in arrays.items() if 'conv3' not in n}
    path = weight_files.write_checkpoint(folder / 'a.ckpt', some)
    weight_files.check_refused(
        path, model, before, 'hear_net/conv3/weights and 1 more of hearnet missing'
    )
    report = weight_import.import_weights(path, model, allow_missing=True)
    assert set(report.missing) == {'hear_net/conv3/weights', 'hear_net/conv3/biases'}
    names = weights.tf1_names(model)
    np.testing.assert_array_equal(names['hear_net/conv1/biases'], arrays['hear_net/conv1/biases'])


def test_values_of_another_type_name_the_variable(hearnet):
    arrays, model, before, folder = hearnet
    for values in (np.array([b'x'] * 14), np.arange(14)):
        path = weight_files.write_checkpoint(
            folder / 'a.ckpt', arrays | {'hear_net/fc2/biases': values}
        )
        weight_files.check_refused(path, model, before, 'hear_net/fc2/biases is')


def test_an_absurd_keras_file_takes_no_memory(tmp_path):
    path = tmp_path / 'resnet50.h5'
    with h5py.File(path, 'w') as file:
        file.create_dataset(
            'conv1_conv/conv1_conv/kernel:0', (2**20, 2**20, 2**10), 'f4', chunks=(64, 64, 64)
        )
    model = models.build('resnet50', frame_stride=12, layout='keras')
    with pytest.raises(ValueError, match=r'resnet50\.h5: resnet_v1_50/conv1/weights.*1048576'):
        weight_import.import_weights(path, model, allow_missing=True)
    with pytest.raises(ValueError, match=r'nothing of hearnet'):
        weight_import.import_weights(path, models.build('hearnet'))
    path = path.rename(tmp_path / 'resnet50.weights.h5')
    with pytest.raises(ValueError, match=r'resnet50\.weights\.h5.*1048576'):
        weights.load(model, path)


def test_a_value_that_is_not_finite_names_the_variable(hearnet):
    arrays, model, before, folder = hearnet
    bad = arrays | {'hear_net/fc1/biases': np.full(1000, np.nan, np.float32)}
    weight_files.check_refused(
        weight_files.write_checkpoint(folder / 'a.ckpt', bad), model, before, 'hear_net/fc1/biases'
    )


def test_a_foreign_checkpoint_is_named(hearnet):
    _, model, before, folder = hearnet
    path = weight_files.write_checkpoint(
        folder / 'a.ckpt', {'other/weights': np.zeros(3, np.float32)}
    )
    weight_files.check_refused(path, model, before, 'nothing of hearnet.*other/weights')
    weight_files.check_refused(folder / 'none.ckpt', model, before, 'no such checkpoint')


def test_a_truncated_checkpoint_names_where(hearnet):
    arrays, model, before, folder = hearnet
    path = weight_files.write_checkpoint(folder / 'a.ckpt', arrays)
    data = folder / 'a.ckpt.data-00000-of-00001'
    data.write_bytes(data.read_bytes()[:1_000_000])
    weight_files.check_refused(path, model, before, 'hear_net/')
    index = folder / 'a.ckpt.index'
    index.write_bytes(index.read_bytes()[:50])
    weight_files.check_refused(path, model, before, 'not a whole checkpoint')


def test_soundnet_8_forward_is_the_published_chain(tmp_path, rng):
    """Padding, stride, normalisation, ReLU, then pooling, one module after the other."""
    arrays = weight_files.soundnet_8_arrays()
    model = models.build('soundnet8', seconds=2)
    weight_import.import_weights(
        weight_files.soundnet_file(tmp_path / 'a.t7', arrays, (0, 4, 8, 11, 14, 18, 21)), model
    )
    wave = rng.uniform(-256, 256, (2, *model.input_shape[1:])).astype(np.float32)
    x = wave[..., None]
    for number, (zeros, pool) in enumerate(
        ((32, 8), (16, 8), (8, 1), (4, 1), (2, 4), (2, 1), (2, 1)), 1
    ):
        scope = f'SoundNet/conv{number}'
        x = tf.nn.conv1d(
            np.pad(x, ((0, 0), (zeros, zeros), (0, 0))),
            arrays[f'{scope}/weights'][:, 0],
            2,
            'VALID',
        ).numpy()
        x = x + arrays[f'{scope}/biases']
        norm = {
            part: arrays[f'{scope}/norm/{part}']
            for part in ('gamma', 'beta', 'moving_mean', 'moving_variance')
        }
        x = (x - norm['moving_mean']) / np.sqrt(norm['moving_variance'] + 1e-3)
        x = np.maximum(x * norm['gamma'] + norm['beta'], 0)
        x = x[:, : x.shape[1] // pool * pool]
        x = x.reshape(2, -1, pool, x.shape[-1]).max(axis=2)
    trunk = keras.Model(model.input, model.get_layer('fc1').input)
    assert goldens.relative_l2(trunk(wave, training=False).numpy(), x) < 1e-4


def test_soundnet_files_as_they_come(tmp_path):
    """Kernels as matrices, text among the modules, another extension: the same weights."""
    arrays = weight_files.soundnet_8_arrays()
    model = models.build('soundnet8')

    def edit(modules):
        modules['name'] = 'SoundNet-8'
        _, fields = modules[5]
        kernel = fields['weight']
        modules[5] = (
            'nn.SpatialConvolutionMM',
            fields
            | {'weight': kernel.reshape(len(kernel), -1), 'nInputPlane': 16, 'kH': 32, 'kW': 1},
        )

    path = weight_files.soundnet_file(
        tmp_path / 'soundnet8_final', arrays, (0, 4, 8, 11, 14, 18, 21), edit=edit
    )
    report = weight_import.import_weights(path, model)
    assert report.source == 'Torch 7' and set(report.taken) == set(arrays)
    for name, variable in weights.tf1_names(model).items():
        if name in arrays:
            np.testing.assert_array_equal(variable.numpy().reshape(-1), arrays[name].reshape(-1))


@pytest.mark.parametrize(
    'field, value',
    [
        ('running_var', -np.ones(16, np.float32)),
        ('running_std', np.zeros(16, np.float32)),
        ('running_var', None),
        ('running_var', np.ones(17, np.float32)),
    ],
)
def test_impossible_variances_name_the_variable(tmp_path, field, value):
    path = weight_files.soundnet_file(
        tmp_path / 'a.t7',
        weight_files.soundnet_8_arrays(),
        (0, 4, 8, 11, 14, 18, 21),
        edit=lambda modules: modules[2][1].update({field: value}),
    )
    model = models.build('soundnet8')
    weight_files.check_refused(
        path, model, [v.numpy() for v in model.variables], 'SoundNet/conv1/norm/moving_variance'
    )


def test_damaged_soundnet_files_name_file_and_variable(tmp_path):
    arrays = weight_files.soundnet_8_arrays()
    model = models.build('soundnet8')
    before = [v.numpy() for v in model.variables]
    places = (0, 4, 8, 11, 14, 18, 21)
    path = weight_files.soundnet_file(tmp_path / 'a.t7', arrays, places)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    weight_files.check_refused(path, model, before, 'not a whole Torch 7 file')
    wrong = arrays | {'SoundNet/conv2/weights': np.zeros((32, 1, 16, 31), np.float32)}
    weight_files.soundnet_file(path, wrong, places)
    weight_files.check_refused(path, model, before, 'SoundNet/conv2/weights')
    weight_files.soundnet_file(path, arrays, (1, 4, 8, 11, 14, 18, 21))
    weight_files.check_refused(path, model, before, 'module 0')
    other = models.build('hearnet')
    weight_files.check_refused(path, other, [v.numpy() for v in other.variables], 'not for hearnet')


def test_the_command(hearnet, capsys):
    arrays, model, _, folder = hearnet
    source = weight_files.write_checkpoint(
        folder / 'model.ckpt', arrays | {'global_step': np.int64(1)}
    )
    out = folder / 'new' / 'hearnet.weights.h5'
    call = ['import-weights', f'--from={source}', '--model=hearnet', f'--out={out}']
    assert main.main(call) == 0
    printed = capsys.readouterr().out
    assert '14 taken, 1 left, 0 missing' in printed and '    global_step' in printed
    weights.load(model, out)
    for name, variable in weights.tf1_names(model).items():
        np.testing.assert_array_equal(variable.numpy().reshape(-1), arrays[name].reshape(-1))
    assert weights.layout(out) == 'slim'
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    for bad, message in (
        (call, 'exists'),
        (call[:-1] + ['--out=x.h5'], r'.weights.h5'),
        (call[:2] + ['--model=nothing', '--out=y.weights.h5'], 'nothing'),
        (call[:3] + ['--out=y.weights.h5', '--classes=0'], '--classes=0'),
        (call[:3] + ['--out=y.weights.h5', '--classes=10'], 'hear_net/fc2/'),
        (call[:3], '--out'),
        (['nothing'], 'nothing'),
        (call + ['stray'], 'stray'),
        (['import-weights', '--from=/none', '--model=hearnet', '--out=y.weights.h5'], '/none'),
    ):
        assert main.main(bad) == 1
        errors = capsys.readouterr().err
        assert message in errors and errors.startswith('error: ') and errors.count('\n') == 1


def test_the_command_groups_what_it_lists(hearnet, capsys):
    arrays, _, _, folder = hearnet
    slots = {f'{name}/Adam': array for name, array in arrays.items()}
    rest = {n: a for n, a in (arrays | slots).items() if 'conv3/' not in n}
    source, out = (
        weight_files.write_checkpoint(folder / 'model.ckpt', rest),
        folder / 'a.weights.h5',
    )
    call = ['import-weights', f'--from={source}', '--model=hearnet', f'--out={out}']
    assert main.main(call) == 1 and not out.exists()
    assert 'allow_missing' in capsys.readouterr().err
    assert main.main(call + ['--allow_missing']) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ['taken: 12', '    hear_net/conv1 (2)']
    assert printed[7:11] == [
        'ignored in the file: 12',
        '    */Adam (12)',
        'missing, randomly initialised: 2',
        '    hear_net/conv3 (2)',
    ]
    assert main.main(call + ['--allow_missing', '--overwrite']) == 0


def test_the_command_prints_one_line_of_a_mistake(command):
    code, printed, errors = command(
        '-m',
        'dualcam',
        'import-weights',
        '--from=none.ckpt',
        '--model=hearnet',
        '--out=none.weights.h5',
    )
    assert (code, printed, errors) == (1, '', 'error: none.ckpt: no such checkpoint\n')


def test_files_of_weights_that_do_not_fit_are_named(hearnet):
    _, model, before, folder = hearnet
    path = folder / 'a.weights.h5'
    weights.save(models.build('dualcamnet'), path)
    with pytest.raises(ValueError, match=r'a\.weights\.h5: not the weights of hearnet'):
        weights.load(model, path)
    for other in (models.build('hearnet', 13), models.build('dualcamnet')):
        other.save_weights(path)  # by Keras only, which stores no name
        with pytest.raises(ValueError, match=r'a\.weights\.h5: not the weights of hearnet'):
            weights.load(model, path)
        for was, now in zip(before, model.variables, strict=True):
            np.testing.assert_array_equal(was, now.numpy())
    with pytest.raises(ValueError, match=r'none\.weights\.h5: no such file'):
        weights.load(model, folder / 'none.weights.h5')
    with pytest.raises(ValueError, match=r'a\.h5: expected a name that ends in'):
        weights.load(model, folder / 'a.h5')
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r'a\.weights\.h5: not a complete file'):
        weights.load(model, path)
    with pytest.raises(ValueError, match='layout'):
        models.build('resnet50', layout='torch')
