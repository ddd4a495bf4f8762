"""A reward model is trained on what the app exports, by the recipe as it is launched."""

import tomllib
from pathlib import Path

import pytest

from labeling_app.export import ExportOptions, export_labels
from labeling_app.store import Database
from labeling_app.store.migrate import migrate
from rlhf.data import load_rows, open_label_source
from rlhf.runs import read_metrics
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_project, add_items, people
from tests.recipes.conftest import manifest, short
from tests.tiny import save_tiny

WORDS = ["great", "gorgeous", "funny", "moving", "good", "best"]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A project in which two people prefer praise, and call a draw a draw."""
    database = Database(str(tmp_path_factory.mktemp("store") / "labels.db"))
    migrate(database)
    contents = [
        {"prompt": "Film review:", "responses": [f" a {WORDS[n % 6]} film {n}", f" an awful, dull film {n}"]}
        for n in range(12)
    ]
    project = a_project(database, overlap=2)
    for number, item in enumerate(add_items(database, project, contents)):
        for user in people(database, 2) if number == 0 else (1, 2):
            judge(database, item, user, choice(0 if number == 11 else -2))
    return database


@pytest.mark.slow
@pytest.mark.parametrize("aggregation", ["majority", "dawid_skene"])
def test_the_reward_recipe_reads_an_export_unchanged(labels: Database, tmp_path: Path, aggregation: str) -> None:
    from recipes.reward import main

    export_labels(labels, None, 1, tmp_path / "export", ExportOptions(aggregation=aggregation))  # type: ignore[arg-type]
    pairs = str(tmp_path / "export" / "preferences.jsonl")
    base = str(save_tiny(tmp_path / "tiny"))
    files = ["--model_name_or_path", base, "--dataset_name", pairs, "--output_dir", str(tmp_path / "run")]
    main([*files, "--eval_dataset_name", pairs, *short(8, learning_rate=1e-2)])
    losses = [row["loss"] for row in read_metrics(tmp_path / "run") if "loss" in row]
    assert losses[-1] < losses[0]
    record = manifest(tmp_path / "run")
    assert len(record["label_ids"]) == 22 and record["summary"]["eval_accuracy"] == 1.0


def test_recipes_find_the_source_by_its_name(labels: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the entry point of pyproject.toml, installed aside: the environment may hold an older installation."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    group = "rlhf.label_sources"
    (line,) = [f"{name} = {value}" for name, value in project["entry-points"][group].items()]
    installed = tmp_path / "app-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: app\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[{group}]\n{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    source = open_label_source(f"labeling_app:{labels.path}")
    assert len(list(source.comparisons())) == 12
    assert source.files() == [labels.path]
    assert len(load_rows(f"labeling_app:{labels.path}", "preference")) == 11
