"""What the converters of raw folders share: records of a sequence, settings, flags.

A converter says which frames make which second and reads them; here they become records, each
written whole or not at all. Records that exist are left as they are.
"""

import json
import pathlib

from absl import flags

from dualcam.data import schema
from records import jobs, lists

CONVERSION_FILE = 'conversion.json'


def record_path(folder, second):
    """Where second number `second` (from 0) of a sequence lies in its records folder."""
    return pathlib.Path(folder) / lists.record_name(second + 1)


def write_seconds(name, labels, plan, read, overwrite=False, compression_level=1):
    """Writes the records of one sequence.

    Args:
        name: of the sequence, for messages.
        labels: {context key: int}.
        plan: [(record path, [12 frame indices from 0])].
        read: gives {modality name: array} of a frame index.
        overwrite: write records anew that exist.
        compression_level: of GZIP.

    Returns:
        How many were written and how many existed already.

    Raises:
        ValueError: a raw file is damaged; the message names it, records before it are whole.
    """
    from records import writer  # TensorFlow is loaded by the processes that write

    written = existing = 0
    for path, indices in plan:
        if path.exists() and not overwrite:
            existing += 1
            continue
        frames = [read(i) for i in indices]
        try:
            example = writer.second_to_example(
                labels, {key: [frame[key] for frame in frames] for key in frames[0]})
        except ValueError as error:
            raise ValueError(f'{name}, second {path.stem}: {error}') from error
        writer.write_record(path, example, compression_level)
        written += 1
    return written, existing


def claim(out, settings, overwrite):
    """Notes what the records of `out` are made with.

    Raises:
        ValueError: they are made with something else, and are not to be overwritten.
    """
    path = pathlib.Path(out) / CONVERSION_FILE
    if path.exists() and not overwrite:
        before = json.loads(path.read_text(encoding='utf-8'))
        if before != settings:
            raise ValueError(f'{out}: holds records made with {before}, not {settings}; choose '
                             'another --out, or --overwrite')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings) + '\n', encoding='utf-8')


def define_flags():
    """Flags that every converter has."""
    flags.DEFINE_string('out', None, 'Where the records go.', required=True)
    flags.DEFINE_list('modalities', ['0', '1', '2'], '0 acoustic images, 1 audio, 2 video.')
    flags.DEFINE_bool('overwrite', False, 'Write records anew that exist.')
    flags.DEFINE_integer('compression_level', 1, 'Of GZIP.', lower_bound=1, upper_bound=9)
    flags.DEFINE_integer('processes', None, 'How many work at a time; default one a processor.')


def shared_options():
    """Values of `define_flags`, by the names that the converters' functions give them."""
    options = flags.FLAGS
    return {'modalities': schema.modalities_by_number(int(n) for n in options.modalities),
            'out': options.out, 'overwrite': options.overwrite,
            'compression_level': options.compression_level,
            'processes': options.processes or jobs.default_processes()}
