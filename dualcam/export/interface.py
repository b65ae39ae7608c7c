"""What programs that load an exported student rely on: names of its signatures, outputs and files.

Without TensorFlow or Keras, for those that only load one.
"""

SIGNATURE, WAV_SIGNATURE, WINDOW_SIGNATURE = 'serving_default', 'serve_wav_bytes', 'window'
OUTPUTS = ('logits', 'probabilities', 'embedding')
TFLITE_SUFFIX = '.tflite'
