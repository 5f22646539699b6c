"""The precision dial: entities with the precision that is asked for, and what recall it costs.

After training, the part to validate on tells how often entities of a type and a confidence are right. From it follow
confidences that mean what they say, and for each type the confidence from which on they are as precise as is asked.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from recurra.data.tagged_sentence import TaggedSentence
from recurra.decoding.calibration import (
    PlattScaling,
    design_effect,
    expected_calibration_error,
    fit_platt_scaling,
)
from recurra.tasks.operating_points import (
    OperatingPoint,
    check_precision,
    operating_points,
    point_at,
    why_there_is_none,
)
from recurra.tasks.tagging import Tagging

__all__ = ["OperatingPoint", "PrecisionDial", "PrecisionSetting"]


class _Outcome(NamedTuple):
    """An entity that was predicted on the part to validate on, and the document or sentence it is of."""

    type: str
    confidence: float
    right: bool
    group: int


@dataclass(frozen=True)
class PrecisionSetting:
    """A dial set to a precision.

    Args:
        precision: What was asked for.
        thresholds: For each type the confidence from which on its entities are kept; infinity where none is.
        notes: What it costs, and which types cannot have it, a line each.
    """

    precision: float
    thresholds: Mapping[str, float]
    notes: Sequence[str]

    def apply(self, answer: Tagging) -> Tagging:
        """An answer without the entities below the thresholds."""
        kept = [
            (span, confidence)
            for span, confidence in zip(answer.spans, answer.confidences, strict=True)
            if confidence >= self.thresholds.get(span[2], math.inf)
        ]
        return replace(
            answer, spans=tuple(span for span, _ in kept), confidences=tuple(confidence for _, confidence in kept)
        )


class PrecisionDial(BaseModel):
    """What the part to validate on says of the entities that a model predicts.

    Args:
        scaling: How the confidences of types that it had no entity of are calibrated.
        scalings: How those of each type are.
        gold: How many entities of each type there are.
        points: For each type what thresholds do, from the highest to the lowest.
        effects: For each type the design effect: entities of a document are right or wrong together, so that many tell
            no more than fewer independent ones would.
        error_before: The expected calibration error of the model's own confidences, from 0 to 1; None without any.
        error_after: That of calibrated ones, each half measured by what was fitted on the other.

    Example:
        >>> sentence = TaggedSentence(("Ann",), None, ((0, 1, "PER"),))
        >>> dial = PrecisionDial.fit([(sentence, Tagging(((0, 1, "PER"),), (0.8,)))] * 100)
        >>> dial.calibrated("PER", 0.8) > 0.8, dial.at(0.95).thresholds["PER"] <= dial.calibrated("PER", 0.8)
        (True, True)
        >>> dial.at(0.99).thresholds["PER"]
        inf
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scaling: PlattScaling = PlattScaling(slope=1.0, intercept=0.0)
    scalings: dict[str, PlattScaling] = {}
    gold: dict[str, int] = {}
    points: dict[str, tuple[OperatingPoint, ...]] = {}
    effects: dict[str, float] = {}
    error_before: float | None = None
    error_after: float | None = None

    @classmethod
    def fit(cls, answered: Iterable[tuple[TaggedSentence, Tagging]]) -> PrecisionDial:
        """The dial that follows from answers to the part to validate on.

        Args:
            answered: Its sentences with their answers, the confidences as the model has them.
        """
        outcomes: list[_Outcome] = []
        gold: Counter[str] = Counter()
        pairs = list(answered)
        by_document = len({sentence.document for sentence, _ in pairs}) > 1
        for number, (sentence, answer) in enumerate(pairs):
            expected = set(sentence.spans or ())
            gold.update(type_ for _, _, type_ in expected)
            group = number if sentence.document is None or not by_document else sentence.document
            for span, confidence in zip(answer.spans, answer.confidences, strict=True):
                outcomes.append(_Outcome(span[2], confidence, span in expected, group))
        if not outcomes:
            return cls(gold=dict(gold))
        before, after = _errors(outcomes)
        scaling, scalings = _scalings(outcomes)
        points, effects = {}, {}
        for type_, members in _by_type(outcomes).items():
            points[type_] = operating_points([(scalings[type_](o.confidence), o.right) for o in members])
            effects[type_] = design_effect([o.right for o in members], [o.group for o in members])
        return cls(
            scaling=scaling,
            scalings=scalings,
            gold=dict(gold),
            points=points,
            effects=effects,
            error_before=before,
            error_after=after,
        )

    def calibrated(self, type_: str, confidence: float) -> float:
        """The confidence of an entity, so that of those with 0.9 nine in ten are right."""
        return self.scalings.get(type_, self.scaling)(confidence)

    def at(self, precision: float) -> PrecisionSetting:
        """The dial set to a precision.

        A type has the lowest threshold at which one can be 95% sure, by its entities on the part to validate on, that
        the precision is no lower than what is asked for. Where there is none, no entity of the type is kept, and a note
        says so. It holds for text like that part: on harder text the precision is lower.

        On CoNLL-2003, set by the documents of one half of testa and measured on the other, a type had the precision of
        0.9, 0.95 or 0.97 that was asked for 93, 92 and 88 times in 100; without the design effect 86, 80 and 78 times.

        Args:
            precision: The share of entities that are to be right, above 0 and below 1.

        Raises:
            SettingError: The precision is not between 0 and 1.
        """
        check_precision(precision)
        thresholds, notes, right_after = {}, [], 0
        for type_, points in sorted(self.points.items()):
            effect = self.effects.get(type_, 1.0)
            point = point_at(points, effect, precision)
            thresholds[type_] = math.inf if point is None else point.threshold
            right_after += 0 if point is None else point.right
            if point is None:
                predicted = "entities predicted on the part validated on"
                reason = why_there_is_none(points, effect, precision, predicted)
                notes.append(f"{type_}: its {reason}; none is kept")
        right_before, gold = sum(points[-1].right for points in self.points.values()), sum(self.gold.values())
        if gold:
            before, after = right_before / gold, right_after / gold
            cost = f"recall: on the part validated on, {after:.1%} instead of {before:.1%}"
            if right_after == right_before:
                cost = f"no recall on the part validated on: {before:.1%}"
            notes.insert(0, f"a precision of {precision:.4g} costs {cost}")
        missing = sorted(set(self.gold) - set(self.points))
        if missing:
            notes.append(f"no entity of {', '.join(missing)} was predicted on the part validated on; none is kept")
        return PrecisionSetting(precision, thresholds, notes)


def _by_type(outcomes: Iterable[_Outcome]) -> dict[str, list[_Outcome]]:
    by_type: defaultdict[str, list[_Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_type[outcome.type].append(outcome)
    return dict(sorted(by_type.items()))


def _scalings(outcomes: Sequence[_Outcome]) -> tuple[PlattScaling, dict[str, PlattScaling]]:
    """The scaling of all types together, and that of each, held to it."""
    whole = fit_platt_scaling([o.confidence for o in outcomes], [o.right for o in outcomes])
    return whole, {
        type_: fit_platt_scaling([o.confidence for o in members], [o.right for o in members], whole)
        for type_, members in _by_type(outcomes).items()
    }


def _errors(outcomes: Sequence[_Outcome]) -> tuple[float, float]:
    """The calibration error before, and after by what is fitted on the groups of the other half."""
    right = [o.right for o in outcomes]
    calibrated = [o.confidence for o in outcomes]
    for fold in (0, 1):
        scaling, scalings = _scalings([o for o in outcomes if o.group % 2 != fold])
        for place, o in enumerate(outcomes):
            if o.group % 2 == fold:
                calibrated[place] = scalings.get(o.type, scaling)(o.confidence)
    return (
        expected_calibration_error([o.confidence for o in outcomes], right),
        expected_calibration_error(calibrated, right),
    )
