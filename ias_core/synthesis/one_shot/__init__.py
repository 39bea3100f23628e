"""One-shot methods: a real NG in, its defect on good parts out, and what they share.

Importing this package registers them, without torch: what needs it is imported when it is used.
"""

from ias_core.synthesis.one_shot import one_shot_diffusion  # noqa: F401
