"""What tiny pipelines are made of: tokenizers, text and picture encoders, VAEs; all random, none from a hub."""

from __future__ import annotations

from typing import Any

SENTENCES = ["a red ball bounces in a studio", "a cat walks over a bridge", "the quick brown fox jumps at night"]
CHAT = "{% for message in messages %}{{ message['content'] if message['content'] is string else 'x' }}{% endfor %}"
VOCABULARY = 300
ROPE = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]}
UPS, DOWNS = "UpBlock3D", "DownBlock3D"


def tokenizer(longest: int = 512) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.Unigram())
    raw.normalizer = normalizers.NFKC()
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    raw.train_from_iterator(
        SENTENCES,
        trainers.UnigramTrainer(vocab_size=256, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    raw.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "bos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=longest, chat_template=CHAT, **names)


def t5(kind: str = "T5", width: int = 32) -> Any:
    import transformers

    sizes = {"vocab_size": VOCABULARY, "d_model": width, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    config = getattr(transformers, f"{kind}Config")(**sizes)
    return getattr(transformers, f"{kind}EncoderModel")(config).eval()


def clip(width: int = 8, kind: str = "CLIPTextModel") -> Any:
    import transformers

    config = transformers.CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=16,
        projection_dim=width,
        num_attention_heads=2,
        num_hidden_layers=2,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    return getattr(transformers, kind)(config).eval()


def llama_sizes(width: int = 16) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": width,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_hidden_layers": 3,
        "pad_token_id": 0,
    }


def sight(side: int = 32, patch: int = 8) -> tuple[Any, Any]:
    """An encoder of pictures and its processor."""
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=4,
        projection_dim=4,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=side,
        patch_size=patch,
    )
    return CLIPVisionModelWithProjection(config).eval(), CLIPImageProcessor(crop_size=side, size=side)


def flow(**options: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**options)


def wan_vae() -> Any:
    """8 x 8 pixels and four frames in one."""
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )


def hunyuan_vae(**options: Any) -> Any:
    """8 x 8 pixels and four frames in one."""
    from diffusers import AutoencoderKLHunyuanVideo

    sizes = {
        "latent_channels": 4,
        "down_block_types": (f"HunyuanVideo{DOWNS}",) * 4,
        "up_block_types": (f"HunyuanVideo{UPS}",) * 4,
        "block_out_channels": (8, 8, 8, 8),
        "layers_per_block": 1,
        "norm_num_groups": 4,
    }
    return AutoencoderKLHunyuanVideo(**{**sizes, **options})


def picture_vae() -> Any:
    """8 x 8 pixels in one; frames stay apart."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
    )
