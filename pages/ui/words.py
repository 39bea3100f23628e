"""What things are called on screen; the keys are those of the services."""

import re
from collections.abc import Sequence

METHODS = {
    "glass-las-own": "own texture",
    "glass-las-foreign": "foreign texture",
    "cutout": "CutOut",
    "cutpaste": "CutPaste",
    "cutpaste-scar": "CutPaste-Scar",
    "cutpaste-scar-asbench": "CutPaste-Scar of ASBench",
    "fpi": "FPI",
    "fpi-asbench": "FPI of ASBench",
    "pii": "PII",
    "riad": "RIAD masking",
    "draem": "DRAEM",
    "destseg": "DestSeg",
    "fractalad": "FractalAD",
    "memseg": "MemSeg",
    "memseg-asbench": "MemSeg of ASBench",
    "nsa": "NSA",
    "nsa-asbench": "NSA of ASBench",
    "reb": "REB",
    "scratch": "scratch",
    "dent": "dent",
    "stain": "stain",
    "foreign-body": "foreign body",
    "graded-spot": "graded spots",
    "one-shot-diffusion": "one-shot transplant",
    "sdas": "SDAS-lite",
    "tf-idg": "TF-IDG",
    "anomalydiffusion": "AnomalyDiffusion",
    "anogen": "AnoGen",
    "adabldm": "AdaBLDM",
    "realnet-sdas": "RealNet SDAS",
    "defectfill": "DefectFill",
    "seas": "SeaS",
    "dualanodiff": "DualAnoDiff",
}
METHOD_HELP = {
    "glass-las-own": "GLASS local synthesis with the product's own surface from another place: the hard case, "
    "and the one that thresholds use",
    "glass-las-foreign": "GLASS local synthesis with surfaces the product does not have: the easy end",
    "cutout": "A black square: a threshold that misses it is broken. Never choose a threshold by it",
    "cutpaste": "A rectangle of the part: pasted elsewhere on it",
    "cutpaste-scar": "A thin strip of the part: turned and pasted elsewhere on it",
    "cutpaste-scar-asbench": "A box with black corners: as ASBench's code draws CutPaste-Scar, to compare only",
    "fpi": "A square that fades into another good part: needs parts that lie alike",
    "fpi-asbench": "A disc made brighter or darker: as ASBench's code draws FPI, to compare only",
    "pii": "A square of other structure, no seam: from another good part, needs parts that lie alike",
    "riad": "Cells of a grid taken out: missing matter in a regular pattern",
    "draem": "A foreign texture in many pieces: a large random shape, gross and plain to see",
    "destseg": "DRAEM with textures as they are: neither turned nor recoloured",
    "fractalad": "A ragged piece in other colours: cut out of the part along a fractal and pasted elsewhere",
    "memseg": "Foreign or shuffled surface: a texture, or the part itself cut up, in random shapes",
    "memseg-asbench": "MemSeg on whatever is dark: as ASBench's code does, to compare only",
    "nsa": "Patches without a seam: taken from another good part, resized; close to real defects",
    "nsa-asbench": "One patch of the same picture: as ASBench calls NSA, to compare only",
    "reb": "Regions, scars and clumps: smooth or jagged, filled with other surface or with noise",
    "scratch": "Fine grooves: along wandering paths, with a light and a dark flank",
    "dent": "A bump or a hollow: the shading of one that is lit from one side",
    "stain": "Something dried on the part: soft spots and blots, darker and duller",
    "foreign-body": "A fibre or a crumb: a hair, a fibre, a chip or a crumb that casts a faint shadow",
    "one-shot-diffusion": "The defect of your own NG: carried over to other good parts, turned, resized, fainter or as "
    "strong as it was seen",
    "sdas": "An axis from OK to NG: coarse grain of a set strength, by a model of good parts alone; a measure, no look",
    "tf-idg": "Your NG drawn into good parts: by your diffusion weights, without training",
    "anomalydiffusion": "Look and place learned apart: from a few NG with masks, by your diffusion weights",
    "anogen": "A few NG become one word: drawn into boxes by your diffusion weights",
    "adabldm": "A defect drawn into a mask: ControlNet on your diffusion weights, sharpness kept",
    "realnet-sdas": "Too much noise in every step: anomalies with a dial, no NG needed",
    "defectfill": "A mask filled with the defect it learned: your inpainting weights, fine-tuned",
    "seas": "One model for good and NG parts: your diffusion weights, fine-tuned on a few NG",
    "dualanodiff": "Whole part and defect drawn together: your diffusion weights, fine-tuned on a few NG",
    "graded-spot": "Spots laid out on purpose from tiny and faint to large and plain: they show which size and which "
    "signal-to-noise ratio a defect needs to be found. Some are invisible by design, so their recall and AUROC mean "
    "nothing, and no threshold rule uses them",
}
FEATURE_METHODS = {
    "glass-gas-manifold": "GLASS, manifold",
    "glass-gas-hypersphere": "GLASS, hypersphere",
    "pbas-radial": "PBAS, radial",
    "cras-residual": "CRAS, residual",
    "simplenet-jitter": "SimpleNet noise",
    "uniad-jitter": "UniAD jitter",
    "supersimplenet-noise": "SuperSimpleNet noise",
    "dsr-codebook": "DSR codebook",
}
DISCRIMINATORS = {
    "glass-manifold": "GLASS, manifold",
    "glass-hypersphere": "GLASS, hypersphere",
    "pbas": "PBAS",
    "cras": "CRAS",
    "simplenet": "SimpleNet",
    "supersimplenet": "SuperSimpleNet",
}
OK_SOURCES = {"held-out": "calibration OK", "leave-one-out": "leave-one-out OK", "check": "check OK"}
EVIDENCE_LOOKS = {"T0": "ok", "T1": "synthetic", "T2": "real", "T3": "real"}


def method(key: str) -> str:
    """Short name of a method, in image or in feature space; one without a name shows its key."""
    return (METHODS | FEATURE_METHODS | DISCRIMINATORS).get(key, key)


def method_from(key: str, sources: Sequence[str]) -> str:
    """Name of a method, with the number of real NG it starts from where it starts from any.

    Examples
    --------
    >>> method_from("nsa", ()), method_from("one-shot-diffusion", ["a.png"] * 40)
    ('NSA', 'one-shot transplant from 1 real NG')
    """
    return f"{method(key)} from {len(set(sources))} real NG" if sources else method(key)


def one_defect(sources: Sequence[str]) -> str:
    """How many NG the pictures of a method were made from, and what that means.

    Examples
    --------
    >>> one_defect(["a.png"] * 40)
    'from 1 real NG: one defect seen from 40 places, so no interval narrows with more pictures'
    >>> one_defect(["a.png", "b.png"] * 20)
    'from 2 real NG, 40 pictures: intervals are over the NG, not over the pictures'
    """
    n, m = len(sources), len(set(sources))
    if m == 1:
        return f"from 1 real NG: one defect seen from {n} places, so no interval narrows with more pictures"
    return f"from {m} real NG, {n} pictures: intervals are over the NG, not over the pictures"


def capital(text: str) -> str:
    """The text with a capital letter in front; the rest as it is, unlike ``str.capitalize``.

    Examples
    --------
    >>> capital("an OK part"), capital("")
    ('An OK part', '')
    """
    return text[:1].upper() + text[1:]


def in_sentence(text: str) -> str:
    """A sentence of a service with the keys of methods in it replaced by their names.

    Whole keys only: a key may be part of another one, or of an English word.

    Examples
    --------
    >>> in_sentence("without cutpaste-scar, which is identical; glass-las-own")
    'without CutPaste-Scar, which is identical; own texture'
    """
    return re.sub(r"[a-z0-9]+(?:-[a-z0-9]+)*", lambda found: METHODS.get(found[0], found[0]), text)

MEANINGS_HELP = (
    "calibrated: I set this threshold as it is described here. reviewed: I looked at the misses, the wrongly rejected "
    "parts and the evidence. approved: I release it as proposed. Approval is another person's than calibration."
)
