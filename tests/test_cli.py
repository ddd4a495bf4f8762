"""The `rlhf` command, run as it is typed, on real files."""

import json
import os
import subprocess
import sys

import pytest

import rlhf
from rlhf.cli import main
from tests.data.helpers import write_lines
from tests.tiny import save_tiny

PAIR = {"prompt": "Film review:", "chosen": " great", "rejected": " awful", "margin": 0.5, "agreement": 0.9}
BAD = {"prompt": "Film review:", "rejected": " awful"}
ALPACA = {"instruction": "good", "output": "better"}


def run(*arguments):
    """The exit code of the command."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code or 0


@pytest.fixture
def pairs(tmp_path):
    return write_lines(tmp_path / "pairs.jsonl", PAIR, {**PAIR, "chosen": " fine"})


@pytest.fixture
def broken(tmp_path):
    return write_lines(tmp_path / "broken.jsonl", PAIR, BAD, "{")


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == f"rlhf {rlhf.__version__}"


def test_validate_a_sound_file(pairs, capsys):
    assert run("data", "validate", pairs) == 0
    shown = capsys.readouterr().out
    assert "2 preference" in shown and "is sound" in shown and "recipes/reward.py" in shown


def test_validate_lists_all_bad_rows(broken, capsys):
    assert run("data", "validate", broken) == 2
    captured = capsys.readouterr()
    assert "bad rows" in captured.out
    assert "line 2, field 'chosen': missing" in captured.err
    assert "line 3: not valid JSON" in captured.err
    assert "Traceback" not in captured.err


def test_validate_as_another_kind(pairs, capsys):
    assert run("data", "validate", pairs, "--kind", "sft") == 2
    assert "looks like kind 'preference'" in capsys.readouterr().err
    assert run("data", "validate", pairs, "--kind", "stf") == 2
    assert "no such kind" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["validate", "show"])
def test_missing_and_empty_files(tmp_path, capsys, command):
    assert run("data", command, tmp_path / "no.jsonl") == 2
    assert "There is no file" in capsys.readouterr().err
    (tmp_path / "empty.jsonl").write_text("")
    assert run("data", command, tmp_path / "empty.jsonl") == 2
    assert "has no rows" in capsys.readouterr().err


def test_convert_to_another_format(tmp_path, capsys):
    source = write_lines(tmp_path / "alpaca.json", ALPACA)
    target = tmp_path / "out" / "sft.jsonl"
    assert run("data", "convert", source, target) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Wrote 1 rows (1 sft)" in shown and "read as Alpaca" in shown
    assert json.loads(target.read_text())["completion"] == [{"role": "assistant", "content": "better"}]
    assert run("data", "convert", source, target) == 2
    assert "exists already" in capsys.readouterr().err
    assert run("data", "convert", source, target, "--force") == 0


def test_convert_writes_nothing_from_a_broken_file_unless_asked(broken, tmp_path, capsys):
    target = tmp_path / "good.csv"
    assert run("data", "convert", broken, target) == 2
    assert "2 bad rows" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["broken.jsonl"]
    assert run("data", "convert", broken, target, "--skip-bad") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Wrote 1 rows" in shown and "Left out 2 bad rows" in shown and "field 'chosen'" in shown


def test_convert_leaves_nothing_where_no_row_is_good(tmp_path, capsys):
    source = write_lines(tmp_path / "a.jsonl", BAD)
    assert run("data", "convert", source, tmp_path / "b.jsonl", "--skip-bad") == 2
    assert "no good rows" in capsys.readouterr().err
    assert not (tmp_path / "b.jsonl").exists()


def test_show_rows_as_they_stand_and_as_the_model_sees_them(pairs, tmp_path, capsys):
    assert run("data", "show", pairs, "--limit", 1) == 0
    shown = capsys.readouterr().out
    assert "line 1 (preference)" in shown and "chosen:  great" in shown and "line 2" not in shown
    assert run("data", "show", pairs, "--model_name_or_path", save_tiny(tmp_path / "model")) == 0
    assert "<|im_end|>" in capsys.readouterr().out


def test_show_with_a_model_that_is_none(pairs, tmp_path, capsys):
    assert run("data", "show", pairs, "--model", tmp_path) == 2
    assert "Remedy" in capsys.readouterr().err


def test_show_a_bad_row(broken, capsys):
    assert run("data", "show", broken) == 2
    assert "field 'chosen': missing" in capsys.readouterr().err


def test_unknown_commands_and_options_end_with_2(capsys):
    assert run("data", "vaildate", "x") == 2
    assert run("data", "show", "x", "--limti", "3") == 2


def test_a_hub_data_set_that_cannot_be_reached(tmp_path):
    command = [sys.executable, "-c", "from rlhf.cli import main; main()", "data", "validate", "owner/no-such-data"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "loading it from the hub failed" in done.stderr
    assert "Traceback" not in done.stderr
