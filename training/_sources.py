"""Public collections of labelled prompts: whose they are, what trains, what is only measured, what their labels mean.

Labels that call harmless prompts harmful (style imitation, caricature, "bias", specialised advice) are not used.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["COMMENTS", "FOLDS", "LICENSED", "PRIOR", "VALIDATION", "VIDEO", "head_of"]

PRIOR: Final = 0.25  # the share of harmful prompts that probabilities are made for

# Source -> family: sources of one family share authors or texts and are left out together.
LICENSED: Final = {
    **{f"jdb_{name}": "jdb" for name in ("i2p", "diffusiondb", "discord_benign", "sneaky", "vbcde", "fourchan")},
    **{f"jdb_{name}": "jdb" for name in ("i2p_zh", "diffusiondb_zh", "sneaky_zh", "vbcde_zh", "fourchan_zh")},
    **{f"jdb_diffusiondb_benign{suffix}": "jdb" for suffix in ("", "_zh")},
    **dict.fromkeys(("advbench", "harmbench", "strongreject", "malicious_instruct"), "adversaria"),
    **{name: name for name in ("xsafety", "germeval2018", "davidson2017", "mlma", "ailuminate", "partiprompts")},
    **{name: name for name in ("nibbler_rewritten", "videogen_eval", "simplesafetytests", "alpaca_harmless")},
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

# Families that one of two models leaves out, so that every row is scored by a model that saw nothing of its family.
FOLDS: Final = {
    "a": {"nibbler_rewritten", "ailuminate", "germeval2018", "mlma", "videogen_eval", "partiprompts"},
    "b": {"jdb", "adversaria", "xsafety", "davidson2017", "simplesafetytests", "vbench", "alpaca_harmless"},
}


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
