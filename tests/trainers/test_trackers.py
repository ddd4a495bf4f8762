"""Trackers: ready before a model is loaded, and never an error for want of a login."""

import os
from types import SimpleNamespace

import pytest

from rlhf.errors import MissingDependencyError
from rlhf.trainers.trackers import prepare_trackers


@pytest.fixture(autouse=True)
def _nobody(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield
    os.environ.pop("WANDB_MODE", None)


def prepare(*trackers):
    prepare_trackers(SimpleNamespace(report_to=list(trackers)))


def test_wandb_goes_offline_where_nobody_is_logged_in(capsys):
    prepare("wandb")
    assert os.environ["WANDB_MODE"] == "offline"
    assert "wandb sync" in capsys.readouterr().out


def test_a_login_or_a_choice_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", "key")
    prepare("wandb")
    assert "WANDB_MODE" not in os.environ
    monkeypatch.delenv("WANDB_API_KEY")
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    prepare("wandb")
    assert "WANDB_MODE" not in os.environ
    monkeypatch.setenv("WANDB_MODE", "disabled")
    prepare("wandb")
    assert os.environ["WANDB_MODE"] == "disabled"


def test_a_tracker_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"\[trackers\]"):
        prepare("trackio")


def test_no_tracker_needs_nothing():
    prepare()
    assert "WANDB_MODE" not in os.environ
