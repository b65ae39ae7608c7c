"""Learning from acoustic images: teachers, one-microphone students, distillation."""

import os

# Set before TensorFlow is imported, which by default uses oneDNN only with AVX-512. Without AVX-512
# it also makes training three times as fast, and all processors then use the same library.
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')

__version__ = '0.2.0'
