"""Repairs records from their sources, as `conversion.json` lists them.

Each conversion that filled the folder is called again for the damaged records only. A record whose
source is missing or also damaged is left unchanged.
"""

import collections
import pathlib
from collections.abc import Callable, Sequence

from dualcam.data import schema
from dualcam.files import progress_bars
from dualcam.files.path_types import AnyPath
from records import (
    conversion,
    convert_acivw,
    convert_array,
    convert_avia,
    convert_sounds,
    convert_tagging,
)

_CONVERT: dict[str, Callable[..., tuple]] = {
    'convert_array': convert_array.convert,
    'convert_avia': convert_avia.convert,
    'convert_acivw': convert_acivw.convert,
    'convert_sounds': convert_sounds.convert,
    'convert_tagging': convert_tagging.convert,
}


def repair(root: AnyPath, paths: Sequence[str]) -> dict[str, str]:
    """Rewrites records.

    Args:
        root: of the records.
        paths: of the records to rewrite, relative to it.

    Returns:
        {path: reason} of those that could not be repaired.
    """
    try:
        calls = list(conversion.read_settings(root)[1].values())
    except ValueError as error:
        return dict.fromkeys(paths, str(error))
    if not calls:
        return dict.fromkeys(
            paths,
            f'{conversion.CONVERSION_FILE} does not list their sources; convert all again with '
            '--overwrite, or remove the record and call the conversion again',
        )
    folders: dict[pathlib.PurePosixPath, set[str]] = collections.defaultdict(set)
    for path in paths:
        folders[pathlib.PurePosixPath(path).parent].add(path)
    failed: dict[str, str] = {}
    with (
        progress_bars.bar(desc='repairing', total=len(paths), unit='record') as bar,
        progress_bars.hidden(),
    ):
        for group in folders.values():
            failed |= _convert(root, calls, group)
            bar.update(len(group))
    return failed


def _convert(root, calls, group):
    """{path: reason} of the failed records of one folder; finds the culprits by bisection."""
    reason = 'none of the listed sources contains it'
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
