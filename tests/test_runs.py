"""The run directory: what is written, what is kept, what is refused."""

import json
from dataclasses import dataclass

import pytest
import yaml

from rlhf.errors import ConfigError
from rlhf.plots import plot_metrics
from rlhf.runs import Run, file_sha256, folder_fingerprint, read_metrics, write_atomic


@dataclass
class Options:
    learning_rate: float = 1e-3


def create(folder, **options):
    return Run.create(folder, "sft", [Options()], seed=7, **options)


def test_a_finished_run_tells_what_it_was(tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n")
    run = create(tmp_path / "run", data_files=[data], parents=[tmp_path], label_ids=["a", "b"], base_model="org/model")
    run.log({"step": 1, "loss": 2.0})
    run.finish({"loss": 2.0}, card="A run.")
    manifest = json.loads((run.dir / "manifest.json").read_text())
    assert manifest["status"] == "finished" and manifest["seed"] == 7
    assert manifest["data"] == [{"path": str(data), "sha256": file_sha256(data)}]
    assert manifest["label_ids"] == ["a", "b"]
    assert {"torch", "transformers", "trl", "python"} <= set(manifest["versions"])
    assert yaml.safe_load((run.dir / "config.yaml").read_text()) == {"learning_rate": 1e-3}
    card = (run.dir / "README.md").read_text()
    assert "A run." in card and "Human labels used: 2" in card and "| loss | 2 |" in card
    assert run.metrics() == [{"step": 1, "loss": 2.0}]


def test_a_child_names_its_parent(tmp_path):
    parent = create(tmp_path / "parent")
    child = create(tmp_path / "child", parents=[parent.dir])
    assert child.manifest["parents"][0]["run_id"] == parent.manifest["run_id"]


def test_an_earlier_run_is_never_overwritten_by_accident(tmp_path):
    first = create(tmp_path / "run")
    first.log({"step": 1})
    with pytest.raises(ConfigError, match="already holds a run"):
        create(tmp_path / "run")
    assert first.metrics() == [{"step": 1}]
    resumed = create(tmp_path / "run", resume=True)
    assert resumed.manifest["resumed_from"] == [first.manifest["run_id"]]
    assert resumed.metrics() == [{"step": 1}]
    assert create(tmp_path / "run", overwrite=True).metrics() == []


def test_what_a_kill_leaves_of_an_overwritten_run_is_still_a_runs(tmp_path, monkeypatch):
    run = create(tmp_path / "run")
    run.log({"step": 1})
    (run.dir / "checkpoint-1").mkdir()
    (run.dir / "checkpoint-1" / "weights").touch()

    def killed(path, *args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("rlhf.runs.shutil.rmtree", killed)
        create(tmp_path / "run", overwrite=True)
    assert (run.dir / "manifest.json").exists()
    assert create(tmp_path / "run", overwrite=True).metrics() == []
    assert sorted(path.name for path in run.dir.iterdir()) == ["config.yaml", "manifest.json"]


def test_a_failed_run_says_why(tmp_path):
    run = create(tmp_path / "run")
    run.fail("loss became NaN")
    manifest = json.loads((run.dir / "manifest.json").read_text())
    assert (manifest["status"], manifest["reason"]) == ("failed", "loss became NaN")


def test_other_processes_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    run = create(tmp_path / "run")
    run.log({"step": 1})
    run.finish({})
    assert not run.dir.exists()


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2')
    assert read_metrics(tmp_path) == [{"step": 1}]


def test_write_atomic_leaves_the_old_file_when_it_fails(tmp_path):
    file = tmp_path / "file.txt"
    write_atomic(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(file, "new \ud800")
    assert file.read_text() == "old"


def test_the_fingerprint_changes_with_the_weights(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    before = folder_fingerprint(str(tmp_path))
    (tmp_path / "notes.txt").write_text("not part of the model")
    assert folder_fingerprint(str(tmp_path)) == before
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert folder_fingerprint(str(tmp_path)) != before
    assert folder_fingerprint("org/model") is None


def test_plots_are_drawn_for_what_was_measured(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    files = plot_metrics(tmp_path, {"Loss": ["loss"], "Nothing here": ["absent"]})
    assert [file.name for file in files] == ["loss.png"]
    assert files[0].read_bytes().startswith(b"\x89PNG")
