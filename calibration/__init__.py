"""From scores to a threshold and what it is worth: arrays in, frozen results out; no torch, no files.

``types`` and ``errors`` are the words, ``bounds`` and ``curves`` the statistics, ``rules`` the ways to choose
a threshold, ``policy`` the choice among them, ``counts`` what one threshold does to a set of scores.
"""
