"""How fast recurrent layers run, side by side: this library, torch.nn, an eager loop, onnxruntime.

usage: python benchmarks/recurrence.py [--cells lstm,gru] [--batches 1,8,32,64] [--sizes 64,128,256,512] [--steps 100]
                                       [--repeats 7] [--threads N] [--json FILE] [--plot FILE]

Each figure is the median of alternating runs in one process: one run of every contender, then again. The processor's
own peak of multiply-adds is measured first, and every figure is also given as a fraction of it. Input and hidden size
are equal; training is forward and backward with gradients of the input and of every parameter.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from llvmlite import ir
from rich.console import Console
from rich.table import Table

from recurra import Cell, Recurrent, cells
from recurra.backends.cpu import library, threads
from recurra.backends.cpu.mathematics import I64, Mathematics
from recurra.backends.cpu.target import Target, host

OWN = Cell(
    """
    gate[t] = sigmoid(W_gate @ [h[t-1], x[t]] + b_gate)
    slow[t] = gate[t] * slow[t-1] + (1 - gate[t]) * softplus(W_slow @ [slow[t-1], x[t]] + b_slow)
    h[t]    = tanh(slow[t] * gate[t] + W_mix @ [gate[t] * h[t-1], x[t]])
    """,
    name="own",
)
CELLS: dict[str, Cell] = {
    name: OWN if name == "own" else cells.get(name)
    for name in ("rnn", "simplified-gru", "gru", "gru-reset-after", "lstm", "peephole-lstm", "own")
}
TORCH = {"rnn": torch.nn.RNN, "gru-reset-after": torch.nn.GRU, "lstm": torch.nn.LSTM}


@dataclass(frozen=True)
class Figure:
    """One contender at one point: the median time of a pass in seconds, and the products' operations a second."""

    cell: str
    what: str
    batch: int
    size: int
    steps: int
    contender: str
    seconds: float
    gflops: float
    of_peak: float


def fma_peak(used: int) -> float:
    """The processor's peak of multiply-adds in GFLOP/s on some threads, measured: chains that fill every pipe."""
    target = host()
    code, chains, count = _fma_kernel(target)
    best = 0.0
    table = (ctypes.c_int64 * 1)()
    for _ in range(20):
        begun = time.perf_counter()
        threads.parallel(code.address, ctypes.addressof(table), used)
        taken = time.perf_counter() - begun
        best = max(best, 2 * chains * count * (target.vector_bytes // 4) * used / taken / 1e9)
    return best


def _fma_kernel(target: Target) -> tuple[library.Compiled, int, int]:
    chains, count = 12, 2_000_000
    module = ir.Module("peak")
    module.triple = target.triple
    maths = Mathematics(module, target.vector_bytes // 4, False)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64.as_pointer()]), "entry")
    b = ir.IRBuilder(function.append_basic_block())
    before, loop = b.block, b.append_basic_block()
    sink = b.alloca(maths.vector, size=chains)
    start = b.bitcast(function.args[0], maths.scalar.as_pointer())
    seed = b.load(start)
    first = b.insert_element(ir.Constant(maths.vector, ir.Undefined), seed, ir.Constant(ir.IntType(32), 0))
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(I64)
    k.add_incoming(ir.Constant(I64, 0), before)
    sums = [b.phi(maths.vector) for _ in range(chains)]
    following = b.add(k, ir.Constant(I64, 1))
    for place, total in enumerate(sums):
        total.add_incoming(maths.number(float(place)), before)
        total.add_incoming(maths.fma(b, total, first, first), loop)
    k.add_incoming(following, loop)
    done = b.append_basic_block()
    b.cbranch(b.icmp_signed("<", following, ir.Constant(I64, count)), loop, done)
    b.position_at_end(done)
    for place, total in enumerate(sums):
        store = b.store(total, b.gep(sink, [ir.Constant(I64, place)]))
        store.set_metadata("nontemporal", module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
    # Given away, so that the chains cannot be left out.
    b.store(b.extract_element(b.load(sink), ir.Constant(ir.IntType(32), 0)), start)
    total = b.extract_element(sums[0], ir.Constant(ir.IntType(32), 0))
    for other in sums[1:]:
        total = b.fadd(total, b.extract_element(other, ir.Constant(ir.IntType(32), 0)))
    b.store(total, start)
    b.ret_void()
    return library.load(f"peak {chains} {count}", lambda: str(module), target), chains, count


def operations(cell: Cell, batch: int, size: int, steps: int) -> int:
    """Floating-point operations of the products of a forward pass, two for each multiply-add."""
    columns = sum(math.prod(p.shape(size, size)) for p in cell.parameters.values() if p.kind == "matrix")
    return 2 * columns * batch * steps


Pass = Callable[[], object]


def contenders(cell: Cell, batch: int, size: int, steps: int, training: bool) -> dict[str, Pass]:
    """A pass of every contender that knows the cell."""
    x = torch.randn(steps, batch, size, requires_grad=training)
    above = torch.randn(steps, batch, size)

    def of(layer: torch.nn.Module) -> Pass:
        def run() -> None:
            if not training:
                with torch.no_grad():
                    layer(x)
                return
            layer.zero_grad()
            x.grad = None
            layer(x)[0].backward(above)

        return run

    found: dict[str, Pass] = {"recurra": of(Recurrent(cell, size, size, batch_first=False, backend="cpu"))}
    if cell.name in TORCH:
        found["torch.nn"] = of(TORCH[cell.name](size, size))
    found["eager loop"] = of(Recurrent(cell, size, size, batch_first=False, backend="reference"))
    if not training and cell.name in TORCH:
        found |= _onnx(TORCH[cell.name](size, size), x)
    return found


def _onnx(layer: torch.nn.Module, x: torch.Tensor) -> dict[str, Pass]:
    """A session of onnxruntime on the operator of the same name, with as many threads as torch has."""
    try:
        import numpy as np
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return {}
    steps, batch, size = x.shape
    name = type(layer).__name__
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[name]
    rng = np.random.default_rng(0)
    weights = {
        "W": rng.standard_normal((1, gates * size, size)).astype(np.float32) * 0.1,
        "R": rng.standard_normal((1, gates * size, size)).astype(np.float32) * 0.1,
        "B": np.zeros((1, 2 * gates * size), np.float32),
    }
    attributes = {"hidden_size": size, **({"linear_before_reset": 1} if name == "GRU" else {})}
    node = helper.make_node(name, ["X", "W", "R", "B"], ["Y"], **attributes)
    given = helper.make_tensor_value_info("X", TensorProto.FLOAT, [steps, batch, size])
    told = helper.make_tensor_value_info("Y", TensorProto.FLOAT, [steps, 1, batch, size])
    graph = helper.make_graph([node], "g", [given], [told], [numpy_helper.from_array(w, n) for n, w in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        onnx.save(model, file.name)
        session = onnxruntime.InferenceSession(file.name, options, providers=["CPUExecutionProvider"])
    feed = {"X": x.detach().numpy()}
    return {"onnxruntime": lambda: session.run(None, feed)}


def measure(passes: dict[str, Pass], repeats: int) -> dict[str, float]:
    """The median time of each pass, run by turns; a pass that is slow is run less often."""
    times: dict[str, list[float]] = {name: [] for name in passes}
    for run in passes.values():
        run()
    for turn in range(repeats):
        for name, run in passes.items():
            if turn >= 3 and statistics.median(times[name]) > 1.0:
                continue
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(t) for name, t in times.items()}


def geometric_mean(ratios: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(math.log(r) for r in ratios) / len(ratios))


def show(figures: list[Figure], console: Console) -> None:
    """A table a kind of pass, and what the targets ask of it."""
    for what in ("forward", "training"):
        table = Table(title=what, title_justify="left", box=None, header_style="dim")
        for column in ("cell", "B", "H", "recurra ms", "GFLOP/s", "of peak", "torch.nn", "eager loop", "onnxruntime"):
            table.add_column(column, justify="left" if column == "cell" else "right")
        points: dict[tuple[str, int, int], dict[str, Figure]] = {}
        for figure in figures:
            if figure.what == what:
                points.setdefault((figure.cell, figure.batch, figure.size), {})[figure.contender] = figure
        for (cell, batch, size), by in points.items():
            own = by["recurra"]
            ratios = [
                f"{by[name].seconds / own.seconds:.2f}x" if name in by else ""
                for name in ("torch.nn", "eager loop", "onnxruntime")
            ]
            speed = [f"{own.seconds * 1e3:.2f}", f"{own.gflops:.0f}", f"{own.of_peak:.0%}"]
            table.add_row(cell, str(batch), str(size), *speed, *ratios)
        console.print(table)
        for rival in ("torch.nn", "eager loop", "onnxruntime"):
            for cell in CELLS:
                ratios_ = [
                    by[rival].seconds / by["recurra"].seconds
                    for key, by in points.items()
                    if key[0] == cell and rival in by
                ]
                if ratios_:
                    console.print(
                        f"  {cell} against {rival}, {what}: geometric mean {geometric_mean(ratios_):.2f}x, "
                        f"least {min(ratios_):.2f}x"
                    )
        console.print()


def plot(figures: list[Figure], file: Path) -> None:
    """Fractions of the peak by hidden size, one panel a kind of pass."""
    import matplotlib.pyplot as plt

    batches = sorted({f.batch for f in figures})
    figure, panels = plt.subplots(2, len(batches), figsize=(3.4 * len(batches), 6), sharey=True, squeeze=False)
    colours = {"recurra": "#7b1fa2", "torch.nn": "#ef6c00", "onnxruntime": "#00897b", "eager loop": "#9e9e9e"}
    for line, what in zip(panels, ("forward", "training"), strict=True):
        for axes, batch in zip(line, batches, strict=True):
            for contender, colour in colours.items():
                own = [f for f in figures if (f.what, f.batch, f.contender) == (what, batch, contender)]
                for cell in sorted({f.cell for f in own}):
                    points = sorted((f.size, f.of_peak) for f in own if f.cell == cell)
                    axes.plot(*zip(*points, strict=True), color=colour, alpha=0.6, marker="o", markersize=3)
                axes.plot([], [], color=colour, label=contender)
            axes.set_title(f"{what}, batch {batch}", fontsize=9)
            axes.set_xscale("log", base=2)
            axes.set_ylim(0, 1)
            axes.grid(alpha=0.2)
    panels[0][0].legend(fontsize=8)
    figure.supxlabel("hidden size")
    figure.supylabel("fraction of the processor's peak")
    figure.tight_layout()
    figure.savefig(file, dpi=130)


def main() -> None:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--batches", default="1,8,32,64")
    parser.add_argument("--sizes", default="64,128,256,512")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    peak = fma_peak(options.threads)
    console = Console()
    console.print(f"{platform.processor() or platform.machine()} ({host().processor}), {options.threads} threads")
    console.print(f"peak of multiply-adds, measured: {peak:.0f} GFLOP/s\n")
    figures: list[Figure] = []
    for name in options.cells.split(","):
        for size in map(int, options.sizes.split(",")):
            for batch in map(int, options.batches.split(",")):
                for what in ("forward", "training"):
                    cell = CELLS[name]
                    passes = contenders(cell, batch, size, options.steps, what == "training")
                    work = operations(cell, batch, size, options.steps) * (3 if what == "training" else 1)
                    for contender, seconds in measure(passes, options.repeats).items():
                        rate = work / seconds / 1e9
                        figures.append(
                            Figure(name, what, batch, size, options.steps, contender, seconds, rate, rate / peak)
                        )
                print(f"\r{name} {size} {batch}   ", end="", file=sys.stderr, flush=True)
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    show(figures, console)
    if options.json:
        document = {"processor": host().processor, "threads": options.threads, "peak_gflops": peak}
        options.json.write_text(json.dumps({**document, "figures": [asdict(f) for f in figures]}, indent=1))
    if options.plot:
        plot(figures, options.plot)


if __name__ == "__main__":
    main()
