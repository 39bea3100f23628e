"""What a record may hold: a made-up release in the fixed schema, with names in Japanese, Chinese and German.

``content()`` is checked on real NG (T2, 10 of 11 caught); ``provisional()`` and ``refuted()`` are not for release;
``fullest()`` has more of everything, and longer, than any page can hold.
Nothing here comes from a file or a clock, so two calls give equal values.
"""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import numpy as np
from PIL import Image

from calibration.bounds import rate_bound
from calibration.evidence import evidence_class
from calibration.rules import RULES
from pages.services.plain import plain

THRESHOLD = 28.15543556213379
RECORD_SHA256 = hashlib.sha256(b"newest signature").hexdigest()
N_CHECK, N_REFERENCE, N_BANK, N_SYNTHETIC = 147, 147, 294, 40
MODES = (
    ("crack", 9, "real", 6, 6, 20, 19),
    ("finger interruption", 6, "real", 3, 2, 0, 0),
    ("Lötstelle kalt (cold joint)", 8, "real", 2, 2, 0, 0),
    ("はんだ不良", 8, "synthetic", 0, 0, 20, 18),
    ("隐裂", 9, "synthetic", 0, 0, 20, 17),
    ("corner broken", 7, "none", 0, 0, 0, 0),
    ("material defect", None, "none", 0, 0, 0, 0),
)  # mode, severity, evidence, real NG, of them caught, synthetic NG, of them caught
_RNG_SEED = 6


def sha(*parts: object) -> str:
    """A sha256 that stands for a file."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def thumbnail(seed: int, *, of_map: bool) -> str:
    """Base64 of a JPEG of 160 px: a cell with a dark crack, or the map of it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:160, 0:160]
    at, slope = rng.integers(40, 120), rng.uniform(-0.6, 0.6)
    near = np.exp(-(((x - at - slope * (y - 80)) / 9.0) ** 2))
    if of_map:
        picture = np.stack([255 * near, 60 + 120 * near * (1 - near) * 4, 120 * (1 - near)], axis=2)
    else:
        grey = 150 - 25 * (x % 54 < 4) + rng.normal(0, 6, x.shape) - 90 * (near > 0.93)
        picture = np.repeat(grey[..., None], 3, axis=2)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


def signatures(n: int = 3) -> list[dict[str, Any]]:
    """The first ``n`` of three signatures: a German, a Japanese and a Chinese name."""
    rows = (
        (
            "Jürgen Weißmüller",
            "calibrated",
            "typed, unverified",
            "Schwelle nach der Toleranzregel gesetzt, Regel vorab",
        ),
        ("さくら 渡辺", "reviewed", "OpenID Connect", "見逃しと過検出の画像をすべて確認した"),
        ("张 伟", "approved", "OpenID Connect", "受限放行：判为不合格的可剔除，判为合格的仍按原规定检验"),
    )
    return [
        {
            "kind": "signature",
            "signed_by": name,
            "identity": {"how": how}
            | (
                {"issuer": "https://login.example.com", "subject": f"00u{i}", "email": f"qa{i}@example.com"}
                if how == "OpenID Connect"
                else {"issuer": "", "subject": "", "email": ""}
            ),
            "role": ("engineer", "quality", "quality manager")[i],
            "meaning": meaning,
            "reason": reason,
            "at": f"2026-01-0{5 + i}T10:0{i}:00+01:00",
            "content": sha("content"),
            "previous": sha("entry", i),
            "sha256": RECORD_SHA256 if i == n - 1 else sha("signature", i),
        }
        for i, (name, meaning, how, reason) in enumerate(rows[:n])
    ]


def content() -> dict[str, Any]:
    """A fresh copy each time, to be changed at will."""
    rng = np.random.default_rng(_RNG_SEED)
    ok = np.round(np.clip(rng.normal(21.3, 1.9, N_CHECK), 17.5, 27.4), 6)
    ok[5], ok[77] = 30.412, 28.377
    reference = np.round(np.clip(rng.normal(21.0, 1.8, N_REFERENCE), 17.5, 28.1), 6)
    synthetic = np.round(rng.normal(39.0, 7.5, N_SYNTHETIC), 6)
    real = [
        {"file": f"{kind}_{i:02d}.png", "kind": kind, "score": score}
        for i, (kind, score) in enumerate(
            [("crack", 41.2), ("crack", 37.9), ("crack", 33.1), ("crack", 52.0), ("crack", 45.4), ("crack", 36.0)]
            + [("finger", 26.914), ("finger", 29.7), ("finger", 31.3), ("joint", 44.8), ("joint", 47.5)]
        )
    ]
    missed = [
        {"file": one["file"], "sha256": sha("ng", one["file"]), "score": one["score"], "kind": one["kind"]}
        for one in real
        if one["score"] < THRESHOLD
    ]
    false_rejects = [
        {"file": f"ok_{i:03d}.png", "sha256": sha("check", i), "score": float(ok[i]), "kind": ""} for i in (5, 77)
    ]
    n_rejected, n_synthetic_caught = int((ok >= THRESHOLD).sum()), int((synthetic >= THRESHOLD).sum())
    caught = rate_bound(len(real) - len(missed), len(real))
    report = _report(ok, reference, synthetic, real)
    return {
        "schema": "ng0-release/1",
        "product": {
            "part": "Solarzelle M6 太陽電池セル 太阳能电池片",
            "line": "Linie 3 (Größe M6)",
            "camera": "EL カメラ 2",
            "light": "electroluminescence, 40 V",
        },
        "proposed_release": "Restricted release on line 3: parts it rejects are taken out, all others are inspected "
        "as before.",
        "threshold": {
            "value": THRESHOLD,
            "review_from": 25.4,
            "review_why": "people can look at 3 % of good parts",
            "rule": "tolerance",
            "title": "Tolerance bound",
            "origin": "recommended",
            "fixed_at": "2026-01-05T09:12:00+01:00",
            "unit": "feature distance",
        },
        "evidence_class": plain(evidence_class(caught, n_synthetic=N_SYNTHETIC, target_recall=0.9)),
        "counts": {
            "ok": plain(rate_bound(n_rejected, N_CHECK)),
            "synthetic": plain(rate_bound(n_synthetic_caught, N_SYNTHETIC)) | {"method": "glass-las-own"},
            "real": plain(caught),
        },
        "scores": {
            "ok": ok.tolist(),
            "ok_source": "check",
            "reference": reference.tolist(),
            "reference_source": "held-out",
            "synthetic": synthetic.tolist(),
            "synthetic_method": "glass-las-own",
            "real": real,
        },
        "missed": missed,
        "false_rejects": false_rejects,
        "thumbnails": {
            one["sha256"]: {"picture": thumbnail(i, of_map=False), "map": thumbnail(i, of_map=True)}
            for i, one in enumerate([*missed, *false_rejects])
        },
        "map_scale": [12.0, 36.0],
        "verification": {
            "stated": {"target_recall": 0.9, "confidence": 0.95, "at": "2026-01-04T16:30:00+01:00", "needed_ng": 29},
            "ng": [sha("ng", one["file"]) for one in real],
            "status": "checked",
        },
        "coverage": [_mode(*row) for row in MODES],
        "review": {
            "reviewers": [{"name": "さくら 渡辺", "n": 96}, {"name": "Jürgen Weißmüller", "n": 90}],
            "accepted": 37,
            "rejected": 3,
            "open": 6,
            "borderline": 5,
            "agreement": [
                {
                    "between": "さくら 渡辺 and Jürgen Weißmüller",
                    "n": 90,
                    "agree": plain(rate_bound(84, 90)),
                    "kappa": 0.81,
                    "low": 0.68,
                    "high": 0.94,
                    "flag": "",
                },
                {
                    "between": "さくら 渡辺 and the detector",
                    "n": 50,
                    "agree": plain(rate_bound(48, 50)),
                    "kappa": None,
                    "low": None,
                    "high": None,
                    "flag": "NG are rare here: a low kappa beside a high agreement says little",
                },
                {
                    "between": "Jürgen Weißmüller and the detector",
                    "n": 0,
                    "agree": None,
                    "kappa": None,
                    "low": None,
                    "high": None,
                    "flag": "",
                },
            ],
        },
        "conditions": {
            "valid_for": [
                "Solarzelle M6, camera EL カメラ 2, electroluminescence at 40 V",
                "the memory bank and settings named below; on another bank the number means nothing",
            ],
            "expires": "2026-07-05",
            "verify_again_when": [
                "camera, lens, light or exposure changes",
                "a new supplier, lot family or surface",
                "the drift alarm rings, or a challenge part leaves its limits",
                "an NG is found among parts it passed",
            ],
            "collect_next": [
                "18 more real NG prove a recall of 90 % at 95 %, if none is missed",
                "corner broken and material defect: no NG of any kind yet",
                "はんだ不良 and 隐裂: real ones, there are only synthetic ones",
            ],
        },
        "challenge": [
            {"file": one["file"], "sha256": sha("ng", one["file"]), "label": "ng", "score": one["score"]}
            | {"low": one["score"] - 1.5, "high": one["score"] + 1.5}
            for one in real[:2]
        ]
        + [
            {
                "file": "ok_009.png",
                "sha256": sha("check", 9),
                "label": "ok",
                "score": float(ok[9]),
                "low": None,
                "high": None,
            }
        ],
        "detector": {
            "backbone": "tf_efficientnet_lite0",
            "weights_from": "embedded",
            "weights_digest": sha("weights"),
            "layers": ["blocks.2", "blocks.4"],
            "input_size": 224,
            "num_neighbors": 1,
            "coreset_ratio": 0.02,
            "bank_id": sha("bank"),
            "bank_size": 4609,
            "bank_file_sha256": sha("bank file"),
        },
        "inputs": {
            "images": _images(real),
            "dataset": sha("dataset"),
            "config": {"seed": 0, "thresholds": {"max_fpr": 0.05, "confidence": 0.95, "target_recall": 0.9}},
            "config_sha256": sha("config"),
            "code": {"version": "0.1.0", "sha256": sha("code")},
            "synthesis_sha256": sha("synthesis"),
            "frozen_sha256": sha("frozen"),
        },
        "report": report,
    }


def provisional() -> dict[str, Any]:
    """The same before verification: no real NG, class T1."""
    changed = content()
    changed["evidence_class"] = plain(evidence_class(None, n_synthetic=N_SYNTHETIC, target_recall=0.9))
    changed["counts"]["real"] = None
    changed["scores"]["real"], changed["missed"] = [], []
    changed["coverage"] = [_mode(m, s, "synthetic" if n else "none", 0, 0, n, k) for m, s, _, _, _, n, k in MODES]
    changed["verification"] = changed["verification"] | {"ng": [], "status": "provisional"}
    changed["proposed_release"] = "None: run beside the present inspection and keep every NG found there."
    return changed


def refuted() -> dict[str, Any]:
    """The same with real NG that show too low a recall: 6 of 11 caught."""
    changed = content()
    caught = rate_bound(6, 11)
    changed["counts"]["real"] = plain(caught)
    changed["evidence_class"] = plain(evidence_class(caught, n_synthetic=N_SYNTHETIC, target_recall=0.9))
    for i, one in enumerate(changed["scores"]["real"][:4]):
        one["score"] = 22.0 + i
        changed["missed"].append({"sha256": sha("ng", one["file"])} | one)
        changed["thumbnails"][sha("ng", one["file"])] = {
            "picture": thumbnail(10 + i, of_map=False),
            "map": thumbnail(10 + i, of_map=True),
        }
    changed["missed"].sort(key=lambda one: one["score"])
    changed["proposed_release"] = "None: the real NG refute the target."
    return changed


def fullest() -> dict[str, Any]:
    """Long names in every place, more rows in every list than a page shows, refuted."""
    changed, long = refuted(), "Wellenlänge 検査対象部品 "
    changed["product"] = {key: f"{key} " + long * 80 for key in changed["product"]}
    changed["proposed_release"] = long * 40
    changed["threshold"]["title"] = changed["counts"]["synthetic"]["method"] = long * 10
    changed["coverage"] = [_mode(long * 4, *MODES[i % len(MODES)][1:]) for i in range(30)]
    changed["conditions"] = {
        key: [long * 6] * 9 if isinstance(value, list) else value for key, value in changed["conditions"].items()
    }
    changed["counts"]["real"], changed["counts"]["ok"] = plain(rate_bound(5, 35)), plain(rate_bound(30, 147))
    changed["inputs"]["images"] = changed["inputs"]["images"][::20]
    for key, worst, step in (("missed", 15.0, 0.2), ("false_rejects", 60.0, -0.9)):
        changed[key] = [
            {"file": f"{i:02d}_{long}.png", "sha256": sha(key, i), "score": worst + step * i, "kind": long}
            for i in range(30)
        ]
        changed["thumbnails"] |= {
            one["sha256"]: {"picture": thumbnail(i, of_map=False), "map": thumbnail(i, of_map=True)}
            for i, one in enumerate(changed[key][:6])
        }
    return changed


def long_signatures(*, n: int = 8) -> list[dict[str, Any]]:
    """More signatures than the first page lists, each with a long name and reason."""
    rows = signatures()
    return [
        rows[min(i, 2)]
        | {
            "signed_by": "Wolfgang Maximilian " * 9,
            "reason": "見逃しと過検出の画像をすべて確認した " * 9,
            "identity": rows[1]["identity"] | {"issuer": "https://login.example.com/" + "realm/" * 30},
            "sha256": sha("long", i),
        }
        for i in range(n)
    ]


def _mode(mode, severity, evidence, n_real, caught_real, n_synthetic, caught_synthetic) -> dict[str, Any]:
    return {
        "mode": mode,
        "severity": severity,
        "evidence": evidence,
        "n_real": n_real,
        "caught_real": caught_real,
        "low_real": rate_bound(caught_real, n_real).low if n_real else None,
        "n_synthetic": n_synthetic,
        "caught_synthetic": caught_synthetic,
        "note": "asked of the supplier, none so far" if evidence == "none" else "",
    }


def _images(real: list[dict[str, Any]]) -> list[dict[str, Any]]:
    roles = (
        ("memory_bank", N_BANK, "bank"),
        ("calibration_ok", N_REFERENCE, "calibration"),
        ("check_ok", N_CHECK, "check"),
    )
    rows = [
        {"name": f"ok_{i:03d}.png", "sha256": sha(key, i), "label": "ok", "role": role, "kind": "", "session": "早番"}
        for role, n, key in roles
        for i in range(n)
    ]
    return rows + [
        {
            "name": one["file"],
            "sha256": sha("ng", one["file"]),
            "label": "ng",
            "role": "verification_ng",
            "kind": one["kind"],
            "session": "Spätschicht",
        }
        for one in real
    ]


def _report(ok: np.ndarray, reference: np.ndarray, synthetic: np.ndarray, real: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the calibration report, what a record shows."""
    found = {
        "percentile": (28.09, "on average at most 0.676 % of good parts rejected", ""),
        "loo_beta": (None, "", "the scores do not follow this distribution (Anderson-Darling, refitted, p = 0.005)"),
        "median_mad": (24.5988364836192, "no rate; a few defective parts would hardly move it", ""),
        "tolerance": (THRESHOLD, "FPR at most 5 % with 95 % confidence", ""),
        "conformal": (25.918861389160156, "on average at most 5 % of good parts rejected", ""),
        "youden": (24.625330924987793, "on these scores 37 of 40 synthetic NG caught; nothing about real NG", ""),
    }
    rows = []
    for rule, (value, promise, reason) in found.items():
        caught = rate_bound(sum(one["score"] >= value for one in real), len(real)) if value else None
        rejected = rate_bound(int((ok >= value).sum()), len(ok)) if value else None
        rows.append(
            {
                "rule": rule,
                "title": RULES[rule].title,
                "value": value,
                "params": {},
                "ok_source": "held-out",
                "promise": promise,
                "reason": reason,
                "notes": [],
                "n_ok": len(reference),
                "n_synthetic": len(synthetic) if rule == "youden" else 0,
                "expected_fpr": 0.0203 if value else None,
                "fpr_upper_95": 0.0422 if value else None,
                "real_fpr": rejected.estimate if rejected else None,
                "real_fpr_upper_95": rejected.high if rejected else None,
                "n_check_ok": len(ok) if value else 0,
                "real_recall": caught.estimate if caught else None,
                "real_recall_lower_95": caught.low if caught else None,
                "n_real_ng": len(real) if value else 0,
                "evidence_class": "T1",
            }
        )
    method = {"from_ng": [], "control": None, "blocked": "", "made_with": {}, "n_made": 40, "n_kept": 40}
    return {
        "schema": "ng0-calibration/1",
        "seed": 0,
        "thresholds": rows,
        "recommended": rows[3] | {"evidence_class": "T2", "advice": [], "reason": "proven for any distribution."},
        "synthesis": {
            "primary": "glass-las-own",
            "shift_in_R": {"glass-las-own": 1.863, "one-shot-diffusion": 2.1},
            "methods": {
                "glass-las-own": method
                | {
                    "rejected": {"null": 0, "duplicate": 0},
                    "border_auroc": {"auroc": 0.99, "low": 0.9, "high": 1.0, "p": 0.001},
                },
                "one-shot-diffusion": method
                | {
                    "n_kept": 37,
                    "rejected": {"null": 1, "duplicate": 2},
                    "border_auroc": None,
                    "from_ng": [sha("source")],
                    "made_with": {"pixel model": sha("pixel model")},
                },
            },
        },
    }
