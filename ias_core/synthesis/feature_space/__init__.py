"""Feature-space methods: OK features in, scores of moved features beside the memory bank out; one file each."""
