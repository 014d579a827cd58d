"""Tiny random pipelines of diffusers, saved to disk: real loading code, no hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import chatty, hunyuan, others, unets, wan

PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "AllegroPipeline": others.allegro,
    "AnimateDiffPAGPipeline": unets.animatediff,
    "AnimateDiffPipeline": unets.animatediff,
    "AnyFlowPipeline": wan.anyflow,
    "CogVideoXImageToVideoPipeline": others.cogvideox_image,
    "CogVideoXPipeline": others.cogvideox,
    "Cosmos2VideoToWorldPipeline": wan.cosmos2,
    "CosmosTextToWorldPipeline": others.cosmos,
    "CosmosVideoToWorldPipeline": others.cosmos_image,
    "EasyAnimatePipeline": chatty.easyanimate,
    "HeliosPipeline": wan.helios,
    "HunyuanSkyreelsImageToVideoPipeline": hunyuan.skyreels,
    "HunyuanVideo15ImageToVideoPipeline": hunyuan.image15,
    "HunyuanVideo15Pipeline": hunyuan.text15,
    "HunyuanVideoImageToVideoPipeline": hunyuan.image,
    "HunyuanVideoPipeline": hunyuan.text,
    "Kandinsky5I2VPipeline": chatty.kandinsky_image,
    "Kandinsky5T2VPipeline": chatty.kandinsky,
    "LTX2ConditionPipeline": chatty.ltx2,
    "LTX2ImageToVideoPipeline": chatty.ltx2,
    "LTX2Pipeline": chatty.ltx2,
    "LTXConditionPipeline": others.ltx,
    "LTXImageToVideoPipeline": others.ltx,
    "LTXPipeline": others.ltx,
    "LattePipeline": others.latte,
    "MochiPipeline": others.mochi,
    "MotifVideoPipeline": chatty.motif,
    "SanaImageToVideoPipeline": wan.sana,
    "SanaVideoPipeline": wan.sana,
    "SkyReelsV2DiffusionForcingImageToVideoPipeline": wan.skyreels_forcing,
    "SkyReelsV2DiffusionForcingPipeline": wan.skyreels_forcing,
    "SkyReelsV2ImageToVideoPipeline": wan.skyreels_image,
    "SkyReelsV2Pipeline": wan.skyreels,
    "TextToVideoSDPipeline": unets.modelscope,
    "WanImageToVideoPipeline": wan.image,
    "WanPipeline": wan.text,
    "WanVACEPipeline": wan.vace,
}


def save(name: str, folder: Path) -> Path:
    """Saves a pipeline of this class to a folder, with weights of seed 0."""
    import diffusers
    import torch

    torch.manual_seed(0)
    getattr(diffusers, name)(**PARTS[name]()).save_pretrained(folder)
    return folder
