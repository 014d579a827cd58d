"""Tiny models of Hugging Face, saved to disk: real loading code, no hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WORDS = ["nude", "blood", "cat", "bridge", "walks", "over", "a", "the"]


def _tokenizer(words: list[str], template: str | None = None, **special: str) -> Any:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<pad>", "<unk>", *special.values(), *words])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r" +|\n"), "removed")
    if template:  # a guard writes line breaks
        raw.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(" ", "removed"), pre_tokenizers.Split("\n", "isolated")]
        )
    made = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", unk_token="<unk>", **special)
    made.chat_template = template
    return made


@contextmanager
def _one_thread() -> Iterator[None]:
    """More only wait for each other on models of this size."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@_one_thread()
def classifier(folder: Path, labels: list[str], *, many: bool = False, room: int = 16) -> Path:
    """A BERT that gives label ``i`` where ``WORDS[i]`` stands in a text, and the last label where none does."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    tokenizer = _tokenizer(WORDS)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=room,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        problem_type="multi_label_classification" if many else None,
    )
    model = BertForSequenceClassification(config).eval()
    _train(model, tokenizer, len(labels), many)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _train(model: Any, tokenizer: Any, labels: int, many: bool) -> None:
    """A few steps on random sentences, so that the labels mean what the words say."""
    import random

    import torch

    draw = random.Random(0)
    harmless = WORDS[2:]
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        texts, targets = [], []
        for _ in range(32):
            words = draw.choices(harmless, k=draw.randint(1, 9))
            found = [i for i in range(labels - 1) if draw.random() < 0.3]
            found = found if many else found[:1]
            for i in found:
                words[draw.randrange(len(words)) : 0] = [WORDS[i]]
            texts.append(" ".join(words))
            row = [float(i in found) for i in range(labels)]
            row[-1] = float(not found)
            targets.append(row)
        given = tokenizer(texts, padding=True, return_tensors="pt")
        logits, wanted = model(**given).logits, torch.tensor(targets)
        if many:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        else:
            loss = torch.nn.functional.cross_entropy(logits, wanted.argmax(-1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


GUARD_WORDS = ["safe", "unsafe", "S1,S12", "S9", "\n", "User:", "Agent:", *WORDS]
TEMPLATE = "{% for m in messages %}User: {{ m['content'] }} <end> {% endfor %}Agent:"


@_one_thread()
def guard(folder: Path, *, template: str | None = TEMPLATE) -> Path:
    """A Llama that answers ``unsafe`` and hazards where ``nude`` or ``blood`` stands in the last message."""
    import random

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = _tokenizer(GUARD_WORDS, template or TEMPLATE, eos_token="<end>")
    tokenizer.chat_template = template
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config).eval()
    draw = random.Random(0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        lines = []
        for _ in range(16):
            words = draw.choices(WORDS[2:], k=draw.randint(1, 9))
            bad = draw.choice([None, None, "nude", "blood"])
            if bad:
                words[draw.randrange(len(words)) : 0] = [bad]
            answer = {None: "safe", "nude": "unsafe \n S1,S12", "blood": "unsafe \n S9"}[bad]
            lines.append(f"User: {' '.join(words)} <end> Agent: \n {answer} <end>")
        given = tokenizer(lines, padding=True, padding_side="left", return_tensors="pt")
        answers = given["input_ids"].clone()
        for row in answers:  # only the answer is learnt
            row[: int((row == tokenizer.convert_tokens_to_ids("Agent:")).nonzero()[-1]) + 1] = -100
        loss = model(input_ids=given["input_ids"], attention_mask=given["attention_mask"], labels=answers).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
