"""SavedModels that could do more than compute are refused before TensorFlow loads them."""

import json

import pytest
import tensorflow as tf

from dualcam.export import saved_model_safety, tflite
from dualcam.inference import students


def saved(folder, serve, network='network', **parts):
    """A SavedModel with a given function as `window`, and the other files of a student's export."""
    module = tf.Module()
    scale = tf.Variable(2.0)
    for name, part in {network: [scale], 'scale': scale, **parts}.items():
        setattr(module, name, part)
    spec = tf.TensorSpec([None], tf.float32, 'waveform')
    tf.saved_model.save(
        module,
        str(folder),
        {
            'window': tf.function(
                lambda waveform: {'logits': serve(scale * waveform)}, input_signature=[spec]
            )
        },
    )
    (folder / 'assets').mkdir(exist_ok=True)
    (folder / 'assets' / 'class_names.txt').write_text('a\n')
    (folder / 'assets' / 'metadata.json').write_text(
        json.dumps(
            {
                'network': 'x',
                'seconds': 1,
                'classes': ['a'],
                'sample_rate_hz': 8000,
                'embedding_layer': 'fc1',
            }
        )
    )
    return folder


def test_a_model_that_computes_is_loaded(tmp_path):
    listener = students.open_listener(saved(tmp_path / 'm', tf.nn.relu))
    assert listener.listen('logits')([1.0, -1.0]).tolist() == [2.0, 0.0]


def write(sound):
    with tf.control_dependencies([tf.io.write_file('/tmp/dualcam-was-here', 'x')]):
        return tf.identity(sound)


def write_now_and_then(sound):
    return tf.cond(tf.reduce_sum(sound) > 1e9, lambda: write(sound), lambda: sound)


def call_python(sound):
    return tf.numpy_function(lambda x: x, [sound], tf.float32)


def write_tensors(sound):
    tf.raw_ops.SaveV2(prefix='x', tensor_names=['x'], shape_and_slices=[''], tensors=[sound])
    return sound


@pytest.mark.parametrize(
    'serve, operation',
    [
        (write, 'WriteFile'),
        (write_now_and_then, 'WriteFile'),
        (call_python, 'PyFunc'),
        (
            lambda sound: sound + tf.strings.to_number(tf.io.read_file('x')),
            'ReadFile|StringToNumber',
        ),
        (write_tensors, 'reads or writes files, could be called'),
    ],
    ids=['write', 'nested', 'python', 'read', 'save'],
)
def test_a_model_that_could_do_more_is_not(serve, operation, tmp_path):
    place = saved(tmp_path / 'm', serve)
    for load in (
        students.open_listener,
        lambda path: tflite.convert(path, tmp_path / 'a.tflite', 'float32'),
    ):
        with pytest.raises(ValueError, match=rf'm/saved_model\.pb.*({operation})'):
            load(place)


def test_what_runs_when_a_model_is_loaded_is_looked_at_too(tmp_path):
    class Maker(tf.saved_model.experimental.TrackableResource):
        def _create_resource(self):
            return tf.raw_ops.AnonymousIterator(output_types=[tf.int64], output_shapes=[[]])

        def _initialize(self):
            tf.io.write_file(str(tmp_path / 'was_here'), 'x')

    with pytest.raises(ValueError, match=r'saved_model\.pb: has the operation'):
        students.open_listener(saved(tmp_path / 'm', tf.nn.relu, made=Maker()))
    assert not (tmp_path / 'was_here').exists()


@pytest.mark.parametrize('metadata', ['{}', '[]', '{"network": 1'])
def test_a_model_without_its_description_is_not_ours(metadata, tmp_path):
    place = saved(tmp_path / 'm', tf.nn.relu)
    (place / 'assets' / 'metadata.json').write_text(metadata)
    with pytest.raises(ValueError, match=r'm: not a SavedModel that dualcam exported'):
        students.open_listener(place)


def test_a_model_without_a_network_is_not_ours(tmp_path):
    with pytest.raises(ValueError, match=r'm: not a SavedModel that dualcam exported'):
        students.open_listener(saved(tmp_path / 'm', tf.nn.relu, network='other'))


def test_a_damaged_model_is_named(tmp_path):
    place = saved(tmp_path / 'm', tf.nn.relu)
    (place / 'saved_model.pb').write_bytes(b'\xff' * 100)
    with pytest.raises(ValueError, match=r'saved_model\.pb: damaged'):
        saved_model_safety.check(place)
