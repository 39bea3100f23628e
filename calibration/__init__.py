"""From scores to a threshold and what it is worth: arrays in, frozen results out; no torch, no files.

Words: ``types``, ``errors``, ``checks``. Limits and curves: ``bounds``, ``simultaneous``, ``curves``, ``resampling``,
``counts``. Rules: ``rules`` (the table), ``choices``, ``rank_rules``, ``fit_rules``, ``fits``, ``spread_rules`` and
``synthetic_rules``. The choice among them: ``policy``, ``advice``. What it is worth: ``evidence``, ``collect``,
``outliers``, ``robustness``, ``transfer``, ``sessions``, ``review``, ``pod``, ``ruler``, ``study``, ``method_study``,
``halves``, ``two_sample``.
"""
