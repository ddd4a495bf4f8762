"""Every way in which a folder can fail to be a model, found without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlhf.errors import ModelError
from rlhf.models.folders import check_adapter_folder, check_model_folder, locate


def write(folder: Path, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def a_model(folder: Path) -> Path:
    return write(folder, config__json={"model_type": "llama"}, model__safetensors="w", tokenizer__json={})


def an_adapter(folder: Path, base: object) -> Path:
    return write(folder, adapter_config__json={"base_model_name_or_path": base}, adapter_model__safetensors="w")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no config.json"),
        ({"config__json": {"model_type": "llama"}}, "no weights"),
        ({"config__json": {}, "model__safetensors": "w", "tokenizer__json": {}}, "does not say its `model_type`"),
        ({"config__json": {"model_type": "llama"}, "model__safetensors": "w"}, "no tokenizer"),
        ({"config__json": {"model_type": "llama"}, "model__safetensors": "", "tokenizer__json": {}}, "is empty"),
        ({"config__json": "{", "model__safetensors": "w", "tokenizer__json": {}}, "not valid JSON"),
        ({"config__json": "[]", "model__safetensors": "w", "tokenizer__json": {}}, "no JSON object"),
    ],
)
def test_what_a_folder_lacks_is_named(tmp_path: Path, files: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match="Remedy") as error:
        check_model_folder(write(tmp_path / "m", **files))
    assert said in str(error.value)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = a_model(tmp_path)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    write(folder, **{"model.safetensors.index.json": index, "model-1-of-2.safetensors": "w"})
    with pytest.raises(ModelError, match="no model-2-of-2.safetensors, which the index lists"):
        check_model_folder(folder)


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./missing", "runs/demo/missing", "~/missing-model"])
def test_a_path_that_does_not_exist(name: str) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        check_model_folder(name)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_text("x")
    with pytest.raises(ModelError, match="is a file, not a model folder"):
        check_model_folder(tmp_path / "model.gguf")


def test_hub_ids_pass_unseen() -> None:
    check_model_folder("HuggingFaceTB/SmolLM2-135M-Instruct")
    check_model_folder("gpt2")


def test_an_adapter_is_no_model_but_names_its_base(tmp_path: Path) -> None:
    base = a_model(tmp_path / "base")
    adapter = an_adapter(tmp_path / "adapter", str(base))
    with pytest.raises(ModelError, match="holds an adapter"):
        check_model_folder(adapter)
    for model, given in ((str(adapter), None), (None, str(adapter)), (str(base), str(adapter))):
        assert (locate(model, given).base, locate(model, given).adapter) == (str(base), str(adapter))


def test_an_adapter_may_be_put_on_another_copy_of_its_base(tmp_path: Path) -> None:
    adapter = an_adapter(tmp_path / "adapter", "/moved/away")
    with pytest.raises(ModelError, match="/moved/away does not exist"):
        locate(None, str(adapter))
    assert locate(str(a_model(tmp_path / "here")), str(adapter)).base == str(tmp_path / "here")


def test_what_is_wrong_with_an_adapter_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no adapter_config.json"):
        check_adapter_folder(a_model(tmp_path / "model"))
    with pytest.raises(ModelError, match="does not name its base"):
        check_adapter_folder(an_adapter(tmp_path / "orphan", None))
    adapters = [str(an_adapter(tmp_path / name, "gpt2")) for name in ("one", "two")]
    with pytest.raises(ModelError, match="both adapters"):
        locate(*adapters)
    with pytest.raises(ModelError, match="No model was given"):
        locate(None)


def test_the_check_loads_no_torch() -> None:
    code = "import sys, rlhf.models.folders; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
