"""Records made again of their sources, as `conversion.json` notes them.

Each conversion that filled the folder is called again for the damaged records alone. One that
cannot be made again, for its source is gone or damaged too, stays as it is.
"""

import collections
import pathlib

from dualcam.data import schema
from dualcam.files import progress_bars
from records import (
    conversion,
    convert_acivw,
    convert_array,
    convert_avia,
    convert_sounds,
    convert_tagging,
)

_CONVERT = {
    'convert_array': convert_array.convert,
    'convert_avia': convert_avia.convert,
    'convert_acivw': convert_acivw.convert,
    'convert_sounds': convert_sounds.convert,
    'convert_tagging': convert_tagging.convert,
}


def repair(root, paths):
    """Writes records anew.

    Args:
        root: of the records.
        paths: of the records to write, relative to it.

    Returns:
        {path: why not} of those that could not be written.
    """
    try:
        calls = list(conversion.read_settings(root)[1].values())
    except ValueError as error:
        return dict.fromkeys(paths, str(error))
    if not calls:
        return dict.fromkeys(
            paths,
            f'{conversion.CONVERSION_FILE} does not say what they were '
            'made of; convert all again with --overwrite, or remove the record '
            'and call the conversion again',
        )
    folders = collections.defaultdict(set)
    for path in paths:
        folders[pathlib.PurePosixPath(path).parent].add(path)
    failed = {}
    with (
        progress_bars.bar(desc='repairing', total=len(paths), unit='record') as bar,
        progress_bars.hidden(),
    ):
        for group in folders.values():
            failed |= _convert(root, calls, group)
            bar.update(len(group))
    return failed


def _convert(root, calls, group):
    """{path: why not} of records of one folder; what stops them all is looked for by halves."""
    reason = 'none of the noted sources holds it'
    for call in calls:
        options = dict(call.options)
        if 'modalities' in options:
            options['modalities'] = [schema.MODALITIES[name] for name in options['modalities']]
        try:
            written, *_ = _CONVERT[call.command](
                out=root, only=group, **options, **conversion.located(call, root)
            )
        except (ValueError, KeyError, TypeError) as error:
            reason = str(error)
            continue
        if written == len(group):
            return {}
    if len(group) == 1:
        return dict.fromkeys(group, reason)
    ordered = sorted(group)
    half = len(ordered) // 2
    return _convert(root, calls, set(ordered[:half])) | _convert(root, calls, set(ordered[half:]))
