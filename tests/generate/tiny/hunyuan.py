"""HunyuanVideo in its forms: a language model and a second text encoder each."""

from __future__ import annotations

from typing import Any

from .parts import ROPE, clip, flow, hunyuan_vae, llama_sizes, tokenizer


def _hunyuan(channels: int = 4, **options: Any) -> dict[str, Any]:
    from diffusers import HunyuanVideoTransformer3DModel

    transformer = HunyuanVideoTransformer3DModel(
        in_channels=channels,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=2,
        patch_size_t=1,
        text_embed_dim=16,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 4, 4),
        **options,
    )
    return {
        "transformer": transformer,
        "vae": hunyuan_vae(),
        "scheduler": flow(shift=7.0),
        "tokenizer": tokenizer(),
        "text_encoder_2": clip(),
        "tokenizer_2": tokenizer(77),
    }


def text() -> dict[str, Any]:
    from transformers import LlamaConfig, LlamaModel

    return {**_hunyuan(guidance_embeds=True), "text_encoder": LlamaModel(LlamaConfig(**llama_sizes())).eval()}


def skyreels() -> dict[str, Any]:
    return {**text(), "transformer": _hunyuan(channels=8, guidance_embeds=True)["transformer"]}


def image() -> dict[str, Any]:
    from transformers import CLIPImageProcessor, CLIPVisionConfig, LlamaConfig, LlavaConfig
    from transformers import LlavaForConditionalGeneration as Llava

    seen = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        projection_dim=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=336,
        patch_size=14,
    )
    words = tokenizer()
    words.add_tokens(["<image>", "<|end_header_id|>"], special_tokens=True)
    place = words.convert_tokens_to_ids("<image>")
    words_of = LlamaConfig(**llama_sizes())
    config = LlavaConfig(vision_config=seen, text_config=words_of, image_token_index=place, pad_token_id=0)
    parts = _hunyuan(channels=9, guidance_embeds=False, image_condition_type="latent_concat")
    eye = CLIPImageProcessor(size=336, crop_size=336)
    return {**parts, "tokenizer": words, "text_encoder": Llava(config).eval(), "image_processor": eye}


def text15() -> dict[str, Any]:
    from diffusers import AutoencoderKLHunyuanVideo15, HunyuanVideo15Transformer3DModel
    from diffusers.guiders import ClassifierFreeGuidance
    from transformers import ByT5Tokenizer, Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel, T5Config, T5EncoderModel

    transformer = HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        patch_size=1,
        patch_size_t=1,
        text_embed_dim=16,
        text_embed_2_dim=32,
        image_embed_dim=12,
        rope_axes_dim=(2, 2, 4),
        target_size=64,
        task_type="t2v",
    )
    vae = AutoencoderKLHunyuanVideo15(
        latent_channels=4,
        block_out_channels=(16, 16, 16, 16),
        layers_per_block=1,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
        downsample_match_channel=False,
        upsample_match_channel=False,
    )
    glyphs = {"vocab_size": 400, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}
    return {
        "transformer": transformer.eval(),
        "vae": vae.eval(),
        "scheduler": flow(shift=7.0),
        "text_encoder": Qwen2_5_VLTextModel(Qwen2_5_VLTextConfig(**llama_sizes(), rope_parameters=ROPE)).eval(),
        "tokenizer": tokenizer(2000),
        "text_encoder_2": T5EncoderModel(T5Config(**glyphs)).eval(),
        "tokenizer_2": ByT5Tokenizer(),
        "guider": ClassifierFreeGuidance(guidance_scale=6.0),
    }


def image15() -> dict[str, Any]:
    from transformers import SiglipImageProcessor, SiglipVisionConfig, SiglipVisionModel

    config = SiglipVisionConfig(
        hidden_size=12, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    eye = SiglipImageProcessor(size={"height": 32, "width": 32})
    return {**text15(), "image_encoder": SiglipVisionModel(config).eval(), "feature_extractor": eye}
