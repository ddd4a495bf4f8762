"""scripts/bench_labeling.py on a small store."""

import json
import sys

import bench_labeling
import pytest
from labeling_bench.crowd import summary


def test_percentiles_worked_by_hand():
    # 0 to 100 ms: the median is 50, the 95th percentile 95.
    found = summary([number / 1000 for number in range(101)])
    assert found == {"p50": pytest.approx(50), "p95": pytest.approx(95), "max": pytest.approx(100), "calls": 101}


def test_a_small_measurement(tmp_path, monkeypatch, capsys):
    file = tmp_path / "bench.json"
    words = ["--items", "30", "60", "--annotators", "3", "--seconds", "1", "--thinking", "0.05", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["bench_labeling.py", *words])
    bench_labeling.main()
    found = json.loads(file.read_text())
    assert [size["items"] for size in found["sizes"]] == [30, 60] and found["fsync_ms"] > 0
    for size in found["sizes"]:
        assert 0 < size["next"]["p50"] <= size["next"]["p95"] <= size["next"]["max"]
        assert size["submit"]["calls"] >= 3
    assert "p95 ms" in capsys.readouterr().out
