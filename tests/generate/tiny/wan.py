"""Wan and its relatives, which share a VAE."""

from __future__ import annotations

from typing import Any

from .parts import flow, sight, t5, tokenizer, wan_vae

SIZES = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 32,
    "freq_dim": 32,
    "ffn_dim": 32,
    "num_layers": 2,
}


def _around(transformer: Any, **parts: Any) -> dict[str, Any]:
    common = {"tokenizer": tokenizer(), "text_encoder": t5("UMT5"), "vae": wan_vae(), "scheduler": flow(shift=3.0)}
    return {**common, "transformer": transformer, **parts}


def _wan(kind: str = "WanTransformer3DModel", **options: Any) -> Any:
    import diffusers

    return getattr(diffusers, kind)(**{**SIZES, "rope_max_seq_len": 32, **options})


def text() -> dict[str, Any]:
    return _around(_wan())


def image() -> dict[str, Any]:
    encoder, processor = sight()
    return _around(_wan(in_channels=36, image_dim=4), image_encoder=encoder, image_processor=processor)


def vace() -> dict[str, Any]:
    return _around(_wan("WanVACETransformer3DModel", vace_layers=[0], vace_in_channels=96))


def skyreels() -> dict[str, Any]:
    from diffusers import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler(flow_shift=8.0, use_flow_sigmas=True, prediction_type="flow_prediction")
    return _around(_wan("SkyReelsV2Transformer3DModel"), scheduler=scheduler)


def skyreels_image() -> dict[str, Any]:
    encoder, processor = sight()
    transformer = _wan("SkyReelsV2Transformer3DModel", in_channels=36, image_dim=4)
    scheduler = skyreels()["scheduler"]
    return _around(transformer, scheduler=scheduler, image_encoder=encoder, image_processor=processor)


def skyreels_forcing() -> dict[str, Any]:
    return _around(_wan("SkyReelsV2Transformer3DModel"), scheduler=skyreels()["scheduler"])


def anyflow() -> dict[str, Any]:
    from diffusers import FlowMapEulerDiscreteScheduler

    transformer = _wan("AnyFlowTransformer3DModel", gate_value=0.25, deltatime_type="r")
    return _around(transformer, scheduler=FlowMapEulerDiscreteScheduler(shift=5.0))


def helios() -> dict[str, Any]:
    from diffusers import HeliosScheduler, HeliosTransformer3DModel

    transformer = HeliosTransformer3DModel(
        **SIZES,
        rope_dim=(4, 4, 4),
        has_multi_term_memory_patch=True,
        guidance_cross_attn=True,
        zero_history_timestep=True,
        is_amplify_history=False,
    )
    return _around(transformer, scheduler=HeliosScheduler(stage_range=[0, 1], stages=1, use_dynamic_shifting=True))


def sana() -> dict[str, Any]:
    from diffusers import DPMSolverMultistepScheduler, SanaVideoTransformer3DModel
    from transformers import Gemma2Config, Gemma2Model

    transformer = SanaVideoTransformer3DModel(
        in_channels=16,
        out_channels=16,
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=12,
        cross_attention_dim=24,
        caption_channels=8,
        sample_size=30,
        patch_size=(1, 2, 2),
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=64,
    )
    encoder = Gemma2Model(
        Gemma2Config(
            vocab_size=300,
            hidden_size=8,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=8,
        )
    ).eval()
    scheduler = DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction")
    return _around(transformer, text_encoder=encoder, scheduler=scheduler)


def cosmos2() -> dict[str, Any]:
    from .others import cosmos_transformer

    return _around(
        cosmos_transformer(in_channels=17, out_channels=16),
        text_encoder=t5(),
        scheduler=flow(use_karras_sigmas=True),
    )
