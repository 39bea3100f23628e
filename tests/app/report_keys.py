"""The keys that ``calibration.json`` promises at least."""

KEYS = {
    "": {
        "schema",
        "seed",
        "inputs",
        "detector",
        "scores",
        "roc",
        "thresholds",
        "recommended",
        "status",
        "evidence_class",
        "outliers",
        "robustness",
        "pod",
        "transfer",
        "review",
        "collect",
        "sessions",
        "synthesis",
    },
    "synthesis": {"primary", "shift_in_R", "methods"},
    "inputs": {"sha256", "rejected", "n_ok", "n_ng"},
    "detector": {"backbone", "layers", "input_size", "bank_size", "device", "seconds", "bank_id"},
    "scores": {"ok_loo", "ok_check", "synthetic", "ng_real"},
    "roc": {"synthetic", "real"},
    "evidence_class": {"key", "title", "stands_on", "may", "refuted", "target_recall", "confidence"},
    "outliers": {"images", "set", "thresholds_without"},
    "collect": {"ok", "ng"},
}
ROW = {
    "rule",
    "value",
    "params",
    "n_ok",
    "expected_fpr",
    "fpr_upper_95",
    "real_fpr",
    "real_recall",
    "real_recall_lower_95",
    "evidence_class",
}
# Keys of rows; a list of them may be empty.
ROWS = {
    "robustness": {"quantity", "varied", "low", "high", "at", "n", "ends"},
    "pod": {
        "measure",
        "a50",
        "a90",
        "a90_95",
        "b0",
        "b1",
        "a",
        "pod",
        "low",
        "high",
        "n",
        "n_found",
        "reason",
        "notes",
    },
    "review": {"review_from", "ng_from", "promise", "in_band_ok", "in_band_ng", "expected_cost"},
}
TRANSFER = {
    "threshold",
    "auroc_gap",
    "recall_gap",
    "ranks",
    "regret",
    "regret_interval",
    "verdict",
    "why",
}
QUALITY = {"n_made", "n_kept", "rejected", "border_auroc", "from_ng", "control", "blocked", "made_with"}
PLAN = {"wrong", "n", "rate", "confidence", "proven", "needed", "more", "one_more"}
