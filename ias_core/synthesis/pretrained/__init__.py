"""Methods over diffusion weights of the user's. Importing this package registers those in ``methods``, without torch.

What lies beside ``methods`` is shared by them and is imported inside functions where it needs torch.
"""

from importlib import import_module

import_module(f"{__name__}.methods")
