"""Runs many similar jobs, in local processes or on the workers of a cluster."""

from dualcam.jobs.clusters import Cluster as Cluster
from dualcam.jobs.clusters import connected as connected
from dualcam.jobs.clusters import shared_path as shared_path
from dualcam.jobs.pools import default_processes as default_processes
from dualcam.jobs.pools import run_all as run_all
