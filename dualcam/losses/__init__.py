"""Loss functions: cross-entropies, terms of mutual learning, triplets."""

from dualcam.losses.classification import binary_cross_entropy as binary_cross_entropy
from dualcam.losses.classification import cross_entropy as cross_entropy
from dualcam.losses.classification import distillation as distillation
from dualcam.losses.classification import distillation_terms as distillation_terms
from dualcam.losses.classification import feature_distance as feature_distance
from dualcam.losses.classification import l2_penalty as l2_penalty
from dualcam.losses.classification import mixed_cross_entropy as mixed_cross_entropy
from dualcam.losses.classification import soft_binary_cross_entropy as soft_binary_cross_entropy
from dualcam.losses.classification import soft_cross_entropy as soft_cross_entropy
