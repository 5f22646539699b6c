"""How fast recurrent layers run, side by side: this library, torch.nn, an eager loop, onnxruntime, torch.compile.

The processor's own peak of multiply-adds is measured first. Then every contender runs by turns in one process, and the
median of each is printed, also as a fraction of the peak, and what the library means to reach beside what it does.
benchmarks/README.md has the method. A whole run takes ten to twenty minutes, one with --quick about one.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from contenders import CELLS, check_equal
from document import processor_name
from first_use import measure_first_use
from memory import measure_memory
from peak import fma_peak, matrix_peak, reading_rates
from points import Grid, measure_points
from ragged import measure_ragged
from results import Machine, Results, read
from rich.console import Console
from sheets import sheets
from stream import measure_stream
from targets import targets
from timing import Effort

from recurra.backends.cpu.target import host

SECTIONS = ("points", "ragged", "stream", "memory", "first-use")
WHOLE = {"batches": [1, 8, 32, 64], "sizes": [64, 128, 256, 512], "steps": 100, "repeats": 15, "budget": 1.0}
QUICK = {"batches": [1, 32], "sizes": [128], "steps": 50, "repeats": 5, "budget": 0.1}
BEGIN, END = "<!-- figures: written by recurrence.py -->", "<!-- end of figures -->"


def names(valid: Sequence[str]) -> Callable[[str], list[str]]:
    """A reader of names from a list of valid ones."""

    def parse(text: str) -> list[str]:
        given = text.split(",")
        for name in given:
            if name not in valid:
                raise argparse.ArgumentTypeError(f"{name!r} is none of: {', '.join(valid)}")
        return given

    return parse


def numbers(text: str) -> list[int]:
    """Whole numbers with commas between them."""
    return [positive(part) for part in text.split(",")]


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def shapes(text: str) -> list[tuple[int, int]]:
    """B and H as BxH, with commas between them."""
    pairs = [tuple(map(positive, part.split("x"))) for part in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 32x128 or 1x64,32x128")
    return [(pair[0], pair[1]) for pair in pairs]


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--quick", action="store_true", help="few points, few runs: whether it works, not how fast it is")
    add("--sections", type=names(SECTIONS), default=list(SECTIONS), help=f"of {','.join(SECTIONS)}; all, if not given")
    add("--cells", type=names(list(CELLS)), default=list(CELLS), help=f"for the points, of {','.join(CELLS)}")
    add("--batches", type=numbers, help="B of the points: 1,8,32,64")
    add("--sizes", type=numbers, help="H and I of the points: 64,128,256,512")
    add("--steps", type=positive, help="T: 100")
    add("--repeats", type=positive, help="how many runs of a contender at a point are enough: 15")
    add("--budget", type=float, help="seconds that a contender may take at a point, but three runs in any case: 1")
    add("--threads", type=positive, default=torch.get_num_threads(), help="of every contender: as torch has them")
    add("--compile", type=shapes, nargs="?", const=[(32, 128)], default=[], metavar="BxH,...",
        help="try torch.compile at these points, 32x128 if none is named; each takes minutes")  # fmt: skip
    add("--compile-limit", type=float, default=180.0, metavar="SECONDS", help="for each of them: 180")
    add("--from", type=Path, dest="source", metavar="JSON", help="measure nothing, show the results of an earlier run")
    add("--json", type=Path, help="write all that was measured")
    add("--plot", type=Path, help="draw the fractions of the peak")
    add("--markdown", type=Path, help="write the tables between the two marks of a document, as in README.md")
    options = parser.parse_args(arguments)
    for name, value in (QUICK if options.quick else WHOLE).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    _check_files(parser, options)
    return options


def _check_files(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse now what could not be written after twenty minutes."""
    for file in (options.json, options.plot):
        if file is not None and not file.absolute().parent.is_dir():
            parser.error(f"{file}: there is no folder {file.absolute().parent}")
    if options.markdown is not None:
        text = options.markdown.read_text(encoding="utf-8") if options.markdown.is_file() else ""
        if not 0 <= text.find(BEGIN) < text.find(END):
            parser.error(f"{options.markdown} does not have the lines {BEGIN!r} and {END!r}, in this order")
    if options.source is not None and not options.source.is_file():
        parser.error(f"{options.source}: there is no such file")


def machine_of(threads: int, arguments: Sequence[str]) -> Machine:
    """Where this runs, and its peaks."""
    installed = {}
    for name in ("recurra", "torch", "onnxruntime", "llvmlite"):
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    one, peak = fma_peak(threads)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    command = shlex.join(["python", "benchmarks/recurrence.py", *_what_was_measured(arguments)])
    versions = {"Python": platform.python_version()} | installed
    reading = reading_rates(threads)
    matrix = matrix_peak(threads)
    return Machine(date, processor_name(), host().processor, threads, one, peak, versions, command, reading, matrix)


def _what_was_measured(arguments: Sequence[str]) -> list[str]:
    """The arguments but for those that name a file to write."""
    left: list[str] = []
    given = iter(arguments)
    for argument in given:
        option, *value = argument.split("=", 1)
        if option not in ("--json", "--plot", "--markdown"):
            left.append(argument)
        elif not value:
            next(given)
    return left


def progress(text: str) -> None:
    """Say what runs now, where someone is looking; without a thread of its own, which would disturb it."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def measure(results: Results, options: argparse.Namespace) -> None:
    """Measure what was asked for, and add it to the results as it comes."""
    effort = Effort(options.budget, options.repeats)
    if "points" in options.sections:
        for name in options.cells:
            progress(f"checking that the contenders compute the same: {name}")
            check_equal(name)
        where = (options.cells, options.batches, options.sizes, options.steps)
        measure_points(results, Grid(*where, options.compile, options.compile_limit), effort, progress)
    if "ragged" in options.sections:
        places = [(32, 128)] if options.quick else [(32, 128), (32, 256)]
        measure_ragged(results, places, options.steps, effort, progress)
    if "stream" in options.sections:
        measure_stream(results, 128, progress)
    if "memory" in options.sections:
        large = [(32, 128, 100), (64, 256, 100), (32, 512, 100)]
        measure_memory(results, large[:1] if options.quick else large, 1 if options.quick else 3, progress)
    if "first-use" in options.sections:
        measure_first_use(results, 1 if options.quick else 5, progress)


def heading(machine: Machine) -> list[str]:
    """Where, when and with what it was measured."""
    of_one = machine.peak_of_one * machine.threads
    lines = [
        f"{machine.processor} ({machine.architecture}), threads: {machine.threads}, {machine.date}",
        ", ".join(f"{name} {number}" for name, number in machine.versions.items()),
        f"peak of multiply-adds, float32: {machine.peak:.0f} GFLOP/s; on one thread {machine.peak_of_one:.0f}",
    ]
    if machine.matrix_peak:
        lines.append(f"peak of products of float32 from parts, on the matrix unit: {machine.matrix_peak:.0f} GFLOP/s")
    if machine.reading:
        rates = ", ".join(f"{_size(size)} {rate:.0f}" for size, rate in machine.reading[::3])
        lines.append(f"reading again and again, all threads together, GB/s: {rates}")
    if machine.peak < 0.9 * of_one:
        lines.append(
            f"The threads together reach {machine.peak / of_one:.0%} of what they should: is another program running?"
        )
    return lines


def _size(count: int) -> str:
    """Bytes in words."""
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def show(results: Results, console: Console) -> None:
    """Print everything, the summary last."""
    console.print("\n".join(heading(results.machine)), highlight=False)
    long, short = sheets(results)
    for sheet in [*long, *short]:
        console.print()
        console.print(sheet.rich())
        if sheet.note:
            console.print(sheet.note, style="dim", highlight=False)
    for note in results.notes:
        console.print(f"[yellow]note:[/] {note}", highlight=False)


def as_markdown(results: Results) -> str:
    """The tables as Markdown: the targets first, every point last and folded."""
    long, short = sheets(results)
    parts = ["\n".join(f"- {line}" for line in [*heading(results.machine), f"`{results.machine.command}`"]) + "\n"]
    parts += [sheet.markdown() for sheet in [short[-1], *short[:-1]]]
    if results.notes:
        parts.append("\n".join(f"- {note}" for note in results.notes) + "\n")
    for sheet in long:
        parts.append(f"<details><summary>{sheet.title}</summary>\n\n{sheet.markdown()}\n</details>\n")
    return "\n".join(parts)


def write_markdown(results: Results, file: Path) -> None:
    """Replace what stands between the two marks."""
    text = file.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    file.write_text(f"{before}{BEGIN}\n\n{as_markdown(results)}\n{END}{after}", encoding="utf-8")


def write(results: Results, options: argparse.Namespace) -> None:
    """The files that were asked for."""
    if options.json:
        results.write(options.json, targets=[asdict(target) for target in targets(results)])
    if options.markdown:
        write_markdown(results, options.markdown)
    if options.plot and results.points:
        from picture import plot

        plot(results, options.plot)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and write what is asked for; what was measured before an error or Ctrl-C is not lost."""
    options = options_of(arguments)
    console = Console(width=120) if not sys.stdout.isatty() else Console()
    if options.source:
        try:
            results = read(options.source)
        except (ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
            print(f"{options.source} is not a file that --json wrote: {error}", file=sys.stderr)
            return 1
        show(results, console)
        write(results, options)
        return 0
    torch.set_num_threads(options.threads)
    results = Results(machine_of(options.threads, arguments))
    code = 0
    try:
        measure(results, options)
    except KeyboardInterrupt:
        code = 130
        results.notes.append("interrupted: what follows is not all")
    finally:
        progress("")
        show(results, console)
        write(results, options)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
