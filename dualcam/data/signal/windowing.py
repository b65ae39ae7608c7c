"""The windows that cover a sound: one rule for files, clips and served models."""

import numpy as np

SHORTEST_REST = 50  # a remainder of up to 1/50 of a window gets no window of its own


def starts(num_samples: int, clip_samples: int, hop_samples: int) -> np.ndarray:
    """First samples of the windows that cover a sound.

    Windows start every hop. If the last one leaves a remainder of more than a fiftieth of a window,
    one more window ends with the sound (encoders append some milliseconds). A sound shorter than a
    window has one window, to be padded with zeros.

    Args:
        num_samples: of the sound.
        clip_samples: of a window.
        hop_samples: between window starts.

    Returns:
        [windows] int64.
    """
    room = max(0, num_samples - clip_samples)
    count = room // hop_samples + 1
    if room % hop_samples > clip_samples // SHORTEST_REST:
        count += 1
    return np.minimum(np.arange(count) * hop_samples, room)
