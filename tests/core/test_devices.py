"""Device choice, and what happens when memory runs out: half the batch, then the CPU with a notice."""

import pytest
import torch

from ias_core.devices import BatchRunner, choose_device, is_out_of_memory, or_on_cpu
from ias_core.errors import FeatureError

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture
def machine(monkeypatch):
    def with_devices(*, cuda: bool, mps: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return with_devices


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, False, "cuda")]
)
def test_auto_takes_the_best(machine, cuda, mps, best):
    machine(cuda=cuda, mps=mps)
    assert choose_device("auto") == (torch.device(best), "")


def test_wish_that_cannot_be_met_gives_the_cpu_and_says_so(machine):
    machine(cuda=False, mps=False)
    device, notice = choose_device("cuda")
    assert device == CPU
    assert "no CUDA device" in notice and "CPU" in notice


def test_unknown_wish_raises():
    with pytest.raises(ValueError, match="expected a device among auto, cuda, mps, cpu, got 'gpu'"):
        choose_device("gpu")


class Memory:
    """A function over batches that fails above a number of items per device, and remembers what it was given."""

    def __init__(self, room: dict[str, int]) -> None:
        self.room = room
        self.calls: list[tuple[str, int]] = []

    def __call__(self, batch, device):
        self.calls.append((device.type, len(batch)))
        if len(batch) > self.room[device.type]:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [item * 10 for item in batch]


def test_halves_the_batch_until_it_fits_and_keeps_it(machine):
    machine(cuda=True, mps=False)
    memory, moved = Memory({"cuda": 5}), []
    runner = BatchRunner(CUDA, 16, moved.append)
    assert runner(memory, list(range(11))) == [10 * i for i in range(11)]
    assert memory.calls == [("cuda", 11), ("cuda", 8), ("cuda", 4), ("cuda", 4), ("cuda", 3)]
    assert runner(memory, [1, 2, 3, 4, 5]) == [10, 20, 30, 40, 50]
    assert memory.calls[5:] == [("cuda", 4), ("cuda", 1)]
    assert (runner.device, runner.notices, moved) == (CUDA, [], [])


def test_then_the_cpu_takes_over_with_a_notice(machine):
    machine(cuda=True, mps=False)
    memory, moved = Memory({"cuda": 0, "cpu": 4}), []
    runner = BatchRunner(CUDA, 4, moved.append)
    assert runner(memory, [1, 2, 3]) == [10, 20, 30]
    assert runner.device == CPU and moved == [CPU]
    assert len(runner.notices) == 1 and "CUDA" in runner.notices[0] and "CPU took over" in runner.notices[0]


def test_memory_that_runs_out_in_the_middle_loses_and_repeats_nothing(machine):
    machine(cuda=True, mps=False)
    seen: list[int] = []

    def function(batch, device):
        if device.type == "cuda" and 5 in batch:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        seen.extend(batch)
        return list(batch)

    assert BatchRunner(CUDA, 2, lambda device: None)(function, list(range(9))) == list(range(9))
    assert seen == list(range(9))


def test_one_image_too_large_for_the_cpu_says_what_to_do():
    with pytest.raises(FeatureError, match="use a smaller input size"):
        BatchRunner(CPU, 4, lambda device: None)(Memory({"cpu": 0}), [1])


def test_other_errors_are_not_swallowed():
    def broken(batch, device):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        BatchRunner(CPU, 4, lambda device: None)(broken, [1, 2])


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        MemoryError(),
    ],
)
def test_ways_to_say_out_of_memory(error):
    assert is_out_of_memory(error)


def test_or_on_cpu_repeats_on_the_cpu_only_when_memory_ran_out():
    asked = []

    def action(device):
        asked.append(device.type)
        if device.type != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return 7

    result, notice = or_on_cpu(action, torch.device("mps"), doing="counting")
    assert (result, asked) == (7, ["mps", "cpu"])
    assert notice == "The MPS device ran out of memory while counting; the CPU took over."
    assert or_on_cpu(action, torch.device("cpu"), doing="counting") == (7, "")

    def broken(device):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        or_on_cpu(broken, torch.device("mps"), doing="counting")
