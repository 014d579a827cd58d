"""Benchmarks run, in their smallest setting, so that they cannot rot; their figures are nobody's business here."""

from pathlib import Path

import pytest
from scipy.stats import binomtest

from countermark.benchmarks import chain, detect, forgery, noise_mark
from countermark.benchmarks._table import table, wilson
from countermark.provenance import sealing


def _cells(line: str) -> list[str]:
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip() for cell in line[1:-1].split("|")]


def test_the_chain_prints_one_table(capsys: pytest.CaptureFixture[str], home: Path):
    steps = sealing._sign, sealing._publish
    assert chain.main(["--small"]) == 0
    head, rule, *rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert _cells(head) == ["size", *chain.HEAD]
    assert set(rule) <= set("|-:")
    (row,) = [_cells(line) for line in rows]
    assert row[0] == "256x256"
    figures = dict(zip(chain.HEAD, map(float, row[1:]), strict=True))
    assert all(value >= 0 for value in figures.values())
    assert figures["seal / encode"] > 0
    assert figures["scan / decode"] > 0
    assert not home.exists(), "a benchmark has a home of its own"
    assert (sealing._sign, sealing._publish) == steps


@pytest.mark.parametrize("arguments", [["--sizes", "300"], ["--sizes", "big"], ["--nothing"]])
def test_wrong_options_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        chain.main(arguments)
    assert left.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_tables_line_up():
    lines = table(["name", "n"], [["a", "1"], ["longer", "1234"]]).splitlines()
    assert lines == [
        "| name   |    n |",
        "|--------|-----:|",
        "| a      |    1 |",
        "| longer | 1234 |",
    ]
    assert table(["only"], []).splitlines() == ["| only |", "|------|"]
    with pytest.raises(ValueError, match="one cell a column"):
        table(["a", "b"], [["1"]])


def test_wilsons_interval_is_the_one_of_the_textbook():
    for successes, trials in ((0, 1), (0, 10), (7, 10), (10, 10), (50, 1000)):
        low, high = binomtest(successes, trials).proportion_ci(method="wilson")
        assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-6)
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.trained
def test_the_detectors_bench_trains_and_prints_its_tables(capsys: pytest.CaptureFixture[str]):
    assert detect.main(["--small"]) == 0
    shown = capsys.readouterr().out
    for title in (
        "what is fused",
        "within bands",
        "each generator",
        "real sources",
        "controls",
        "spliced",
        "of decoding",
    ):
        assert title in shown
    rows = {_cells(line)[0] for line in shown.splitlines() if line.startswith("| ")}
    assert {"raw", "re1", "crf35", "half", "social", "fused", "16 fps"} <= rows
    assert {"a generated clip in real footage", "scan, all layers", "scan, each of 4, workers: 2"} <= rows
    assert any(row.startswith("metadata only") for row in rows)
    assert any(row.startswith("marked against unmarked") for row in rows)
    assert any(row.startswith("shuffled labels") for row in rows)
    with pytest.raises(SystemExit):
        detect.main([])


def test_the_mark_in_the_noise_is_measured(capsys: pytest.CaptureFixture[str]):
    assert noise_mark.main(["--small"]) == 0
    head, *rows = [_cells(line) for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert tuple(head) == noise_mark.HEAD
    assert [row[:4] for row in rows] == [[name, "1", "known", "1"] for name in noise_mark.SOURCES[:2]]
    assert rows[0][-3] == "1/1", "the model's own output gives the mark back"


def test_forgeries_are_measured_once_and_remembered(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    arguments = ["--small", "--parts", "removal,transplant", "--out", str(tmp_path / "kept.jsonl")]
    assert forgery.main(arguments) == 0
    shown = capsys.readouterr().out
    lines = [_cells(line) for line in shown.splitlines() if line.startswith("| ")]
    assert [line[0] for line in lines] == [
        "estimate subtracted",
        "blur 4, gain 1",
        "added to another clip",
        "estimate, gain 1, CRF 18",
        "exact difference, CRF 18",
    ]
    assert lines[-1][:3] == ["exact difference, CRF 18", "2/2", "2/2"], "a whole mark on another clip, read and flagged"
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 6
    monkeypatch.setattr(forgery, "mark", None)  # whatever is asked again fails
    assert forgery.main(arguments) == 0
    assert capsys.readouterr().out == shown
