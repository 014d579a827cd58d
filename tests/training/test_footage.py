"""Splits of the training table: whatever shares a family, a repository or a video stays together."""

from pathlib import Path

import numpy as np
import pytest

from countermark.errors import UsageError
from countermark.training._footage import Clip, bands, folds, read_footage, weights

HEAD = "file\tlabel\tfamily_or_source\trepo\tblob_sha\twidth\theight\tfps\tseconds\tkbps\n"


def _table(folder: Path, rows: list[tuple[str, str, str, str, str]]) -> Path:
    lines = ["\t".join((*row, "640", "360", "24", "1", "500")) for row in rows]
    (folder / "clips.tsv").write_text(HEAD + "\n".join(lines) + "\n")
    return folder


def test_groups_are_connected_components(tmp_path: Path):
    clips = read_footage(
        _table(
            tmp_path,
            [
                ("a", "generated", "A", "one", "1"),
                ("b", "generated", "B", "one", "2"),
                ("c", "generated", "B", "two", "3"),
                ("d", "real", "B", "three", "4"),
                ("e", "real", "S", "four", "4"),
                ("f", "real", "STTN", "five", "5"),
                ("g", "real", "CoTracker", "six", "6"),
                ("h", "generated", "STTN", "seven", "7"),
            ],
        )
    )
    group = {c.name: c.group for c in clips}
    assert group["a"] == group["b"] == group["c"], "a repository or a family was cut through"
    assert group["d"] == group["e"], "a video was cut through"
    assert group["f"] == group["g"], "DAVIS was cut through"
    assert len({group[n] for n in "adfh"}) == 4, "a name that both classes have does not tie them"


def test_tables_that_lack_something_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"clips\.tsv"):
        read_footage(tmp_path)
    (tmp_path / "clips.tsv").write_text("file\tlabel\na\treal\n")
    with pytest.raises(UsageError, match="missing"):
        read_footage(tmp_path)


def _clips(count: int) -> list[Clip]:
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        kind, family = ("real", "generated")[i % 2], int(rng.integers(0, 15))
        fps = 30.0 if (kind == "real") == (rng.random() < 0.8) else 8.0
        made.append(Clip(str(i), kind, f"{kind}{family}", f"{kind}{family // 2}", 640, 360, fps, 1.0, 500.0))
    return made


def test_folds_keep_groups_whole_and_have_both_classes():
    clips = _clips(400)
    fold = folds(clips, 4)
    assert np.array_equal(fold, folds(clips, 4))
    for group in {c.group for c in clips}:
        assert len({int(f) for c, f in zip(clips, fold, strict=True) if c.group == group}) == 1
    for own in range(4):
        kinds = [c.generated for c, f in zip(clips, fold, strict=True) if f == own]
        assert 0.25 < np.mean(kinds) < 0.75
        assert 60 <= len(kinds) <= 140


def test_weights_take_the_frame_rate_out_of_the_class():
    clips = _clips(400)
    kind, fast = np.array([c.generated for c in clips]), np.array([c.fps > 20 for c in clips])

    def gap(matched: float) -> float:
        weight = weights(clips, matched=matched)
        assert weight[kind].mean() == pytest.approx(1.0)
        assert weight[~kind].mean() == pytest.approx(1.0)
        shares = [np.average(fast[k], weights=weight[k]) for k in (kind, ~kind)]
        return abs(shares[0] - shares[1])

    assert gap(1.0) < 0.35 * gap(0.0)
    assert gap(0.5) < 0.75 * gap(0.0)


def test_a_big_source_is_capped():
    clips = [Clip(str(i), "real", "big" if i < 200 else f"s{i % 5}", "g", 640, 360, 24, 1, 500) for i in range(250)]
    weight = weights(clips, matched=0.0)
    assert weight[:200].sum() < 2 * weight[200:210].sum() * 20 / 10


def test_bands_are_of_rate_size_and_density():
    small, large = (Clip("a", "real", "s", "g", w, h, 24, 1, 500) for w, h in ((256, 144), (1280, 720)))
    assert bands(small)[0] == bands(large)[0]
    assert bands(small)[1:] != bands(large)[1:]
