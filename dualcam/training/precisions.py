"""Names of a run's number formats, which `hardware.py` describes.

Separate from it, so that commands can define their flags without loading TensorFlow.
"""

PRECISIONS = ('float32', 'mixed_bfloat16', 'mixed_float16')
