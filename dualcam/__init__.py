"""Learning from acoustic images: teachers, one-microphone students, distillation."""

import os

# Before TensorFlow, which by itself uses oneDNN only where there is AVX-512. Without that it makes
# training three times as fast too, and all processors then compute by the same library.
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')

__version__ = '0.2.0'
