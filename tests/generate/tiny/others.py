"""Diffusion transformers, each with a VAE of its own, behind a T5 encoder."""

from __future__ import annotations

from typing import Any

from .parts import DOWNS, UPS, flow, picture_vae, t5, tokenizer


def _around(transformer: Any, vae: Any, scheduler: Any, width: int = 32) -> dict[str, Any]:
    parts = {"tokenizer": tokenizer(), "text_encoder": t5(width=width)}
    return {**parts, "transformer": transformer, "vae": vae, "scheduler": scheduler}


def ltx() -> dict[str, Any]:
    """Its VAE takes 8 x 8 pixels and eight frames as one, where the real one takes 32 x 32."""
    from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel

    vae = AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False),
        decoder_inject_noise=(False, False, False, False, False),
        upsample_residual=(False, False, False, False),
        upsample_factor=(1, 1, 1, 1),
        timestep_conditioning=False,
        patch_size=1,
        patch_size_t=1,
    )
    transformer = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=32,
    )
    return _around(transformer, vae, flow())


def cogvideox(channels: int = 4) -> dict[str, Any]:
    from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel, DDIMScheduler

    vae = AutoencoderKLCogVideoX(
        down_block_types=(f"CogVideoX{DOWNS}",) * 4,
        up_block_types=(f"CogVideoX{UPS}",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=channels,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=32,
        num_layers=1,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=226,
        use_rotary_positional_embeddings=channels > 4,
    )
    return _around(transformer, vae, DDIMScheduler())


def cogvideox_image() -> dict[str, Any]:
    return cogvideox(channels=8)


def mochi() -> dict[str, Any]:
    from diffusers import AutoencoderKLMochi, MochiTransformer3DModel

    vae = AutoencoderKLMochi(
        latent_channels=12,
        out_channels=3,
        encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        layers_per_block=(1, 1, 1, 1, 1),
    )
    transformer = MochiTransformer3DModel(
        patch_size=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        pooled_projection_dim=16,
        in_channels=12,
        text_embed_dim=32,
        time_embed_dim=4,
        max_sequence_length=256,
    )
    return _around(transformer, vae, flow())


def allegro() -> dict[str, Any]:
    from diffusers import AllegroTransformer3DModel, AutoencoderKLAllegro, DDIMScheduler

    vae = AutoencoderKLAllegro(
        sample_size=128,
        down_block_types=(f"Allegro{DOWNS}",) * 4,
        up_block_types=(f"Allegro{UPS}",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    transformer = AllegroTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        cross_attention_dim=24,
        sample_width=8,
        sample_height=8,
        sample_frames=8,
        caption_channels=24,
    )
    return _around(transformer, vae, DDIMScheduler(), width=24)


def latte() -> dict[str, Any]:
    from diffusers import DDIMScheduler, LatteTransformer3DModel

    transformer = LatteTransformer3DModel(
        sample_size=8,
        video_length=9,
        num_layers=1,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        caption_channels=32,
        in_channels=4,
        cross_attention_dim=24,
        out_channels=8,
        attention_bias=True,
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
    )
    return _around(transformer, picture_vae(), DDIMScheduler())


def cosmos_transformer(**options: Any) -> Any:
    from diffusers import CosmosTransformer3DModel

    return CosmosTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=1,
        mlp_ratio=2,
        text_embed_dim=32,
        adaln_lora_dim=4,
        max_size=(4, 32, 32),
        patch_size=(1, 2, 2),
        rope_scale=(2.0, 1.0, 1.0),
        concat_padding_mask=True,
        **options,
    )


def cosmos(channels: int = 4) -> dict[str, Any]:
    from diffusers import AutoencoderKLCosmos, EDMEulerScheduler

    vae = AutoencoderKLCosmos(
        latent_channels=4,
        encoder_block_out_channels=(8, 8, 8, 8),
        decode_block_out_channels=(8, 8, 8, 8),
        attention_resolutions=(8,),
        resolution=64,
        num_layers=1,
        patch_size=4,
        scaling_factor=1.0,
        spatial_compression_ratio=4,
        temporal_compression_ratio=4,
    )
    transformer = cosmos_transformer(in_channels=channels, out_channels=4, extra_pos_embed_type="learnable")
    return _around(transformer, vae, EDMEulerScheduler(final_sigmas_type="sigma_min"))


def cosmos_image() -> dict[str, Any]:
    return cosmos(channels=5)
