"""The networks: one file each, and one registry."""

from dualcam.models.network_inputs import hear as hear
from dualcam.models.network_inputs import inputs_of as inputs_of
from dualcam.models.registry import NAMES as NAMES
from dualcam.models.registry import NETWORKS as NETWORKS
from dualcam.models.registry import TAGGING_NAMES as TAGGING_NAMES
from dualcam.models.registry import Network as Network
from dualcam.models.registry import build as build
from dualcam.models.registry import build_head as build_head
from dualcam.models.registry import build_map as build_map
from dualcam.models.registry import network as network
from dualcam.models.registry import regularized_kernels as regularized_kernels
from dualcam.models.registry import trained_variables as trained_variables
