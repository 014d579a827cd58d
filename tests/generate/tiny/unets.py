"""The older kind: U-Nets over pictures, with frames beside each other."""

from __future__ import annotations

from typing import Any

from .parts import clip, picture_vae, tokenizer


def _around(scheduler: str, **parts: Any) -> dict[str, Any]:
    import diffusers

    common = {"tokenizer": tokenizer(77), "text_encoder": clip(8), "vae": picture_vae()}
    return {**common, "scheduler": getattr(diffusers, scheduler)(), **parts}


def animatediff() -> dict[str, Any]:
    from diffusers import MotionAdapter, UNet2DConditionModel

    unet = UNet2DConditionModel(
        block_out_channels=(8, 8),
        layers_per_block=1,
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=2,
        norm_num_groups=2,
    )
    adapter = MotionAdapter(
        block_out_channels=(8, 8),
        motion_layers_per_block=1,
        motion_norm_num_groups=2,
        motion_num_attention_heads=2,
    )
    parts = {"unet": unet, "motion_adapter": adapter, "feature_extractor": None, "image_encoder": None}
    return _around("DDIMScheduler", **parts)


def modelscope() -> dict[str, Any]:
    from diffusers import UNet3DConditionModel

    unet = UNet3DConditionModel(
        block_out_channels=(4, 8),
        layers_per_block=1,
        sample_size=8,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        cross_attention_dim=8,
        attention_head_dim=4,
        norm_num_groups=2,
    )
    return _around("DDIMScheduler", unet=unet)
