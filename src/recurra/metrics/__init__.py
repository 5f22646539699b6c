"""Metrics: how good answers are.

- `metric`: what a metric is: tallies that add up, and the figure of their sum
- `bootstrap`: the interval of a figure
- `spans`: precision, recall and F1 of entities, and the accuracy of tags
- `translation`: BLEU, chrF and TER
"""

from recurra.metrics.bootstrap import Bootstrap, Interval
from recurra.metrics.metric import Metric, Row, Tally, add
from recurra.metrics.spans import (
    Span,
    conlleval_spans,
    f1_of,
    span_f1,
    span_precision,
    span_recall,
    span_tally,
    strict_spans,
    token_accuracy,
)

__all__ = [
    "Bootstrap",
    "Interval",
    "Metric",
    "Row",
    "Span",
    "Tally",
    "add",
    "conlleval_spans",
    "f1_of",
    "span_f1",
    "span_precision",
    "span_recall",
    "span_tally",
    "strict_spans",
    "token_accuracy",
]
