"""Pipelines whose prompt goes through a language model."""

from __future__ import annotations

from typing import Any

from .parts import ROPE, clip, flow, hunyuan_vae, llama_sizes, tokenizer, wan_vae


def motif() -> dict[str, Any]:
    from diffusers import MotifVideoTransformer3DModel
    from diffusers.guiders import AdaptiveProjectedGuidance
    from transformers import T5Gemma2Encoder, T5Gemma2EncoderConfig, T5Gemma2TextConfig

    text = T5Gemma2TextConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        dropout_rate=0.0,
    )
    sight = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformer = MotifVideoTransformer3DModel(
        in_channels=33,
        out_channels=16,
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=1,
        num_single_layers=1,
        patch_size=1,
        patch_size_t=1,
        qk_norm="rms_norm",
        text_embed_dim=32,
        rope_axes_dim=(4, 4, 4),
    )
    return {
        "transformer": transformer,
        "vae": wan_vae(),
        "scheduler": flow(shift=7.0),
        "text_encoder": T5Gemma2Encoder(T5Gemma2EncoderConfig(text_config=text, vision_config=sight)).eval(),
        "tokenizer": tokenizer(),
        "guider": AdaptiveProjectedGuidance(guidance_scale=6.0),
    }


def ltx2() -> dict[str, Any]:
    """It makes sound, too: an audio VAE and a vocoder."""
    from diffusers import AutoencoderKLLTX2Audio, AutoencoderKLLTX2Video, LTX2VideoTransformer3DModel
    from diffusers.pipelines.ltx2 import LTX2TextConnectors
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    heads = {"num_key_value_heads": 2, "head_dim": 8}
    seen = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Gemma3Config(
        text_config={**llama_sizes(32), **heads, "num_hidden_layers": 2},
        vision_config={**seen, "image_size": 32, "patch_size": 8},
        mm_tokens_per_image=4,
    )
    transformer = LTX2VideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        audio_in_channels=4,
        audio_out_channels=4,
        audio_num_attention_heads=2,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=8,
        num_layers=1,
        caption_channels=32,
        rope_type="split",
        rope_double_precision=False,
    )
    connectors = LTX2TextConnectors(
        caption_channels=32,
        text_proj_in_factor=3,
        video_connector_num_attention_heads=4,
        video_connector_attention_head_dim=8,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=None,
        audio_connector_num_attention_heads=4,
        audio_connector_attention_head_dim=8,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=None,
        connector_rope_base_seq_len=32,
        rope_double_precision=False,
        causal_temporal_positioning=False,
        rope_type="split",
    )
    vae = AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True),
        decoder_spatio_temporal_scaling=(True, True, True),
        decoder_inject_noise=(False, False, False, False),
        downsample_type=("spatiotemporal",) * 3,
        upsample_residual=(False, False, False),
        upsample_factor=(1, 1, 1),
        timestep_conditioning=False,
        patch_size=1,
        patch_size_t=1,
    )
    sound = AutoencoderKLLTX2Audio(
        base_channels=4,
        output_channels=2,
        ch_mult=(1,),
        num_res_blocks=1,
        in_channels=2,
        resolution=32,
        latent_channels=2,
        mid_block_add_attention=False,
        mel_bins=8,
    )
    vocoder = LTX2Vocoder(
        in_channels=16,
        hidden_channels=32,
        out_channels=2,
        upsample_kernel_sizes=[4, 4],
        upsample_factors=[2, 2],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        output_sampling_rate=16000,
    )
    return {
        "transformer": transformer,
        "vae": vae,
        "audio_vae": sound,
        "scheduler": flow(),
        "text_encoder": Gemma3ForConditionalGeneration(config).eval(),
        "tokenizer": tokenizer(1024),
        "connectors": connectors,
        "vocoder": vocoder,
    }


def _qwen(kind: str) -> Any:
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        text_config={**llama_sizes(), "rope_parameters": ROPE, "rope_scaling": ROPE},
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16},
    )
    return getattr(transformers, f"{kind}ForConditionalGeneration")(config).eval()


def easyanimate() -> dict[str, Any]:
    from diffusers import AutoencoderKLMagvit, EasyAnimateTransformer3DModel

    vae = AutoencoderKLMagvit(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("SpatialDownBlock3D", *("SpatialTemporalDownBlock3D",) * 3),
        up_block_types=("SpatialUpBlock3D", *("SpatialTemporalUpBlock3D",) * 3),
        layers_per_block=1,
        norm_num_groups=2,
        spatial_group_norm=False,
    )
    transformer = EasyAnimateTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=16,
        num_layers=1,
        sample_width=8,
        sample_height=8,
        patch_size=2,
    )
    parts = {"text_encoder": _qwen("Qwen2VL"), "tokenizer": tokenizer()}
    return {**parts, "vae": vae, "transformer": transformer, "scheduler": flow()}


def kandinsky(seen: bool = False) -> dict[str, Any]:
    from diffusers import Kandinsky5Transformer3DModel

    transformer = Kandinsky5Transformer3DModel(
        in_visual_dim=4,
        in_text_dim=16,
        in_text_dim2=8,
        time_dim=16,
        out_visual_dim=4,
        patch_size=(1, 2, 2),
        model_dim=16,
        ff_dim=32,
        num_text_blocks=1,
        num_visual_blocks=1,
        axes_dims=(1, 1, 2),
        visual_cond=seen,
        attention_type="regular",
    )
    return {
        "transformer": transformer,
        "vae": hunyuan_vae(),
        "scheduler": flow(),
        "text_encoder": _qwen("Qwen2_5_VL"),
        "tokenizer": tokenizer(2000),
        "text_encoder_2": clip(),
        "tokenizer_2": tokenizer(77),
    }


def kandinsky_image() -> dict[str, Any]:
    return kandinsky(seen=True)
