"""The papers' tables."""

import dualcam  # noqa: F401  (sets up TensorFlow's environment)
