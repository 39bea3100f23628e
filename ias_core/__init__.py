"""Images, patch features, PatchCore and synthesis."""

import os

# Threads that wait for each other shall sleep, not spin: on two cores, one of them busy with something else, scoring
# and feature extraction were measured to take half the time. Read by OpenMP when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
