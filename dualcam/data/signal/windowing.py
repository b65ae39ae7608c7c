"""Which windows cover a sound: one rule for files, clips and served models (`graph_windowing`)."""

import numpy as np

SHORTEST_REST = 50  # a rest up to this fraction of a window gets no window of its own


def starts(num_samples: int, clip_samples: int, hop_samples: int) -> np.ndarray:
    """First samples of the windows that cover a sound.

    Windows follow each other by the hop. If the last one leaves a rest of more than a fiftieth of
    a window, one more window ends with the sound (encoders append some milliseconds). A sound
    shorter than a window has one window, to be padded with zeros.

    Args:
        num_samples: of the sound.
        clip_samples: of a window.
        hop_samples: from window to window.

    Returns:
        [windows] int64.
    """
    room = max(0, num_samples - clip_samples)
    count = room // hop_samples + 1
    if room % hop_samples > clip_samples // SHORTEST_REST:
        count += 1
    return np.minimum(np.arange(count) * hop_samples, room)
