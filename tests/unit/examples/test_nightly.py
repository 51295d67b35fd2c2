"""The example that is interrupted goes on from its checkpoint, and ends where it would have ended without."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[3] / "examples/iris-nightly/train_in_epochs.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_in_epochs", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def learn(script: ModuleType, folder: Path, until: int) -> tuple[Any, int]:
    """One attempt: the model, and how many epochs it took."""
    train, _, species, _ = script.flowers()
    model, done = script.resumed(folder)
    for epoch in range(done, until):
        model.partial_fit(train, species, classes=np.unique(species))
        script.keep(folder, model, epoch + 1)
    return model, until - done


def test_an_attempt_goes_on_where_the_one_before_it_ended(script: ModuleType, tmp_path: Path) -> None:
    assert learn(script, tmp_path, 3)[1] == 3
    assert learn(script, tmp_path, 5)[1] == 2


def test_an_interruption_costs_no_accuracy(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, _ = learn(script, tmp_path / "whole", 20)
    learn(script, tmp_path / "parts", 7)
    parts, _ = learn(script, tmp_path / "parts", 20)
    _, test, _, expected = script.flowers()
    assert min(model.score(test, expected) for model in (whole, parts)) >= 0.9


def test_an_attempt_that_finds_everything_done_still_logs_what_the_gate_asks_for(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(script, tmp_path, 2)
    logged: list[str] = []
    mlflow = ModuleType("mlflow")
    mlflow.start_run = contextlib.nullcontext  # type: ignore[attr-defined]
    mlflow.log_metric = lambda name, *_, **__: logged.append(name)  # type: ignore[attr-defined]
    mlflow.sklearn = SimpleNamespace(log_model=lambda *_, **__: logged.append("a model"))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setenv("TANDEM_CHECKPOINT_DIR", str(tmp_path))
    monkeypatch.setenv("EPOCHS", "2")

    script.main()

    assert logged == ["accuracy", "a model"]


def test_half_a_checkpoint_is_never_found(script: ModuleType, tmp_path: Path) -> None:
    learn(script, tmp_path, 2)
    (tmp_path / "model.pkl.partial").write_bytes(b"half")
    assert learn(script, tmp_path, 2)[1] == 0
