import pytest
from pydantic import ValidationError

from recurra.errors import SettingError
from recurra.training import TrainingSettings


def test_every_field_can_become_a_flag_with_its_help():
    for name, field in TrainingSettings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert not field.is_required(), name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("max_steps", 0),
        ("max_minutes", 0),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("weight_decay", -0.1),
        ("momentum", 1.0),
        ("beta2", 1.0),
        ("clip_norm", 0),
        ("clip_value", -1),
        ("decay_factor", 1.0),
        ("decay_floor", 1.1),
        ("seed", 2**32),
        ("optimiser", "adagrad"),
        ("schedule", "linear"),
        ("device", "tpu"),
        ("learning_rat", 0.1),
    ],
)
def test_what_cannot_be_is_refused(key, value):
    with pytest.raises(SettingError, match=key) as raised:
        TrainingSettings(**{key: value})
    assert "\n" not in str(raised.value)
    assert "pydantic" not in str(raised.value)


def test_a_setting_without_effect_is_refused():
    with pytest.raises(SettingError, match=r"momentum 0\.9 has no effect with optimiser 'adamw'"):
        TrainingSettings(momentum=0.9)
    assert TrainingSettings(momentum=0.9, optimiser="sgd").momentum == 0.9
    with pytest.raises(SettingError, match=r"beta2 0\.98 has no effect with optimiser 'sgd'"):
        TrainingSettings(beta2=0.98, optimiser="sgd")


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        TrainingSettings().epochs = 3


def test_settings_survive_a_config_file():
    settings = TrainingSettings(epochs=3, max_minutes=1.5, optimiser="sgd", momentum=0.9, clip_norm=None)
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings
