"""Raw recordings to one-second TFRecords; run from the checkout."""

import dualcam  # noqa: F401  (sets up TensorFlow's environment)
