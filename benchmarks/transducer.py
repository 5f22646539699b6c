"""Measures the memory and the time of a transducer's loss on a lattice whose logits would take gigabytes.

    python benchmarks/transducer.py

The peak of memory is that of the process beyond what it held before the loss, its gradients included, as the kernel
counts it. Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import torch
from child import figures_of_child

from recurra.nn.transducer_loss import transducer_loss

SIZES = {"batch": 16, "frames": 470, "labels": 20, "classes": 4000, "joint": 256}


def peak() -> float:
    """The most memory that this process has had so far, in MB."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def measure(batch: int, frames: int, labels: int, classes: int, joint: int) -> tuple[float, float, float]:
    """Peak of memory beyond the inputs in MB, seconds of the loss, seconds of its gradient."""
    torch.manual_seed(0)
    encoded = torch.randn(batch, frames, joint, requires_grad=True)
    predicted = torch.randn(batch, labels + 1, joint, requires_grad=True)
    weight = (0.1 * torch.randn(classes, joint)).requires_grad_()
    bias = torch.zeros(classes, requires_grad=True)
    targets = torch.randint(1, classes, (batch, labels))
    # What torch loads and reserves at the first product and the first gradient is none of the loss's.
    warm = torch.ones(64, 64, requires_grad=True)
    (warm @ warm).logsumexp(1).sum().backward()
    before = peak()
    began = time.perf_counter()
    ends, lasts = torch.full((batch,), frames), torch.full((batch,), labels)
    loss = transducer_loss(encoded, predicted, weight, bias, targets, ends, lasts).sum()
    middle = time.perf_counter()
    loss.backward()
    return peak() - before, middle - began, time.perf_counter() - middle


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, size in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    sizes = vars(parser.parse_args())
    memory, forward, backward = figures_of_child(__file__, *sizes.values())
    batch, frames, labels, classes, joint = sizes.values()
    every = batch * frames * (labels + 1) * classes * 4 / 2**20
    print(f"B {batch}, T {frames}, U {labels}, V {classes}, J {joint}, threads: {torch.get_num_threads()}")
    print(f"all logits once: {every:,.0f} MB; beyond the inputs the loss and its gradient take {memory:,.0f} MB")
    print(f"loss {forward:.1f} s, gradient {backward:.1f} s")


if __name__ == "__main__":
    if len(sys.argv) == len(SIZES) + 2 and sys.argv[1].isdigit():  # a child
        torch.set_num_threads(int(sys.argv[1]))
        print(*measure(*map(int, sys.argv[2:])))
    else:
        main()
