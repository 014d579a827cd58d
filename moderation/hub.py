"""Models of Hugging Face as a :class:`~countermark.moderation.linear.PromptModel`, from a folder or the hub.

- Text classification (``...ForSequenceClassification``): labels by :mod:`.labels`; a softmax over them, or a sigmoid of
  each where the configuration says ``multi_label_classification`` or there is but one. Texts that are longer than the
  model reads are judged in overlapping windows.
- Guards in the manner of Llama Guard (``...ForCausalLM`` with a chat template; Inan et al., arXiv:2312.06674): the
  answer begins with ``safe`` or ``unsafe``, and names hazards (``S1``, ...). The probability is that of the first token
  of ``unsafe`` against that of ``safe``; the hazards that are named have it.

Code that comes with a model is never run.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from countermark.errors import ModelUnavailable
from countermark.hub import best_device, first_line, quiet
from countermark.moderation.decision import printable
from countermark.moderation.labels import HAZARDS, NONE, category_of, opinion_of
from countermark.moderation.language import LANGUAGES
from countermark.moderation.opinion import ANY, Opinion, PromptModel
from countermark.torchvision_shim import mend_torchvision

__all__ = ["Classifier", "Guard", "load_hub"]

LONGEST: Final = 512  # tokens that a classifier reads at once, at most
OVERLAP: Final = 32  # tokens that two windows share, at most
AT_ONCE: Final = 16  # windows or texts in one call of the model
ANSWER: Final = 24  # tokens of a guard's answer
_HAZARD: Final = re.compile(r"\bS\d{1,2}\b")


class Classifier:
    """A text classifier; calls from several threads wait for each other, since a tokenizer serves one at a time."""

    languages = frozenset(LANGUAGES)

    def __init__(self, name: str, model: Any, tokenizer: Any, labels: Mapping[str, str]) -> None:
        self.name = name
        config = model.config
        names = [str(config.id2label[i]) for i in range(config.num_labels)]
        self._categories = [category_of(label, labels) for label in names]
        if all(category == NONE for category in self._categories):
            raise ModelUnavailable("no label of it is harmful; name categories in the policy's [labels]")
        if not tokenizer.is_fast:
            raise ModelUnavailable("it has no fast tokenizer, which tells where in a text its tokens stand")
        self._many = config.num_labels == 1 or config.problem_type == "multi_label_classification"
        self._model, self._tokenizer = model, _padding(tokenizer, model)
        room = getattr(config, "max_position_embeddings", None) or LONGEST + 2
        self._longest = min(tokenizer.model_max_length, room - 2, LONGEST)  # RoBERTa counts positions from 2
        self._lock = threading.Lock()

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        """Opinions on texts of any length; each category of a long one has the highest probability of its windows."""
        if not texts:
            return []
        with self._lock, _running(self.name):
            given = self._tokenizer(
                [printable(text) for text in texts],
                truncation=True,
                max_length=self._longest,
                stride=min(OVERLAP, self._longest // 4),
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
            owners, places = given.pop("overflow_to_sample_mapping"), given.pop("offset_mapping")
            kept = [i for i, tokens in enumerate(given["input_ids"]) if tokens]  # signs alone may give none
            windows = [{key: rows[i] for key, rows in given.items()} for i in kept]
            rows = [
                row for at in range(0, len(kept), AT_ONCE) for row in self._probabilities(windows[at : at + AT_ONCE])
            ]
        found: list[list[Opinion]] = [[] for _ in texts]
        for i, row in zip(kept, rows, strict=True):
            stand = [place for place in places[i] if place[1] > place[0]]  # all but the tokens that frame a text
            span = (stand[0][0], stand[-1][1]) if stand else None
            scores = zip(self._categories, row, strict=True)
            found[owners[i]].append(opinion_of(scores, exclusive=not self._many, span=span))
        return [_highest(opinions) for opinions in found]

    def _probabilities(self, windows: list[dict[str, list[int]]]) -> list[list[float]]:
        import torch

        given = self._tokenizer.pad(windows, return_tensors="pt").to(self._model.device)
        with torch.inference_mode():
            logits = self._model(**given).logits.float()
        found: list[list[float]] = (logits.sigmoid() if self._many else logits.softmax(-1)).tolist()
        return found


class Guard:
    """A causal language model that answers safe or unsafe; calls from several threads wait for each other."""

    languages = frozenset(LANGUAGES)

    def __init__(self, name: str, model: Any, tokenizer: Any, labels: Mapping[str, str]) -> None:
        if not tokenizer.chat_template:
            raise ModelUnavailable("a guard needs a chat template, and it has none")
        self.name = name
        self._model, self._tokenizer = model, _padding(tokenizer, model)
        self._hazards = {**HAZARDS, **{key.upper(): category for key, category in labels.items()}}
        tokenizer.padding_side = "left"  # so that all answers begin at one place
        self._words = [_first_tokens(tokenizer, word) for word in ("safe", "unsafe")]
        if not all(self._words) or self._words[0] & self._words[1]:
            raise ModelUnavailable("its tokens do not tell safe from unsafe")
        marks = sorted((mark for mark in tokenizer.get_added_vocab() if mark.strip()), key=len, reverse=True)
        self._marks = re.compile("|".join(map(re.escape, marks)) or r"(?!)", re.IGNORECASE)
        shown = tokenizer.apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False)
        self._in_parts = "hello" not in shown  # templates of models that see pictures want a list
        self._lock = threading.Lock()

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        """Opinions on texts."""
        with self._lock, _running(self.name):
            return [
                opinion
                for start in range(0, len(texts), AT_ONCE)
                for opinion in self._answers(texts[start : start + AT_ONCE])
            ]

    def _answers(self, texts: Sequence[str]) -> list[Opinion]:
        import torch

        chats = [[{"role": "user", "content": self._content(text)}] for text in texts]
        given = self._tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        ).to(self._model.device)
        with torch.inference_mode():
            made = self._model.generate(
                **given,
                max_new_tokens=ANSWER,
                do_sample=False,
                return_dict_in_generate=True,
                output_logits=True,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        answers = made.sequences[:, given["input_ids"].shape[1] :].tolist()
        return [self._opinion(answer, [step[i] for step in made.logits]) for i, answer in enumerate(answers)]

    def _content(self, text: str) -> Any:
        """A prompt without the template's own marks, with which it could end its turn and write the answer."""
        plain = self._marks.sub(" ", printable(text))
        return [{"type": "text", "text": plain}] if self._in_parts else plain

    def _opinion(self, answer: list[int], logits: list[Any]) -> Opinion:
        pieces = [self._tokenizer.decode([token], skip_special_tokens=True) for token in answer]
        first = next((i for i, piece in enumerate(pieces) if piece.strip()), 0)
        safe, unsafe = (logits[first][sorted(tokens)].float().logsumexp(0) for tokens in self._words)
        probability = float((unsafe - safe).sigmoid())
        said = self._tokenizer.decode(answer, skip_special_tokens=True).strip()
        named = dict.fromkeys(_HAZARD.findall(said)) if said.lower().startswith("unsafe") else ()
        scores = [(self._hazards.get(hazard, ANY), probability) for hazard in named]
        return opinion_of([(ANY, probability), *scores])


def _padding(tokenizer: Any, model: Any) -> Any:
    """The tokenizer with something to fill up short texts with; generative models often have nothing."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer


def _highest(opinions: Sequence[Opinion]) -> Opinion:
    """Each category's highest probability, and its span."""
    probabilities: dict[str, float] = {ANY: 0.0}
    spans: dict[str, tuple[int, int]] = {}
    for opinion in opinions:
        for category, probability in opinion.probabilities.items():
            if probability > probabilities.get(category, -1.0):
                probabilities[category] = probability
                spans.update({category: opinion.spans[category]} if category in opinion.spans else {})
    return Opinion(probabilities, spans)


def _first_tokens(tokenizer: Any, word: str) -> set[int]:
    """The tokens with which a word may begin, at the beginning of an answer, behind a space or a line break."""
    found: set[int] = set()
    for before in ("", " ", "\n", "\n\n"):
        tokens = tokenizer.encode(before + word, add_special_tokens=False)
        found |= set(next(([token] for token in tokens if _begins(tokenizer, token, word)), []))
    return found


def _begins(tokenizer: Any, token: int, word: str) -> bool:
    text = tokenizer.decode([token]).strip()
    return bool(text) and word.startswith(text)


def load_hub(name: str, labels: Mapping[str, str]) -> PromptModel:
    """A model from a folder or the hub; ``labels`` are a policy's (for a guard: hazards such as ``S1``).

    Runs on a GPU where there is one. Raises :class:`countermark.errors.ModelUnavailable`, for a missing folder as for
    a hub that cannot be reached.
    """
    try:
        import torch  # noqa: F401  # transformers can be imported without it, and then loads no model

        mend_torchvision()
        import transformers
    except ImportError:
        raise ModelUnavailable("models other than embedded need: pip install 'countermark[diffusers]'") from None
    short = Path(name).resolve().name if Path(name).is_dir() else name
    try:
        with quiet("transformers"):
            config = transformers.AutoConfig.from_pretrained(name)
            adapter: Callable[..., PromptModel]
            made = next(iter(config.architectures or ()), "a model of no kind")
            if made.endswith("ForSequenceClassification"):
                loader, adapter = transformers.AutoModelForSequenceClassification, Classifier
            elif made.endswith("ForCausalLM"):
                loader, adapter = transformers.AutoModelForCausalLM, Guard
            else:
                raise ModelUnavailable(f"{made} is neither a text classifier nor a guard")
            model = loader.from_pretrained(name).eval().to(best_device())
            return adapter(short, model, transformers.AutoTokenizer.from_pretrained(name), labels)
    except Exception as error:
        raise ModelUnavailable(f"the model {name!r} cannot be loaded: {first_line(error)}") from None


@contextmanager
def _running(name: str) -> Iterator[None]:
    """What fails inside a model, one line that quotes no prompt."""
    try:
        with quiet("transformers"):
            yield
    except Exception as error:  # out of memory, a template that refuses, anything of a stranger's model
        raise ModelUnavailable(f"the model {name!r} failed ({type(error).__name__})") from None
