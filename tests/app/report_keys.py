"""The keys that ``calibration.json`` promises at least."""

KEYS = {
    "": {"schema", "seed", "inputs", "detector", "scores", "roc", "thresholds", "recommended", "status"},
    "inputs": {"sha256", "rejected", "n_ok", "n_ng"},
    "detector": {"backbone", "layers", "input_size", "bank_size", "device", "seconds", "bank_id"},
    "scores": {"ok_loo", "ok_check", "synthetic", "ng_real"},
    "roc": {"synthetic", "real"},
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
}
