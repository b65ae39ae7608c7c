"""The recipes by kind, for `run.train`."""

from dualcam.training.recipes.correspondence import CORRESPONDENCE as CORRESPONDENCE
from dualcam.training.recipes.distillation import DISTILLATION as DISTILLATION
from dualcam.training.recipes.recipe import Recipe as Recipe
from dualcam.training.recipes.supervised import SUPERVISED as SUPERVISED
from dualcam.training.recipes.tagging import TAGGING as TAGGING

ALL = {one.kind: one for one in (SUPERVISED, DISTILLATION, CORRESPONDENCE, TAGGING)}
