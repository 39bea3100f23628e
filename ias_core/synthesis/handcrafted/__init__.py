"""Hand-crafted methods: image in, image and exact mask out; one file each."""
