"""Checks that every record of a folder exists and is intact; reports and repairs faults.

    python -m records.verify --root=DIR [--report=FILE.json] [--processes=N] [--repair]

Finds files that are truncated, empty, not GZIP, or have flipped bits; foreign messages, missing
keys, wrong sizes, labels that contradict their folder, values that are not finite; gaps in the
numbering of a sequence, and records of another kind than the rest; and, if the conversion left a
`manifest.jsonl`, every record that differs from it. Covers the records of all converters. Prints
one line per finding; the exit code is 1 if there are any.

With --repair, damaged and missing records are converted again from the raw files that
`conversion.json` lists; remaining faults are reported.
"""

import collections
import dataclasses
import json
import pathlib

from absl import app, flags

from dualcam import jobs
from dualcam.cli import errors
from dualcam.data import schema
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath
from records import cluster_flags, manifest, repair, verification


def verify(
    root: AnyPath,
    processes: int = 1,
    repairing: bool = False,
    cluster: jobs.Cluster | None = None,
) -> tuple[int, list[verification.Finding], list[verification.Finding], dict[str, str]]:
    """Checks all records below a folder.

    Args:
        root: of the records.
        processes: their number.
        repairing: convert faulty records again where possible, in this process.
        cluster: its workers read the records instead of this machine's processes.

    Returns:
        The number of records, the remaining findings, the repaired ones, and {path:
        reason} of records that could not be repaired.

    Raises:
        ValueError: there is no such folder, or it has no records.
    """
    paths = verification.find_records(root)
    inspected = verification.inspect_all(root, paths, processes, cluster)
    findings = verification.compare(root, inspected)
    if not inspected and not findings:
        raise ValueError(f'{root}: contains no records')
    if not repairing or not findings:
        return len(inspected), findings, [], {}
    paths = [one.path for one in findings if one.path.endswith(schema.RECORD_SUFFIX)]
    failed = repair.repair(root, paths)
    entries, broken = manifest.read(root)
    if broken:
        manifest.write(root, entries.values())
    again = [path for path in paths if (pathlib.Path(root) / path).exists()]
    inspected |= verification.inspect_all(root, again, processes, cluster)
    left = verification.compare(root, inspected)
    known = {one.path for one in left}
    return len(inspected), left, [one for one in findings if one.path not in known], failed


def main(_: list[str]) -> int:
    """Runs the command."""
    options = flags.FLAGS
    with cluster_flags.connected() as cluster:
        count, findings, repaired, failed = verify(
            options.root, options.processes or jobs.default_processes(), options.repair, cluster
        )
    for finding in repaired:
        print(f'repaired: {finding.path}: {finding.message}')
    for finding in findings:
        reason = failed.get(finding.path)
        print(f'{finding} (not repaired: {reason})' if reason else finding)
    if options.report:
        report = {
            'root': options.root,
            'records': count,
            'manifest': (pathlib.Path(options.root) / manifest.MANIFEST_FILE).exists(),
            'findings': [
                dataclasses.asdict(one)
                | {'way_out': one.way_out, 'not_repaired': failed.get(one.path)}
                for one in findings
            ],
            'repaired': [dataclasses.asdict(one) for one in repaired],
        }
        atomic.write_text(options.report, json.dumps(report, indent=1) + '\n')
    kinds = collections.Counter(one.kind for one in findings)
    detail = ', '.join(f'{number} {kind}' for kind, number in kinds.most_common())
    print(
        f'{count} records read, {len(findings)} findings'
        + (f' ({detail})' if detail else '')
        + (f', {len(repaired)} repaired' if options.repair else '')
        + (
            ''
            if (pathlib.Path(options.root) / manifest.MANIFEST_FILE).exists()
            else '; no manifest to compare with'
        )
        + f': {options.root}'
    )
    return 1 if findings else 0


if __name__ == '__main__':
    flags.DEFINE_string('root', None, 'Folder with the records.', required=True)
    flags.DEFINE_string('report', None, 'JSON file to write the findings to.')
    flags.DEFINE_integer('processes', None, 'Number of processes; default one per core, up to 8.')
    cluster_flags.define()
    flags.DEFINE_bool('repair', False, 'Convert damaged and missing records again.')
    flags.adopt_module_key_flags(cluster_flags)  # for --help
    app.run(errors.clean_errors(main))
