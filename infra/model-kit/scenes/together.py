"""Two single-threaded processes that average their gradients, instead of one process with two threads.

On a CPU this is quicker, and much quicker when something else uses a core: the processes wait for each other once a
step instead of at every operator.
"""

import os
import signal
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def average_gradients(parameters) -> None:
    """Replaces every gradient by its mean over processes."""
    if not dist.is_initialized():
        return
    with_gradient = [p for p in parameters if p.grad is not None]
    flat = torch.cat([p.grad.flatten() for p in with_gradient])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    start = 0
    for p in with_gradient:
        p.grad.copy_(flat[start : start + p.numel()].view_as(p))
        start += p.numel()


def agree(progress: float) -> float:
    """The first process's, so that all stop at one step."""
    return of_first(torch.tensor(progress, dtype=torch.float64)).item()


def sum(values: torch.Tensor) -> torch.Tensor:
    """Over all processes."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def of_first(values: torch.Tensor) -> torch.Tensor:
    """What the first process has."""
    if dist.is_initialized():
        dist.broadcast(values, 0)
    return values


def gather(values: torch.Tensor) -> list[torch.Tensor] | None:
    """What every process has, of one shape; the first one alone gets it."""
    if not dist.is_initialized():
        return [values]
    every = [torch.empty_like(values) for _ in range(count())] if rank() == 0 else None
    dist.gather(values, every)
    return every


def _process(number: int, count: int, rendezvous: str, work, arguments: tuple) -> None:
    torch.set_num_threads(1)
    # What torch sends them when their parent dies; a shell that starts something in the background has it ignored, and orphans would train on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()  # a scheduling group of its own, so that each gets a fair share beside other work
    dist.init_process_group("gloo", init_method=rendezvous, rank=number, world_size=count)
    work(*arguments)
    dist.destroy_process_group()


def spawn(work, *arguments) -> None:
    """Runs work(*arguments) in one process for each core that this one may use (taskset), or here where there is a GPU or one core."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if torch.cuda.is_available() or count == 1:
        return work(*arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:  # a file and no port, so that two trainings may run beside each other
        mp.spawn(_process, (count, f"file://{folder}/rendezvous", work, arguments), nprocs=count)
