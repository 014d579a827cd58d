"""An OpenAI-compatible moderation endpoint as a :class:`~countermark.moderation.linear.PromptModel`.

``POST URL/moderations`` with ``{"input": [texts]}``, and ``category_scores`` of each result back
(https://platform.openai.com/docs/api-reference/moderations). The key is in the environment, as ``OPENAI_API_KEY``; a
server that needs none gets none. Errors name the server and its status, never a prompt, nor what the server said of it.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from countermark.errors import ModelUnavailable, UsageError
from countermark.moderation.decision import printable
from countermark.moderation.labels import category_of, opinion_of
from countermark.moderation.language import LANGUAGES
from countermark.moderation.opinion import Opinion

__all__ = ["Endpoint"]

KEY: Final = "OPENAI_API_KEY"
MOST: Final = 32  # texts of one request
TIMEOUT: Final = 30.0  # seconds without an answer
WAITS: Final = (0.5, 1.0, 2.0)  # seconds before each further try
LONGEST_WAIT: Final = 30.0  # seconds that a server may ask for with Retry-After
LARGEST: Final = 16 << 20  # bytes of an answer
BUSY: Final = frozenset({408, 409, 429, 500, 502, 503, 504})  # statuses after which another try may do


class Endpoint:
    """A moderation endpoint; keeps nothing between requests, so that threads can share it.

    ``url`` is the API's base (``https://host/v1``) or the endpoint's own; a fragment (``#name``) names the model that
    the server is to use. ``labels`` are a policy's. ``wait`` sleeps for some seconds. Raises UsageError for a URL
    that cannot be.
    """

    languages = frozenset(LANGUAGES)

    def __init__(self, url: str, labels: Mapping[str, str], *, wait: Callable[[float], object] = time.sleep) -> None:
        try:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError
            self.host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        except ValueError:
            raise UsageError("a moderation endpoint is openai:http://... or openai:https://...") from None
        path = parts.path.rstrip("/")
        path = path if path.endswith("/moderations") else f"{path}/moderations"
        self._url = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
        self._model = parts.fragment
        self._labels = labels
        self._wait = wait
        self._opener = urllib.request.build_opener(_Stay)
        self.name = f"openai:{self.host}" + (f"#{self._model}" if self._model else "")

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        """Opinions on texts. Raises ModelUnavailable when the endpoint fails or answers something else."""
        found: list[Opinion] = []
        for start in range(0, len(texts), MOST):
            asked = [printable(text) for text in texts[start : start + MOST]]
            found += self._opinions(self._ask(asked), len(asked))
        return found

    def _opinions(self, answer: bytes, count: int) -> list[Opinion]:
        try:
            results = json.loads(answer)["results"]
            scores = [
                [(category_of(label, self._labels), _probability(score)) for label, score in _scores(result)]
                for result in results
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ModelUnavailable(f"{self.name} answered something that is no moderation") from None
        if len(scores) != count:
            raise ModelUnavailable(f"{self.name} judged {len(scores)} texts of {count}")
        return [opinion_of(one) for one in scores]

    def _ask(self, texts: list[str]) -> bytes:
        body: dict[str, Any] = {"input": texts, **({"model": self._model} if self._model else {})}
        headers = {"Content-Type": "application/json", "User-Agent": "countermark"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers, method="POST")
        for pause in (*WAITS, None):
            answer = self._try(request)
            if isinstance(answer, bytes):
                return answer
            if pause is None or not answer.again:
                raise ModelUnavailable(f"{self.name} {answer.said}")
            self._wait(pause if answer.wait is None else answer.wait)
        raise AssertionError("the last try returns or raises")

    def _try(self, request: urllib.request.Request) -> bytes | _Failure:
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return bytes(response.read(LARGEST))
        except urllib.error.HTTPError as error:
            with error:
                said = f"answered {error.code} {http.client.responses.get(error.code, '')}".rstrip()
                asked = error.headers.get("Retry-After", "")
            hint = f" (is {KEY} right?)" if error.code in (401, 403) else ""
            wait = min(float(asked), LONGEST_WAIT) if asked.isdecimal() else None
            return _Failure(said + hint, error.code in BUSY, wait)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                return _Failure("gave no answer in time", True)
            return _Failure(f"cannot be reached ({getattr(reason, 'strerror', None) or type(reason).__name__})", True)


@dataclass(frozen=True)
class _Failure:
    """Why a try failed, whether another may do, and after how many seconds if the server said so."""

    said: str
    again: bool
    wait: float | None = None


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the key and the prompts are for the host that was named."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _scores(result: Any) -> list[tuple[str, Any]]:
    return [(str(label), score) for label, score in result["category_scores"].items() if score is not None]


def _probability(score: Any) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise TypeError
    return min(1.0, max(0.0, float(score)))
