"""What moderation refuses and lets pass, and what it costs: ``countermark bench moderate``.

Rows are those that nothing was trained on: one seventh of the project's own (by pairs and their translations), and,
with ``--data FOLDER`` (``dev.jsonl``), the sources that the model card names as held out; ``--sources`` names others,
of which some were trained on. A prompt's score is its decision's ``risk``. Harmful rows of a source are compared with
the harmless video prompts of all; thresholds at 1, 2 and 5 % false refusals are those of these prompts.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from countermark.benchmarks._table import table, wilson
from countermark.moderation import Decision, Moderator
from countermark.moderation.loading import load_model
from countermark.training._metrics import auc, calibration_error
from countermark.training._prompts import PARTS, Example, own_examples, part_of
from countermark.training._sources import PRIOR, VALIDATION, VIDEO

TABLES = ("own", "padding", "sources", "cost", "abuse")
PADDING = (0, 1, 3)  # harmless sentences on each side of a prompt
LEAST = 8  # rows of a class below which a figure says nothing
HOSTILE = {
    "one letter": "a",
    "words": "the cat walks over bridges ",
    "trigger words": "nude bomb kill singer election ",
    "letters apart": "n u d e ",
    "base64": "bnVkZSB3b21hbiBu",
    "marks piled up": "n" + "\u0301" * 50,
    "invisible characters": "\u200b\u2060n",
}


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows and the decisions about them."""

    rows: Sequence[Example]
    decisions: Sequence[Decision]

    @property
    def risk(self) -> npt.NDArray[np.float64]:
        """One score a row."""
        return np.array([decision.risk for decision in self.decisions])

    @property
    def refused(self) -> npt.NDArray[np.bool_]:
        """Whether a row is refused."""
        return np.array([not decision.allowed for decision in self.decisions])

    @property
    def harmful(self) -> npt.NDArray[np.bool_]:
        """The rows' labels."""
        return np.array([row.harmful for row in self.rows])


def main(argv: list[str]) -> int:
    """Prints the tables; returns 0."""
    parser = argparse.ArgumentParser(prog="countermark bench moderate", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with dev.jsonl")
    parser.add_argument("--sources", help="of --data, separated by commas; by default those never trained on")
    parser.add_argument("--most", type=int, default=1000, help="rows of a source and label")
    parser.add_argument("--policy", default="standard")
    parser.add_argument("--model", default="embedded", help="as of countermark moderate")
    parser.add_argument("--parts", default=",".join(TABLES), help="which tables")
    parser.add_argument("--small", action="store_true", help="few rows: only shows that it runs")
    args = parser.parse_args(argv)
    moderator = Moderator(args.policy, model=load_model(args.model))
    parts = args.parts.split(",")
    rows = [row for row in own_examples() if part_of(row, PARTS) == 0]
    if "own" in parts:
        print(_own(_judge(moderator, rows[:: 40 if args.small else 1])))
    if "padding" in parts:
        print(_padding(moderator, rows[:: 40 if args.small else 3]))
    if "sources" in parts and args.data:
        wanted = args.sources.split(",") if args.sources else VALIDATION
        print(_sources(_judge(moderator, _read(args.data / "dev.jsonl", wanted, args.most))))
    if "cost" in parts:
        print(_cost(moderator, args.model, 1 if args.small else 5))
    if "abuse" in parts:
        print(_abuse(moderator, 10_000 if args.small else 200_000))
    return 0


def _judge(moderator: Moderator, rows: Sequence[Example]) -> Judged:
    return Judged(rows, list(moderator.check_all(row.text for row in rows)))


def _read(path: Path, sources: Iterable[str], most: int) -> list[Example]:
    """Rows of sources as they stand, whatever their labels mean; of each the first ``most`` of a label."""
    wanted, rows = set(sources), []
    counts: dict[tuple[str, bool], int] = {}
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            cell = row["source"], bool(row["harmful"])
            counts[cell] = counts.get(cell, 0) + 1
            if row["source"] in wanted and counts[cell] <= most:
                named = frozenset([str(row["taxonomy"])]) if row["harmful"] else frozenset()
                rows.append(Example(row["text"], cell[1], named, row["lang"], row["source"], "public", "", ""))
    return rows


def _own(judged: Judged) -> str:
    """By language and by category: ranks, what is refused, and how far probabilities are off."""
    harmful, risk, refused = judged.harmful, judged.risk, judged.refused
    langs = np.array([row.lang for row in judged.rows])
    rows = []
    for name, here in (("all", langs != ""), *((lang, langs == lang) for lang in sorted(set(langs)))):
        rows.append([name, *_line(risk[here], refused[here], harmful[here])])
    shown = table(["own rows", "harmless", "harmful", "AUC", "refused, harmless", "refused, harmful"], rows)
    rows = []
    for category in sorted({category for row in judged.rows for category in row.categories}):
        here = np.array([category in row.categories for row in judged.rows])
        named = [category in judged.decisions[int(i)].flagged for i in np.flatnonzero(here)]
        figures = _line(risk[here | ~harmful], refused[here | ~harmful], harmful[here | ~harmful])
        rows.append([category, figures[1], figures[2], figures[4], f"{np.mean(named):.2f}"])
    shown += "\n\n" + table(["category", "rows", "AUC", "refused", "named so"], rows)
    weights = np.where(harmful, PRIOR / max(1, harmful.sum()), (1 - PRIOR) / max(1, (~harmful).sum()))
    error = calibration_error(risk, harmful, weights)
    return f"{shown}\n\nCalibration error of risk at {PRIOR:.0%} harmful prompts: {error:.3f}\n"


def _padding(moderator: Moderator, rows: Sequence[Example]) -> str:
    """Prompts among harmless sentences of their language: those harmless rows of it that have the least risk."""
    dice, calm = random.Random(0), dict[str, list[str]]()
    judged = _judge(moderator, [row for row in rows if not row.harmful])
    for lang in {row.lang for row in rows}:
        own = sorted((risk, row.text) for row, risk in zip(judged.rows, judged.risk, strict=True) if row.lang == lang)
        calm[lang] = [text for _, text in own[: max(3, len(own) // 3)]]
    shown = []
    for count in PADDING:
        padded = []
        for row in rows:
            around = [dice.choice(calm[row.lang]) for _ in range(2 * count)] if calm[row.lang] else []
            sentences = [text.rstrip(".!?。 ") for text in (*around[:count], row.text, *around[count:])]
            padded.append(replace(row, text=". ".join(sentences)))
        judged = _judge(moderator, padded)
        shown.append([str(count), *_line(judged.risk, judged.refused, judged.harmful)])
    head = ["harmless sentences on each side", "harmless", "harmful", "AUC", "refused, harmless", "refused, harmful"]
    return table(head, shown) + "\n"


def _line(risk: npt.NDArray[np.float64], refused: npt.NDArray[np.bool_], harmful: npt.NDArray[np.bool_]) -> list[str]:
    counts = [int((~harmful).sum()), int(harmful.sum())]
    rank = f"{auc(risk, harmful):.3f}" if min(counts) >= LEAST else "-"
    return [*map(str, counts), rank, _share(refused[~harmful]), _share(refused[harmful])]


def _share(flags: npt.NDArray[np.bool_]) -> str:
    if not len(flags):
        return "-"
    low, high = wilson(int(flags.sum()), len(flags))
    return f"{flags.mean():.3f} ({low:.3f}-{high:.3f})"


def _sources(judged: Judged) -> str:
    """Each source by what its labels name, against harmless video prompts."""
    harmful, risk, refused = judged.harmful, judged.risk, judged.refused
    source = np.array([row.source for row in judged.rows])
    video = risk[np.isin(source, VIDEO) & ~harmful]
    cuts = [float(np.quantile(video, 1 - rate)) for rate in (0.01, 0.02, 0.05)] if len(video) else []
    names = [f"{row.source} {'+'.join(row.categories) if row.harmful else 'harmless'}" for row in judged.rows]
    rows = []
    for name in sorted(set(names), key=lambda name: (not name.endswith("harmless"), name)):
        here = np.array([other == name for other in names])
        rank = "-"
        if cuts and harmful[here].any():
            both = np.r_[video, risk[here]]
            rank = f"{auc(both, np.r_[np.zeros(len(video), bool), np.ones(here.sum(), bool)]):.3f}"
        shares = [f"{np.mean(risk[here] > cut):.3f}" for cut in cuts] or ["-"] * 3
        rows.append([name, str(int(here.sum())), rank, *shares, _share(refused[here])])
    return table(["source", "rows", "AUC", "at 1 %", "at 2 %", "at 5 %", "refused"], rows) + "\n"


def _cost(moderator: Moderator, model: str, times: int) -> str:
    """Seconds of a fresh process, milliseconds of one prompt, prompts a second in batches."""
    texts = [row.text for row in own_examples() if part_of(row, PARTS) == 0 and row.lang == "en"][: 100 * times]
    command = [sys.executable, "-m", "countermark.cli", "moderate", "--model", model, "a cat walks over a bridge"]
    cold = []
    for _ in range(min(3, times)):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        cold.append(time.perf_counter() - start)
    alone = []
    for text in texts:
        start = time.perf_counter()
        moderator.check(text)
        alone.append(1000 * (time.perf_counter() - start))
    start = time.process_time()
    count = sum(1 for _ in moderator.check_all(texts * times))
    rate = count / (time.process_time() - start)
    row = [
        model,
        f"{min(cold):.2f}",
        f"{statistics.median(alone):.1f}",
        f"{np.quantile(alone, 0.95):.1f}",
        f"{rate:.0f}",
    ]
    return (
        table(["model", "cold, s", "one prompt, median ms", "95 %, ms", "in batches, prompts a CPU second"], [row])
        + "\n"
    )


def _abuse(moderator: Moderator, length: int) -> str:
    """Milliseconds a kilobyte of hostile prompts."""
    rows = []
    for name, piece in HOSTILE.items():
        text = (piece * (length // len(piece) + 1))[:length]
        start = time.process_time()
        moderator.check(text)
        spent = 1000 * (time.process_time() - start)
        rows.append([name, f"{len(text.encode()) / 1000:.0f}", f"{spent / (len(text.encode()) / 1000):.1f}"])
    return table(["hostile prompt", "kB", "ms a kB"], rows) + "\n"
