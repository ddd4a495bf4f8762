"""Options from YAML and the command line: what is read, and every way to get it wrong."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import yaml

from rlhf.config import option_fields, parse, resolved
from rlhf.errors import SHOWN_PROBLEMS, ConfigError, RlhfError, exit_on_error


@dataclass
class Model:
    name: str = field(metadata={"help": "Which one."})
    layers: int = 3
    modules: list[str] | None = None


@dataclass
class Training:
    learning_rate: float = 1e-3
    fast: bool = False
    limit: int | None = 5
    mode: Literal["full", "lora"] = "lora"
    extra: dict[str, Any] | str | None = None
    tags: str | list[str] | None = None

    def __post_init__(self) -> None:
        if self.learning_rate > 1:
            raise ValueError("learning_rate is above 1")


def write(tmp_path, text):
    file = tmp_path / "options.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def read(*argv, **kwargs):
    return parse(Model, Training, argv=argv, **kwargs)


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path):
    config = write(tmp_path, "name: from_file\nlayers: 4\nlearning_rate: 1e-5\n")
    model, training = read("--config", config, "--layers", "7", defaults={"layers": 1, "fast": True, "unknown": 0})
    assert (model.name, model.layers) == ("from_file", 7)
    assert (training.learning_rate, training.fast) == (1e-5, True)


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--fast"], "fast", True),
        (["--fast", "false"], "fast", False),
        (["--fast=true"], "fast", True),
        (["--limit", "none"], "limit", None),
        (["--learning-rate", "2e-5"], "learning_rate", 2e-5),
        (["--learning_rate=-0.5"], "learning_rate", -0.5),
        (["--extra", '{"a": 1}'], "extra", {"a": 1}),
        (["--tags", "one"], "tags", "one"),
        (["--tags", "one", "two"], "tags", ["one", "two"]),
    ],
)
def test_values_on_the_command_line(argv, name, value):
    _, training = read("--name", "m", *argv)
    assert getattr(training, name) == value


def test_a_list_option_takes_one_word_or_several():
    assert read("--name", "m", "--modules", "q_proj")[0].modules == ["q_proj"]
    assert read("--name", "m", "--modules", "q_proj", "v_proj")[0].modules == ["q_proj", "v_proj"]


def test_all_problems_are_reported_at_once_with_their_places(tmp_path):
    config = write(tmp_path, "layers: 3.5\nlearning_rte: 1\nfast: maybe\nlayers: 4\nmode: half\n")
    with pytest.raises(ConfigError) as error:
        read("stray", "--config", config, "--layer", "3", "--limit", "many")
    text = str(error.value)
    for part in (
        ":1: layers: expected int, got 3.5",
        ":2: learning_rte: unknown option; did you mean learning_rate?",
        ":3: fast: expected bool",
        ":4: layers stands twice (first on line 1)",
        ":5: mode:",
        "--layer: unknown option; did you mean layers?",
        "--limit: expected int | null, got 'many'",
        "'stray' stands alone",
        "--name is required",
    ):
        assert part in text, part
    assert "Remedy:" in text


@pytest.mark.parametrize("value", ["true", "[1]", "null"])
def test_a_number_is_not_anything_else(tmp_path, value):
    with pytest.raises(ConfigError, match="layers: expected int"):
        read("--config", write(tmp_path, f"name: m\nlayers: {value}\n"))


def test_a_prefix_of_an_option_is_not_the_option():
    with pytest.raises(ConfigError, match="--learning: unknown option"):
        read("--name", "m", "--learning", "1")


def test_what_a_dataclass_refuses_is_an_error_of_the_configuration():
    with pytest.raises(ConfigError, match="learning_rate is above 1"):
        read("--name", "m", "--learning_rate", "2")


@pytest.mark.parametrize(
    ("text", "part"),
    [("- a\n- b\n", "not a list of options"), ("a: [1\n", "not valid YAML"), ("1: 2\nname: m\n", "must be a word")],
)
def test_a_file_that_holds_no_options(tmp_path, text, part):
    with pytest.raises(ConfigError, match=part):
        read("--config", write(tmp_path, text))


def test_a_missing_or_binary_file(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        read("--config", str(tmp_path / "none.yaml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        read("--config", str(tmp_path / "binary.yaml"))


def test_an_empty_file_sets_nothing(tmp_path):
    assert read("--config", write(tmp_path, "\n"), "--name", "m")[0].layers == 3


def test_resolved_options_can_be_read_back(tmp_path):
    options = read("--name", "m", "--tags", "one", "two", "--extra", '{"a": 1}', "--limit", "null")
    values = {name: value for group in options for name, value in resolved(group).items()}
    assert read("--config", write(tmp_path, yaml.safe_dump(values))) == options


def test_an_option_has_one_owner():
    with pytest.raises(TypeError, match="name is an option of Model and Model"):
        option_fields([Model, Model])


def test_help_lists_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        read("--help")
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"--{name}" in shown for name in option_fields([Model, Training]))
    assert "Which one." in shown


def test_a_users_mistake_ends_with_code_2_and_one_screen(capsys):
    with pytest.raises(SystemExit) as stop, exit_on_error():
        raise RlhfError("It broke.", problems=[f"line {n}" for n in range(100)], remedy="Mend it.")
    assert stop.value.code == 2
    shown = capsys.readouterr().err
    assert "It broke." in shown and "Remedy: Mend it." in shown and "and 80 more" in shown
    assert len(shown.splitlines()) < SHOWN_PROBLEMS + 6


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), exit_on_error():
        raise ZeroDivisionError
