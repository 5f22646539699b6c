"""The files that an evaluation leaves in a folder: its figures, its wrong answers, its pictures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks import Report, Trained

__all__ = ["check_evaluation_folder", "write_evaluation"]

FIGURES, MISTAKES = "evaluation.json", "mistakes.jsonl"


def check_evaluation_folder(run: Trained[Any, Any, Any, Any, Any, Any], folder: Path | None) -> None:
    """Refuse a folder that could not be written, and pictures that could not be drawn, before any work is done.

    Raises:
        SettingError: The run has pictures to draw, and matplotlib is missing.
        RunError: The folder is a file, or cannot be made.
    """
    if folder is None:
        return
    if any(metric.matrix is not None or metric.charts is not None for metric in run.metrics):
        from recurra.inspection.pictures import check_picture

        check_picture(folder / "picture.png")
    from recurra.lab.record import folder_of_results

    with folder_of_results(folder):
        pass


def write_evaluation(
    run: Trained[Any, Any, Any, Any, Any, Any], report: Report, content: dict[str, Any], folder: Path
) -> list[str]:
    """Write an evaluation into a folder.

    Args:
        run: What was measured.
        report: How good it is.
        content: Its figures, as JSON can hold them; the curves that are drawn are added.
        folder: The folder.

    Returns:
        The names of the files.

    Raises:
        RunError: A file cannot be written.
    """
    from recurra.data.files import write_atomically
    from recurra.inspection.charts import draw_chart, draw_matrix

    figures = {**content, "charts": [asdict(chart) for chart in report.charts]}
    names = [FIGURES]
    write_atomically(folder / FIGURES, json.dumps(figures, indent=1) + "\n")
    if run.task.mistake is not None:
        names.append(MISTAKES)
        lines = [json.dumps(asdict(mistake), ensure_ascii=False) + "\n" for mistake in report.mistakes]
        write_atomically(folder / MISTAKES, "".join(lines))
    for matrix in report.matrices.values():
        names.append(f"{matrix.name}.png")
        draw_matrix(matrix, folder / names[-1])
    for chart in report.charts:
        names.append(f"{chart.name}.png")
        draw_chart(chart, folder / names[-1])
    return names
