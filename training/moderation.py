"""``countermark train moderation --data DIR``: the linear model of the moderation room.

Design decisions:

- ``DIR`` holds ``dev.jsonl`` (fields text, harmful, category, taxonomy, source, lang). Only sources whose licence is
  stated and permissive (``LICENSED``) train and calibrate; the others (``VALIDATION``) are only measured.
- Language must not become the label: only languages of ``LANGUAGES`` are trained, and within each language harmful rows
  weigh together half as much as benign ones. German, French and Spanish benign prompts come from the phrases below,
  which are this project's own.
- One source must not dominate: a source's rows weigh together the square root of their number.
- Every figure is out of source: rows are scored by a model that saw nothing of their whole family of sources. Those
  scores also calibrate the shipped model (Platt: slope and offset) against benign prompts, at a prior of ``PRIOR``.
- Categories with too few licensed rows, or rows of one source only, get no head: rules alone carry them.
- Labels of taxonomies that call harmless prompts harmful (style imitation, caricature, "bias") are not used.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from countermark.moderation import Moderator
from countermark.moderation.features import BUCKETS, features
from countermark.moderation.folding import clean
from countermark.moderation.linear import LinearModel
from countermark.moderation.mapped import whole
from countermark.moderation.opinion import ANY
from countermark.training._calibration import platt

LANGUAGES: Final = frozenset({"en", "de", "fr", "es", "zh"})
HEADS: Final = (ANY, "sexual", "violence_graphic", "hate", "dangerous_acts")
PRIOR: Final = 0.05
PENALTY: Final = 30.0  # inverse strength of the L2 penalty, in scikit-learn's C
SEED: Final = 20261122

# Source -> family: sources of one family share authors or texts and are left out together.
LICENSED: Final = {
    **{f"jdb_{name}": "jdb" for name in ("i2p", "diffusiondb", "discord_benign", "sneaky", "vbcde", "fourchan")},
    **{f"jdb_{name}": "jdb" for name in ("i2p_zh", "diffusiondb_zh", "sneaky_zh", "vbcde_zh", "fourchan_zh")},
    **{f"jdb_diffusiondb_benign{suffix}": "jdb" for suffix in ("", "_zh")},
    **dict.fromkeys(("advbench", "harmbench", "strongreject", "malicious_instruct"), "adversaria"),
    **{name: name for name in ("xsafety", "germeval2018", "davidson2017", "mlma", "ailuminate", "partiprompts")},
    **{name: name for name in ("nibbler_rewritten", "videogen_eval", "simplesafetytests", "alpaca_harmless", "own")},
    **{"vbench2": "vbench", "vbench2_ch": "vbench"},
}
VALIDATION: Final = ("t2i_riskyprompt", "t2v_compbench", "evalcrafter", "fetv")
VIDEO: Final = ("partiprompts", "videogen_eval", "vbench2", "t2v_compbench", "evalcrafter", "fetv")

# Benign comments of the hate speech sets: useful in training, but no measure of what operators see.
COMMENTS: Final = ("germeval2018", "davidson2017", "mlma")
_JDB_PLAIN: Final = {"nudity and sexual content", "physical harm and violence", "hate content"}
_ILLEGAL: Final = {
    "Crimes_And_Illegal_Activities", "Illegal goods and services", "Non-violent crimes", "chemical_biological",
    "cybercrime_intrusion", "illegal", "iwp", "ncr", "advbench", "malicious_instruct", "harmful",
    "Illegal and Highly Regulated items",
}  # fmt: skip
_UNUSED: Final = {"ip", "political", "public_figure", "disturbing", "jailbreak", "misinfo", "privacy"}

# This project's own benign prompts: phrases that any combination of which is a scene.
_PHRASES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "de": (
        ("Eine Katze", "Ein alter Fischer", "Zwei Kinder", "Eine Tänzerin", "Ein roter Ball", "Ein Koch", "Ein Hund",
         "Eine Frau im Mantel", "Ein Mann mit Hut", "Ein Roboter", "Ein Zug", "Eine Möwe", "Ein Segelboot",
         "Eine Gruppe Wanderer", "Ein Gitarrist", "Ein Astronaut", "Ein Schmetterling", "Eine Bäckerin"),
        ("läuft langsam", "bewegt sich ruhig", "ist zu sehen", "wartet geduldig", "dreht sich im Kreis", "steht",
         "gleitet dahin", "wird gefilmt", "taucht auf", "verschwindet im Nebel"),
        ("über eine Brücke", "am Strand bei Sonnenuntergang", "in einer kleinen Küche", "auf dem Marktplatz von Köln",
         "durch einen verschneiten Wald", "vor einer weißen Wand", "im Regen", "neben einem blauen Würfel",
         "auf einer Bühne", "in den Alpen"),
        (", Zeitlupe", ", als Zeichentrick", ", fotorealistisch", ", Nahaufnahme", ", von oben gefilmt", "",
         " und schaut in die Kamera", ", warmes Licht", ", im Stil eines alten Films"),
    ),
    "fr": (
        ("Un chat", "Une danseuse", "Un vieux pêcheur", "Deux enfants", "Un ballon rouge", "Un cuisinier", "Un chien",
         "Une femme en manteau", "Un train", "Un voilier", "Un robot", "Un papillon", "Une boulangère"),
        ("marche lentement", "avance calmement", "apparaît", "attend", "tourne sur place", "se repose", "passe"),
        ("sur un pont", "au bord de la mer au coucher du soleil", "dans une petite cuisine", "sur la place du marché",
         "dans une forêt enneigée", "devant un mur blanc", "sous la pluie", "à côté d'un cube bleu", "dans les Alpes"),
        (", au ralenti", ", dessin animé", ", photoréaliste", ", gros plan", ", vue aérienne", "", ", lumière chaude"),
    ),
    "es": (
        ("Un gato", "Una bailarina", "Un viejo pescador", "Dos niños", "Una pelota roja", "Un cocinero", "Un perro",
         "Una mujer con abrigo", "Un tren", "Un velero", "Un robot", "Una mariposa", "Una panadera"),
        ("camina despacio", "avanza con calma", "aparece", "espera", "gira en círculos", "descansa", "pasa"),
        ("por un puente", "en la playa al atardecer", "en una cocina pequeña", "en la plaza del mercado",
         "por un bosque nevado", "delante de una pared blanca", "bajo la lluvia", "junto a un cubo azul"),
        (", a cámara lenta", ", dibujos animados", ", fotorrealista", ", primer plano", ", vista aérea", ""),
    ),
}  # fmt: skip
_OWN_ROWS: Final = 600  # a language


@dataclass(frozen=True)
class Row:
    """One labelled prompt. ``head`` is empty for benign rows and for harm without a head of its own."""

    text: str
    harmful: bool
    head: str
    source: str
    lang: str


def head_of(row: dict[str, Any]) -> str | None:
    """The head that a harmful row teaches; empty for ``any`` alone, None when its label is not used."""
    taxonomy, source, category = row["taxonomy"], row["source"], str(row["category"])
    if source.startswith("jdb_") and not (category in _JDB_PLAIN or "sneaky" in source or "vbcde" in source):
        return None
    if taxonomy in _UNUSED or category in {"image_failure_bias", "", "spc_fin", "spc_hlt", "spc_lgl", "spc_ele"}:
        return "" if taxonomy in {"misinfo", "privacy"} else None
    heads = {"sexual": "sexual", "violence": "violence_graphic", "hate": "hate"}
    if taxonomy in heads:
        return heads[taxonomy]
    return "dangerous_acts" if category in _ILLEGAL else ""


def read_rows(path: Path) -> list[Row]:
    """The usable rows of ``dev.jsonl``."""
    rows: list[Row] = []
    seen: set[str] = set()
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            entry = json.loads(line)
            source, text = entry["source"], clean(whole(entry["text"])).text
            used = source in VALIDATION or (source in LICENSED and entry["lang"] in LANGUAGES)
            head = head_of(entry) if entry["harmful"] and source in LICENSED else ""
            if used and head is not None and text not in seen:
                seen.add(text)
                rows.append(Row(text, bool(entry["harmful"]), head, source, entry["lang"]))
    return rows


def own_rows() -> list[Row]:
    """Benign prompts put together from this project's own phrases."""
    draw = random.Random(SEED)
    rows: list[Row] = []
    for lang, parts in _PHRASES.items():
        scenes = [f"{who} {does} {where}{how}" for who, does, where, how in itertools.product(*parts)]
        rows += [Row(clean(whole(s)).text, False, "", "own", lang) for s in draw.sample(scenes, _OWN_ROWS)]
    return rows


def matrix(texts: Iterable[str]) -> Any:
    """Features of texts as a sparse matrix, texts x ``BUCKETS``."""
    from scipy.sparse import csr_matrix

    found = [features(text) for text in texts]
    ends = np.cumsum([0] + [len(f.buckets) for f in found])
    values, places = np.concatenate([f.values for f in found]), np.concatenate([f.buckets for f in found])
    return csr_matrix((values, places, ends), shape=(len(found), BUCKETS), dtype=np.float32)


def weigh(rows: list[Row], positive: Any) -> Any:
    """A weight for each row: sources by the square root of their size, positives half of benign in each language.

    Other harm may well have the head's category too: it counts little as a counterexample.
    """
    weights = np.ones(len(rows))
    sources = np.array([f"{row.source} {row.head if row.harmful else '-'}" for row in rows])
    for source in np.unique(sources):
        weights[sources == source] = 1 / np.sqrt(np.sum(sources == source))
    langs, harmful = np.array([row.lang for row in rows]), np.array([row.harmful for row in rows])
    for lang in np.unique(langs):
        benign = weights[(langs == lang) & ~harmful].sum()
        for part, share in ((positive, 0.5), (harmful & ~positive, 0.15)):
            here = part & (langs == lang)
            if here.any():
                weights[here] *= share * benign / weights[here].sum()
    return weights * (len(rows) / weights.sum())


def fit(X: Any, rows: list[Row], head: str) -> tuple[Any, float]:
    """Weights and bias of one head."""
    from sklearn.linear_model import LogisticRegression

    y = np.array([row.harmful if head == ANY else row.head == head for row in rows])
    model = LogisticRegression(C=PENALTY, max_iter=80, tol=1e-3)
    model.fit(X, y, sample_weight=weigh(rows, y))
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def calibrated(logits: Any, rows: list[Row], head: str) -> tuple[float, float]:
    """Slope and offset of a head's out-of-source logits, against benign rows that are not comments."""
    y = np.array([row.harmful if head == ANY else row.head == head for row in rows])
    use = y | np.array([not row.harmful and row.source not in COMMENTS for row in rows])
    use &= ~np.isnan(logits)
    return platt(logits[use], y[use], np.array([row.source for row in rows])[use], PRIOR)


def quantised(weights: Any) -> tuple[Any, Any]:
    """int8 weights and the scale of each head; the largest ten-thousandth is clipped."""
    scale = np.quantile(np.abs(weights), 0.9999, axis=1) / 127
    return np.clip(np.rint(weights / scale[:, None]), -127, 127).astype(np.int8), scale.astype(np.float32)


def model_of(weights: Any, bias: Any, calibration: Any) -> tuple[LinearModel, dict[str, Any]]:
    """The model as it would run, and its tensors."""
    small, scale = quantised(weights)
    tensors = {"weights": small, "scale": scale, "bias": np.asarray(bias, np.float32)}
    tensors |= {"slope": calibration[:, 0].astype(np.float32), "offset": calibration[:, 1].astype(np.float32)}
    return LinearModel(tensors, HEADS, LANGUAGES), tensors


def save(tensors: dict[str, Any], path: Path) -> str:
    """Write the weights file; gives its sha256."""
    from safetensors.numpy import save as pack

    meta = {"heads": " ".join(HEADS), "languages": " ".join(sorted(LANGUAGES)), "buckets": str(BUCKETS)}
    raw = pack(tensors, metadata=meta)
    path.write_bytes(raw)
    return hashlib.sha256(raw).hexdigest()


def report_heads(rows: list[Row], logits: Any) -> None:
    """Print how well each head tells its own rows from benign video prompts, out of source."""
    from sklearn.metrics import roc_auc_score

    benign = np.array([row.source in VIDEO and not row.harmful for row in rows])
    print("| head | rows | AUC | at 2 % |\n" + "|---" * 4 + "|")
    for i, head in enumerate(HEADS):
        own = np.array([row.harmful if head == ANY else row.head == head for row in rows])
        bad, good = (logits[part & ~np.isnan(logits[:, i]), i] for part in (own, benign))
        auc = roc_auc_score(np.r_[np.zeros(len(good)), np.ones(len(bad))], np.r_[good, bad])
        print(f"| {head} | {len(bad)} | {auc:.3f} | {np.mean(bad > np.quantile(good, 0.98)):.3f} |")


def report(rows: list[Row], logits: Any, judge: Callable[[str], LinearModel], sample: int) -> None:
    """Print the out-of-source figures of the model alone and of the whole room under the standard policy."""
    from sklearn.metrics import roc_auc_score

    source = np.array([row.source for row in rows])
    harmful = np.array([row.harmful for row in rows])
    benign = logits[np.isin(source, VIDEO) & ~harmful]
    cuts = [float(np.quantile(benign, 1 - rate)) for rate in (0.01, 0.02, 0.05)]
    print(
        "| source | label | rows | AUC | at 1 % | at 2 % | at 5 % | model refuses | room refuses |\n" + "|---" * 9 + "|"
    )
    draw = random.Random(SEED)
    for name, label in sorted({(row.source, row.harmful) for row in rows}, key=lambda pair: (pair[1], pair[0])):
        here = np.flatnonzero((source == name) & (harmful == label))
        auc = f"{roc_auc_score(np.r_[np.zeros(len(benign)), np.ones(len(here))], np.r_[benign, logits[here]]):.3f}"
        passed = " | ".join(f"{float(np.mean(logits[here] > cut)):.3f}" for cut in cuts)
        chosen = [rows[i].text for i in draw.sample(list(here), min(sample, len(here)))]
        moderator = Moderator("standard", model=judge(name))
        decisions = [moderator.check(text) for text in chosen]
        alone = np.mean([any(r.rule == "linear" and r.category in d.flagged for r in d.reasons) for d in decisions])
        refused = np.mean([not decision.allowed for decision in decisions])
        row = f"| {name} | {'harmful' if label else 'benign'} | {len(here)} | {auc if label else '-'} | {passed}"
        print(f"{row} | {alone:.3f} | {refused:.3f} |", flush=True)


def main(argv: list[str]) -> int:
    """Train, measure, calibrate and write the weights; prints their sha256, which belongs in ``linear.py``."""
    parser = argparse.ArgumentParser(prog="countermark train moderation", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with dev.jsonl")
    parser.add_argument("--out", type=Path, default=Path("moderation/weights/linear.safetensors"))
    parser.add_argument("--sample", type=int, default=700, help="rows of a source that the whole room judges")
    options = parser.parse_args(argv)
    rows = own_rows() + read_rows(options.data / "dev.jsonl")
    X = matrix(row.text for row in rows)
    family = np.array([LICENSED.get(row.source, "") for row in rows])
    logits = np.zeros((len(rows), len(HEADS)))
    folds: dict[str, tuple[Any, Any]] = {}
    for left in ["", *sorted(set(family) - {""})]:  # "" leaves out nothing but the sources for validation
        use = np.flatnonzero((family != "") & (family != left))
        heads = [fit(X[use], [rows[i] for i in use], head) for head in HEADS]
        folds[left] = np.stack([w for w, _ in heads]), np.array([b for _, b in heads])
        there = np.flatnonzero(family == left)
        logits[there] = X[there] @ folds[left][0].T + folds[left][1]
        for i, head in enumerate(HEADS[1:], 1):  # a head says nothing where no row taught it the language
            taught = {rows[k].lang for k in use if rows[k].head == head}
            logits[[k for k in there if rows[k].lang not in taught], i] = np.nan
        print(f"left out: {left or 'nothing'}", flush=True)
    kept = np.flatnonzero(family != "")
    calibration = np.array([calibrated(logits[kept, i], [rows[k] for k in kept], head) for i, head in enumerate(HEADS)])
    print("calibration", calibration.round(3).tolist())
    _, tensors = model_of(*folds[""], calibration)
    print("sha256", save(tensors, options.out))
    report_heads(rows, logits)
    report(rows, logits[:, 0], lambda name: model_of(*folds[LICENSED.get(name, "")], calibration)[0], options.sample)
    return 0
