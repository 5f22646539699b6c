import inspect
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from recurra.cli.flags import from_flags, with_flags
from recurra.errors import EquationError
from recurra.tasks.settings import Settings, TaskConfig


class Sizes(Settings):
    width: int = Field(3, description="How wide.")
    limit: float | None = Field(2.5, description="How far.")
    kind: Literal["a", "b"] = Field("a", description="Which.")
    loud: bool = Field(False, description="Whether.")
    text: str | None = Field(None, description="What.", json_schema_extra={"from_file": True})
    place: Path | None = Field(None, description="Where.")


class Config(TaskConfig):
    sizes: Sizes = Sizes()


def flags():
    def command(settings, folder: str = "x"): ...

    return inspect.signature(with_flags(command, Config)).parameters


def test_every_setting_is_a_flag_in_the_section_of_its_own():
    found = flags()
    assert next(iter(found)) == "folder"
    options = {name: parameter.annotation.__metadata__[0] for name, parameter in found.items() if name != "folder"}
    assert [name for name in options if name in Sizes.model_fields] == list(Sizes.model_fields)
    assert options["width"].rich_help_panel == "Sizes"
    assert options["epochs"].rich_help_panel == "Training"
    assert [options[name].metavar for name in ("width", "limit", "kind", "loud", "text", "place")] == [
        "N",
        "X",
        "NAME",
        None,
        "FILE",
        "FILE",
    ]
    assert options["kind"].help == "Which. One of a, b."
    assert options["limit"].help == "How far. none switches it off."
    assert [options[name].show_default for name in ("width", "limit", "loud", "text")] == ["3", "2.5", False, False]


def test_only_what_was_given_is_handed_on():
    seen = {}

    def command(settings, folder: str = "x"):
        seen.update(settings=settings, folder=folder)

    with_flags(command, Config)(folder="y", width="4", loud=False, limit=None)
    assert seen == {"folder": "y", "settings": {"width": "4", "loud": False}}


def test_a_text_from_a_file_is_read(tmp_path):
    (tmp_path / "mine.txt").write_text("h[t] = tanh(W @ [h[t-1], x[t]])\n")
    given = {"text": tmp_path / "mine.txt", "width": "4"}
    assert from_flags(Config, given) == {"text": "h[t] = tanh(W @ [h[t-1], x[t]])", "width": "4"}
    with pytest.raises(EquationError, match="cannot be read"):
        from_flags(Config, {"text": tmp_path / "nowhere.txt"})


def test_sections_with_the_same_key_have_flags_with_their_names():
    class Layers(Settings):
        sizes: tuple[int, ...] = (1, 2)
        hidden_size: int = 3

    class TwoNetworks(TaskConfig):
        encoder: Layers = Layers(hidden_size=5)
        decoder: Layers = Layers()

    given = []
    command = with_flags(lambda settings: given.append(settings), TwoNetworks)
    parameters = inspect.signature(command).parameters
    assert {"encoder__hidden_size", "decoder__sizes", "epochs"} <= set(parameters)
    option = parameters["encoder__hidden_size"].annotation.__metadata__[0]
    assert option.default == "--encoder.hidden-size"  # where typer keeps the first of its names
    assert option.show_default == "5"
    command(encoder__hidden_size="7", decoder__sizes="8,9", epochs=None)
    assert given == [{"encoder.hidden_size": "7", "decoder.sizes": "8,9"}]
