"""What things are called on screen; the keys are those of the services."""

METHODS = {
    "glass-las-own": "own texture",
    "glass-las-foreign": "foreign texture",
    "graded-spot": "graded spots",
}
METHOD_HELP = {
    "glass-las-own": "GLASS local synthesis with the product's own surface from another place: the hard case, "
    "and the one that thresholds use",
    "glass-las-foreign": "GLASS local synthesis with surfaces the product does not have: the easy end",
    "graded-spot": "Spots laid out on purpose from tiny and faint to large and plain: they show which size and which "
    "signal-to-noise ratio a defect needs to be found. Some are invisible by design, so their recall and AUROC mean "
    "nothing, and no threshold rule uses them",
}
OK_SOURCES = {"held-out": "calibration OK", "leave-one-out": "leave-one-out OK", "check": "check OK"}
EVIDENCE_LOOKS = {"T0": "ok", "T1": "synthetic", "T2": "real", "T3": "real"}


def method(key: str) -> str:
    """Short name of a synthesis method; a method without one shows its key."""
    return METHODS.get(key, key)
