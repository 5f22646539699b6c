import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.training import StepEvent

events = st.lists(
    st.builds(
        StepEvent,
        step=st.integers(1, 100),
        epoch=st.integers(1, 9),
        loss=st.floats(0, 20),
        count=st.integers(1, 1000),
        gradient_norm=st.floats(0, 100),
        clipped=st.integers(0, 1),
        learning_rate=st.floats(0, 1),
        seconds=st.floats(1e-3, 10),
        elapsed=st.floats(0, 100),
        fraction=st.floats(0, 1),
        seconds_left=st.none(),
    ),
    min_size=1,
    max_size=6,
)


@given(events, st.integers(0, 6))
def test_a_span_is_the_mean_of_its_steps_however_it_is_added_up(steps, cut):
    parts = [part for part in (steps[:cut], steps[cut:]) if part]
    span = sum_of([sum_of(part) for part in parts])
    items = sum(event.count for event in steps)
    assert span.steps == len(steps)
    assert span.count == items
    assert span.loss == pytest.approx(sum(event.loss * event.count for event in steps) / items)
    assert span.gradient_norm == pytest.approx(sum(event.gradient_norm for event in steps) / len(steps))
    assert span.clipped_share == sum(event.clipped for event in steps) / len(steps)
    assert span.items_per_second == pytest.approx(items / sum(event.seconds for event in steps))
    assert (span.step, span.epoch, span.learning_rate, span.fraction) == (
        steps[-1].step,
        steps[-1].epoch,
        steps[-1].learning_rate,
        steps[-1].fraction,
    )


def sum_of(parts):
    total, *rest = parts
    for part in rest:
        total += part
    return total
