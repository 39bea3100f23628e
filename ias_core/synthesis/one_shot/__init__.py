"""Methods without pretrained weights: one real NG's defect on good parts, a pixel model of the product, or both.

Importing this package registers them, without torch: what needs it is imported when it is used.
"""

from ias_core.synthesis.one_shot import one_shot_diffusion, sdas  # noqa: F401
