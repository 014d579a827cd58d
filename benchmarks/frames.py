"""False alarms of the check of finished frames: ``countermark bench frames``.

Clips of ``--data`` (``clips.tsv``, label real or generated; none of them explicit), at most ``--clips`` of each class,
and as many drawn scenes like the embedded model's. A clip is flagged when a policy flags any of its frames, two of
each second. What the check misses is not measured: there are no explicit pictures among the data.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from countermark.benchmarks._table import table, wilson
from countermark.errors import ModelUnavailable
from countermark.generate.render import render
from countermark.generate.world import FPS, sample_scene
from countermark.media import open_source
from countermark.moderation.frames import RATE, check_frames, load_frame_model
from countermark.moderation.policy import load_policy

POLICIES = ("standard", "strict")


def main(argv: list[str]) -> int:
    """Prints the table; returns 0. Raises ModelUnavailable without the extra ``safety``, but for ``--small``."""
    parser = argparse.ArgumentParser(prog="countermark bench frames", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with clips.tsv; without it only drawn scenes are judged")
    parser.add_argument("--clips", type=int, default=150, help="of each class")
    parser.add_argument("--small", action="store_true", help="few clips: only shows that it runs")
    args = parser.parse_args(argv)
    model = load_frame_model()
    if model is None and args.small:
        print("the extra safety is not installed: finished frames are not looked at")
        return 0
    if model is None:
        raise ModelUnavailable("the check of frames needs: pip install 'countermark[safety]'")
    policies = [load_policy(name) for name in POLICIES]
    counts: dict[str, int] = defaultdict(int)
    flagged: dict[tuple[str, str], int] = defaultdict(int)
    for kind, frames in _clips(args.data, 4 if args.small else args.clips):
        counts[kind] += 1
        for policy in policies:
            flagged[kind, policy.name] += bool(check_frames(frames, RATE, policy, model).flagged)
    rows = []
    for kind, count in counts.items():
        shares = []
        for policy in policies:
            low, high = wilson(flagged[kind, policy.name], count)
            shares.append(f"{flagged[kind, policy.name]} ({low:.3f}-{high:.3f})")
        rows.append([kind, str(count), *shares])
    print(table(["clips", "count", *(f"flagged by {name}" for name in POLICIES)], rows))
    return 0


def _clips(data: Path | None, most: int) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    """Class and frames, ``RATE`` a second."""
    rows: list[dict[str, str]] = []
    if data:
        with (data / "clips.tsv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    taken: dict[str, int] = defaultdict(int)
    for row in sorted(rows, key=lambda row: hashlib.sha256(row["file"].encode()).hexdigest()):
        kind = row["label"]
        if kind in ("real", "generated") and taken[kind] < most:
            taken[kind] += 1
            chosen: list[npt.NDArray[np.uint8]] = []
            for timed in open_source(data / row["file"]).frames() if data else ():
                if timed.time >= len(chosen) / RATE:
                    chosen.append(timed.rgb)
            yield kind, np.stack(chosen)
    for number in range(most):
        scene = sample_scene(np.random.default_rng([9, number]))
        yield "drawn", render(scene, 256, 24)[:: round(FPS / RATE)]
