"""Checks that the records of a folder are complete, intact and consistent with their manifest.

`inspection` checks each file; here the files are compared with each other and with what
`manifest.jsonl`, `conversion.json` and `videos.json` list. `verify` is the command, `repair`
converts damaged records again.
"""

import collections
import dataclasses
import functools
import itertools
import pathlib
import re
from collections.abc import Iterable

from dualcam import jobs
from dualcam.data import schema
from dualcam.data.records import record_lists
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath
from records import conversion, inspection, manifest

VIDEOS_FILE = 'videos.json'
_RECORDS_A_PIECE = 32  # for a cluster's worker: 0.2 s of work, longer than sending it takes
_NUMBERED = re.compile(r'(.*)/Data_(\d{3,})' + re.escape(schema.RECORD_SUFFIX))
_MOST_GAPS = 1000  # findings in a folder: one wrong name may imply billions
_AGAIN = 'call the conversion again'
_WAYS_OUT = {
    'foreign': 'remove it, or convert it again',
    'label': 'move it where it belongs, or convert it again',
    'not_finite': 'beamform and convert it again',
    'missing': _AGAIN,
    'gap': _AGAIN,
    'not_listed': f'{_AGAIN}, which lists it, or remove it',
    'manifest_line': _AGAIN,
    'settings': f'remove the file and {_AGAIN}',
    'extra': 'remove it',
    'other_kind': 'move it elsewhere, or convert it like the others (--overwrite)',
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One fault of a records folder.

    Attributes:
        path: of a record or another file, relative to the folder.
        kind: a short name for the fault.
        message: the fault in words.
    """

    path: str
    kind: str
    message: str

    @property
    def way_out(self) -> str:
        """How to fix it."""
        return _WAYS_OUT.get(self.kind, 'convert it again')

    def __str__(self):
        return f'{self.path}: {self.message}; {self.way_out}'


def find_records(root: AnyPath) -> list[str]:
    """Paths of all records below a folder, relative to it, with slashes, sorted.

    Raises:
        ValueError: there is no such folder.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
        raise ValueError(f'{root}: no such folder')
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob(f'*{schema.RECORD_SUFFIX}')
    )


def inspect_all(
    root: AnyPath,
    paths: Iterable[str],
    processes: int = 1,
    cluster: jobs.Cluster | None = None,
) -> dict[str, inspection.Inspection]:
    """{path: `inspection.Inspection`} of records, by paths relative to `root`."""
    paths = list(paths)
    size = 1 if cluster is None else _RECORDS_A_PIECE
    found = jobs.run_all(
        functools.partial(_inspect, root=str(jobs.shared_path(root, cluster))),
        [paths[i : i + size] for i in range(0, len(paths), size)],
        processes,
        'record',
        cluster=cluster,
        size_of=len,
        name_of=lambda piece: f'{piece[0]} and the {len(piece) - 1} records after it',
        folder=root,
    )
    return {one.path: one for piece in found for one in piece}


def compare(root: AnyPath, inspected: dict[str, inspection.Inspection]) -> list[Finding]:
    """All faults of a folder of records.

    Args:
        root: of the records.
        inspected: {path: `inspection.Inspection`} of all records below it.

    Returns:
        `Finding`s, sorted by path; at most one per record.
    """
    findings = [Finding(one.path, one.kind, one.message) for one in inspected.values() if one.kind]
    try:
        settings, _ = conversion.read_settings(root)
    except ValueError as error:
        settings = {}
        findings.append(
            Finding(conversion.CONVERSION_FILE, 'settings', str(error).partition(': ')[2])
        )
    entries, broken = manifest.read(root)
    findings += [
        Finding(manifest.MANIFEST_FILE, 'manifest_line', f'line {number} is truncated or damaged')
        for number in broken
    ]
    findings += _against_manifest(
        inspected, entries, (pathlib.Path(root) / manifest.MANIFEST_FILE).exists()
    )
    known = {finding.path for finding in findings}
    findings += _numbering(inspected.keys() | known, _expected_counts(root, settings))
    findings += _strangers(
        [one for one in inspected.values() if one.path not in known], settings.get('modalities')
    )
    return sorted(findings, key=lambda finding: finding.path)


def _inspect(paths, root):
    return [inspection.inspect(path, root) for path in paths]


def _against_manifest(inspected, entries, has_manifest):
    """Intact records that differ from the manifest."""
    if not has_manifest:
        return
    for path, entry in entries.items():
        one = inspected.get(path)
        if one is None:
            yield Finding(path, 'missing', 'is listed in the manifest, but missing')
        elif one.kind:
            continue
        elif one.num_bytes != entry.num_bytes:
            yield Finding(
                path,
                'other_size',
                f'has {one.num_bytes} bytes; the manifest says {entry.num_bytes}',
            )
        elif one.crc32c != entry.crc32c:
            yield Finding(
                path, 'other_crc', f'has the CRC-32C {one.crc32c}; the manifest says {entry.crc32c}'
            )
    for path in sorted(inspected.keys() - entries.keys()):
        if not inspected[path].kind:
            yield Finding(path, 'not_listed', 'exists, but is not listed in the manifest')


def _expected_counts(root, settings):
    """{folder: number of records of its sequence}, with a default for other folders."""
    path = pathlib.Path(root) / VIDEOS_FILE
    try:
        counts = {
            folder: int(video['records']) for folder, video in text_files.read_json(path).items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        counts = {}
    return collections.defaultdict(lambda: settings.get('sequence_seconds', 0), counts)


def _numbering(paths, expected):
    """Gaps in the numbering of records in their folders, from 1, and records beyond its end."""
    numbers: dict[str, set[int]] = collections.defaultdict(set)
    for folder in expected:
        numbers[folder] = set()
    for match in filter(None, map(_NUMBERED.fullmatch, paths)):
        numbers[match[1]].add(int(match[2]))
    for folder, there in numbers.items():
        last = max([*there, expected[folder]])
        missing = (number for number in range(1, last + 1) if number not in there)
        for number in itertools.islice(missing, _MOST_GAPS):
            yield Finding(
                f'{folder}/{record_lists.record_name(number)}',
                'gap',
                f'is missing in its folder, which should have records 1 - {last}',
            )
        for number in sorted(there) if expected[folder] else ():
            if number > expected[folder]:
                yield Finding(
                    f'{folder}/{record_lists.record_name(number)}',
                    'extra',
                    f'is beyond the {expected[folder]} records that its sequence has',
                )


def _strangers(whole, modalities):
    """Intact records of another kind than their neighbours or the settings."""
    counts = collections.Counter(one.holds for one in whole)
    common = max(counts, key=lambda kind: counts[kind], default='')
    for one in whole:
        kind, _, held = one.holds.partition(': ')
        wanted = common
        if modalities and kind in ('AVIA', 'ACIVW'):
            wanted = f'{common.partition(": ")[0]}: {", ".join(modalities)}'
        if one.holds != wanted:
            yield Finding(
                one.path, 'other_kind', f'contains {one.holds or held}; the others contain {wanted}'
            )
