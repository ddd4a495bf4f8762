"""scripts/bench_labeling.py on small stores, with the real server, a real Chromium, and Label Studio where it is."""

import asyncio
import json
import sys
from collections import defaultdict
from pathlib import Path

import bench_labeling
import httpx
import pytest
from labeling_bench.figures import ratio, summary
from labeling_bench.ours import PASSWORD, OurAnnotator, our_server
from labeling_bench.processes import MeasureFailed, free_port, serving
from labeling_bench.side_by_side import work
from labeling_bench.stores import filled
from sqlalchemy import select

from labeling_app.store.tables import Label

LABEL_STUDIO = Path(__file__).parents[2] / "assets" / "bench" / "label-studio"


def measured(tmp_path: Path, *words: str) -> dict:
    """What the program writes for these options."""
    file = tmp_path / "bench.json"
    bench_labeling.main([*words, "--json", str(file)])
    return dict(json.loads(file.read_text()))


def test_percentiles_worked_by_hand():
    # 0 to 100 ms: the median is 50, the 95th percentile 95.
    found = summary([number / 1000 for number in range(101)])
    assert found == {"p50": pytest.approx(50), "p95": pytest.approx(95), "max": pytest.approx(100), "calls": 101}
    twice = summary([number / 500 for number in range(101)])
    assert ratio(twice, found) == {"p50": pytest.approx(2), "p95": pytest.approx(2)}


def test_the_store(tmp_path, capsys):
    words = ["--items", "30", "60", "--annotators", "3", "--seconds", "1", "--thinking", "0.05"]
    found = measured(tmp_path, *words)
    assert [size["items"] for size in found["store"]["sizes"]] == [30, 60] and found["fsync_ms"] > 0
    for size in found["store"]["sizes"]:
        assert 0 < size["next"]["p50"] <= size["next"]["p95"] <= size["next"]["max"]
        assert size["submit"]["calls"] >= 3
    assert "p95 ms" in capsys.readouterr().out


@pytest.mark.slow
def test_the_browser(tmp_path, capsys):
    found = measured(tmp_path, "--measure", "browser", "--items", "40", "--answers", "8")["browser"]
    assert found["key"]["calls"] == found["click"]["calls"] == 8
    assert 0 < found["key"]["p50"] <= found["key"]["p95"] <= found["key"]["max"]
    assert "click" in capsys.readouterr().out


def test_a_server_that_does_not_come_up_says_why(tmp_path):
    command = [sys.executable, "-c", "print('no such port'); raise SystemExit(3)"]
    with (
        pytest.raises(MeasureFailed, match="exit code 3") as told,
        serving(command, "http://127.0.0.1:9/", tmp_path),
    ):
        pass
    assert "no such port" in str(told.value)


def test_a_server_and_what_it_started_end_with_the_block(tmp_path):
    port = free_port()
    child = f"import os, subprocess, sys; subprocess.run([sys.executable, '-m', 'http.server', '{port}'])"
    address = f"http://127.0.0.1:{port}/"
    with serving([sys.executable, "-c", child], address, tmp_path):
        assert httpx.get(address).status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(address)


@pytest.mark.slow
def test_what_the_page_sends_is_stored(tmp_path):
    names = ["ana", "ben"]
    database, _, users = filled(tmp_path / "labels.db", 30, names, overlap=1, password=PASSWORD)
    waits = defaultdict(list)
    with our_server(tmp_path, str(database.path)) as address:
        people = [OurAnnotator(address, name) for name in names]
        asyncio.run(work(people, waits, seconds=1, thinking=0.2))
    with database.read() as session:
        by_whom = session.scalars(select(Label.user_id)).all()
        items = session.scalars(select(Label.item_id)).all()
    assert len(by_whom) == len(waits["answer and next"]) == len(set(items)) and set(by_whom) == set(users)
    assert all(took > 0 for took in waits["answer and next"])
    database.close()


@pytest.mark.slow
def test_when_the_items_run_out_that_is_said(tmp_path):
    database, _, _ = filled(tmp_path / "labels.db", 2, ["ana"], overlap=1, password=PASSWORD)
    database.close()
    with (
        our_server(tmp_path, str(database.path)) as address,
        pytest.raises(MeasureFailed, match="no more items"),
    ):
        asyncio.run(work([OurAnnotator(address, "ana")], defaultdict(list), seconds=30, thinking=0))


@pytest.mark.slow
@pytest.mark.skipif(not LABEL_STUDIO.exists(), reason="Label Studio is installed by the program's own first run")
def test_beside_label_studio(tmp_path, capsys):
    words = ["--measure", "label_studio", "--teams", "2", "--team_items", "600", "--rounds", "1", "--seconds", "2"]
    found = measured(tmp_path, *words, "--thinking", "0.2", "--label_studio", str(LABEL_STUDIO))["label_studio"]
    assert [run["thinking"] for run in found["runs"]] == [0.2, 0.0]
    for run in found["runs"]:
        theirs, ours = run["label_studio"], run["ours"]["answer and next"]
        assert theirs["answer and next"]["p50"] > max(theirs["submit"]["p50"], theirs["next"]["p50"]) > 0
        assert run["ratio"]["answer and next"]["p95"] == pytest.approx(theirs["answer and next"]["p95"] / ours["p95"])
    assert "Label Studio" in capsys.readouterr().out
