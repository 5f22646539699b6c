"""Progress on a terminal: a live display, or plain lines where there is no terminal to redraw."""

import signal
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from recurra.training.display import Display
from recurra.training.events import Observer, StepEvent, TrainingResult, TrainingStart, ValidationEvent
from recurra.training.figures import LOSS, UNKNOWN, MetricView, describe_seconds, describe_span, printable

SECONDS_BETWEEN_LINES = 5.0
"""Plain lines come no faster than this."""


class Progress(Observer):
    """Shows a run while it goes on.

    On a terminal: a bar, the figures of the last second, and the validations so far, redrawn in place; samples and
    whatever else is printed through `console` scroll by above. Elsewhere (a file, a pipe, TERM=dumb): plain lines, one
    every few seconds and one for each validation. NO_COLOR is respected.

    Args:
        views: The metrics to show, in this order.
        unit: What the loss counts, in the plural: "tokens", "characters".
        about: What is said before training begins, a line each.
        history: Gives the validations of a run that is resumed, for the table of the live display.
        console: Where to print; standard output if not given.
        plain: True for plain lines, False for the live display; if not given, the console decides.

    Example:
        >>> import math
        >>> views = [LOSS, MetricView("perplexity", "perplexity", ".2f", math.exp)]
        >>> progress = Progress(views, unit="characters", plain=True)
        >>> progress.on_step(StepEvent(1, 1, 3.0, 640, 0.5, 0, 0.002, 0.1, 0.1, 0.01, 9.9))
        step 1  epoch 1  1%  0:10 left  loss 3.000  perplexity 20.09  6,400 characters/s  learning rate 0.002  ...
        >>> progress.show_sample("sample", "To be or not")
        sample:
          To be or not
    """

    only_shows = True

    def __init__(
        self,
        views: Sequence[MetricView] = (LOSS,),
        unit: str = "items",
        *,
        about: Sequence[str] = (),
        history: Callable[[], Sequence[ValidationEvent]] = lambda: (),
        console: Console | None = None,
        plain: bool | None = None,
    ) -> None:
        self.console = console or Console()
        self._views, self._unit = tuple(views), unit
        self._about, self._history = about, history
        if plain is None:
            # FORCE_COLOR makes rich take a log file for a terminal; redrawing in a file would only fill it.
            plain = not (self.console.is_interactive and self.console.file.isatty())
        self._display = None if plain else Display(self.console, self._views, unit)
        self._span: StepEvent | None = None
        self._last_line = -SECONDS_BETWEEN_LINES

    def on_start(self, start: TrainingStart) -> None:
        """Say what is trained, and open the display."""
        for line in self._about:
            self._line(line)
        together = f" in {start.processes} processes" if start.processes > 1 else ""
        since = f", from step {start.step:,} on" if start.step else ""
        self._line(f"training {start.parameters:,} parameters on {start.device}{together}{since}")
        if self._display is not None:
            settings = start.settings
            # With another limit it is not the epochs that say when the end comes.
            ends = settings.max_steps is None and settings.max_minutes is None
            self._display.open(settings.epochs if ends else None)
            for event in self._history() if start.step else ():
                self._display.show_validation(event)

    def on_step(self, event: StepEvent) -> None:
        """Show the figures."""
        if self._display is not None:
            self._display.show_step(event)
            return
        self._span = event if self._span is None else self._span + event
        if event.elapsed - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = event.elapsed
            self._print_span(self._span)
            self._span = None

    def on_validation(self, event: ValidationEvent) -> None:
        """Show its metrics."""
        if self._display is not None:
            self._display.show_validation(event)
            return
        metrics = "  ".join(f"{view.label} {view.of_metrics(event.metrics)}" for view in self._views)
        self._line(f"validation  step {event.step:,}  epoch {event.epoch}  {metrics}{'  best' * event.is_best}")

    def on_end(self, result: TrainingResult) -> None:
        """Close the display, and say how training ended."""
        if self._display is not None:
            self._display.close(result)
        elif self._span is not None:
            self._print_span(self._span)
            self._span = None
        if result.ended != "error" or result.steps:  # of what never began the error says all
            self._line(describe_end(result, self._views))

    def on_notice(self, notice: str) -> None:
        """Show it; it stays on the screen."""
        self.console.print(Text.assemble(("note: ", "yellow"), notice), soft_wrap=self._display is None)

    def show_sample(self, title: str, text: str) -> None:
        """Show a text that the model wrote; it stays on the screen, so that samples can be compared.

        Args:
            title: One line that says what it is.
            text: May hold anything; what is not text is shown as signs that stand for it.
        """
        title, text = printable(title, self.console.encoding), printable(text, self.console.encoding)
        if self._display is None:
            indented = "\n".join(f"  {line}" for line in text.splitlines())
            self._line(f"{title}:\n{indented}")
            return
        # One print, so that the display below is redrawn once.
        self.console.print(Rule(Text(title), align="left", style="dim"), Padding(Text(text), (0, 2)), "", sep="\n")

    def _print_span(self, span: StepEvent) -> None:
        left = "" if span.seconds_left is None else f"  {span.fraction:.0%}  {describe_seconds(span.seconds_left)} left"
        figures = describe_span(span, self._views, self._unit)
        rate = f"{self._unit}/s"
        shown = "  ".join(f"{text} {label}" if label == rate else f"{label} {text}" for label, text in figures)
        self._line(f"step {span.step:,}  epoch {span.epoch}{left}  {shown}")

    def _line(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=self._display is None)


def _signal_name(number: int | None) -> str:
    """What people call a signal."""
    return "Ctrl-C" if number is None or number == signal.SIGINT else signal.Signals(number).name


def describe_end(result: TrainingResult, views: Sequence[MetricView] = (LOSS,)) -> str:
    """Say in one sentence how training ended and which weights it left.

    Example:
        >>> describe_end(TrainingResult("interruption", 900, 2, 62.0, 800, {"loss": 1.7}))
        'stopped by Ctrl-C after 900 steps in 1:02; kept are the weights of step 800, loss 1.700'
    """
    ways = {
        "epochs": "finished",
        "steps": "finished at the limit of steps",
        "minutes": "finished at the limit of time",
        "patience": "finished, since validations stopped improving,",
        "interruption": f"stopped by {_signal_name(result.signal)}",
        "error": "ended by an error",
    }
    sentence = f"{ways[result.ended]} after {result.steps:,} steps in {describe_seconds(result.seconds)}"
    if result.skipped:
        sentence += f" ({result.skipped:,} more were skipped: not finite)"
    if result.best_step is None:
        return sentence
    figures = [(view.label, view.of_metrics(result.best_metrics)) for view in views]
    known = [f"{label} {figure}" for label, figure in figures if figure != UNKNOWN]
    return ", ".join([f"{sentence}; kept are the weights of step {result.best_step:,}", *known])
