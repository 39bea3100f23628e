"""Importing this package registers every image-space method that lies in it or in a package named below.

The feature-space methods register themselves in their own package: they need torch, which a page does without.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    if not _module.ispkg:
        import_module(f"{__name__}.{_module.name}")
for _package in ("handcrafted", "one_shot", "pretrained"):
    import_module(f"{__name__}.{_package}")
