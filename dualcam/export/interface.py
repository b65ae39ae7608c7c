"""Names of an exported student's signatures, outputs and files, for programs that load it.

Imports neither TensorFlow nor Keras.
"""

SIGNATURE, WAV_SIGNATURE, WINDOW_SIGNATURE = 'serving_default', 'serve_wav_bytes', 'window'
OUTPUTS = ('logits', 'probabilities', 'embedding')
TFLITE_SUFFIX = '.tflite'
TFLITE_KINDS = ('float32', 'float16', 'int8')
