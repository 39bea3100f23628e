"""One-shot methods: a real NG in, its defect on good parts out, and what they share."""
