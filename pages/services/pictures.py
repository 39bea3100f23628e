"""Pictures of the ledger, read at the input size while the detector works on the batch before."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ias_core.errors import ImageRefused
from ias_core.imaging import load_image, resize_image
from pages.services.ledger import ImageRecord

_READERS = 2


def read_at_size(record: ImageRecord, size: int) -> np.ndarray:
    """(size, size, 3) float32 RGB in [0, 1]; raises ImageRefused, by name, if the file is not the one taken in."""
    try:
        return resize_image(load_image(record.path, sha256=record.sha256), size)
    except ImageRefused as refusal:
        raise ImageRefused(f"{record.name}: {refusal}") from refusal


def batches(
    records: Sequence[ImageRecord], size: int, batch: int
) -> Iterator[tuple[Sequence[ImageRecord], list[np.ndarray]]]:
    """Batches of records with their pictures; the next batch is read while the caller works on this one."""
    chunks = [records[a : a + batch] for a in range(0, len(records), batch)]
    with ThreadPoolExecutor(_READERS) as pool:

        def start(chunk: Sequence[ImageRecord]) -> list:
            return [pool.submit(read_at_size, record, size) for record in chunk]

        waiting = start(chunks[0]) if chunks else []
        for i, chunk in enumerate(chunks):
            pictures = [future.result() for future in waiting]
            waiting = start(chunks[i + 1]) if i + 1 < len(chunks) else []
            yield chunk, pictures
