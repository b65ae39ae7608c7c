"""Flags of commands that can run on a cluster."""

import contextlib
from typing import Any

from absl import flags

from dualcam import jobs


def define() -> None:
    """Defines --cluster and --cluster_file."""
    flags.DEFINE_string(
        'cluster',
        None,
        'tcp://HOST:PORT of a Dask scheduler whose workers do the work (docs/scale.md).',
    )
    flags.DEFINE_string('cluster_file', None, 'File of that scheduler, instead of --cluster.')


def connected() -> contextlib.AbstractContextManager[jobs.Cluster | None]:
    """The `jobs.Cluster` that the flags ask for, or None; see `jobs.connected`."""
    options: Any = flags.FLAGS
    return jobs.connected(options.cluster, options.cluster_file)
