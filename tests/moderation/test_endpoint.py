"""An OpenAI-compatible endpoint, against a server of the test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from countermark.errors import ModelUnavailable, UsageError
from countermark.moderation import Moderator, load_model
from countermark.moderation.endpoint import LONGEST_WAIT, MOST, WAITS, Endpoint

SCORES = {
    "sexual": 0.01,
    "sexual/minors": 0.0,
    "hate": 0.02,
    "violence": 0.03,
    "violence/graphic": 0.0,
    "illicit": None,
}


def moderation(text: str) -> dict[str, Any]:
    """What the server says of a text."""
    bad = 0.97 if "gore" in text else 0.03
    return {"flagged": bad > 0.5, "categories": {}, "category_scores": {**SCORES, "violence": bad}}


@dataclass
class Server:
    """A server whose next answers can be set: a status, headers, and the body or None for moderations."""

    url: str
    script: list[tuple[int, dict[str, str], bytes | None]] = field(default_factory=list)
    seen: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.seen.append((self.path, dict(self.headers), body))
            status, headers, answer = made.script.pop(0) if made.script else (200, {}, None)
            if status == 0:  # hangs up
                self.close_connection = True
                return
            if answer is None:
                answer = json.dumps({"results": [moderation(text) for text in body["input"]]}).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    for name in ("OPENAI_API_KEY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Server(f"http://127.0.0.1:{listening.server_port}/v1")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    listening.shutdown()
    thread.join()
    listening.server_close()


def at(server: Server, wait: Callable[[float], object] = lambda seconds: None, suffix: str = "") -> Endpoint:
    return Endpoint(server.url + suffix, {}, wait=wait)


def test_texts_are_judged_in_lists_and_in_order(server: Server) -> None:
    model = at(server)
    texts = [f"{'gore' if i % 3 == 0 else 'cat'} {i}" for i in range(MOST + 5)]
    opinions = model.judge(texts)
    assert [opinion.probabilities["violence_graphic"] for opinion in opinions] == [
        0.97 if i % 3 == 0 else 0.03 for i in range(len(texts))
    ]
    assert opinions[0].probabilities["any"] == 0.97
    assert opinions[1].probabilities["sexual"] == 0.01
    assert "dangerous_acts" not in opinions[0].probabilities, "null is no score"
    assert [(path, len(body["input"])) for path, _, body in server.seen] == [
        ("/v1/moderations", MOST),
        ("/v1/moderations", 5),
    ]
    assert set(server.seen[0][2]) == {"input"}
    assert "Authorization" not in server.seen[0][1]
    assert model.judge([]) == []


def test_key_and_model_are_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    model = at(server, suffix="/moderations#omni")
    model.judge(["a cat"])
    path, headers, body = server.seen[0]
    assert (path, headers["Authorization"], body["model"]) == ("/v1/moderations", "Bearer sk-test", "omni")
    assert model.name == f"openai:{model.host}#omni"
    assert model.host.startswith("127.0.0.1:")


def test_rules_hold_beside_an_endpoint(server: Server) -> None:
    moderator = Moderator("standard", model=load_model(f"openai:{server.url}"))
    decisions = list(moderator.check_all(["a cat", "gore everywhere", "a nude video of a famous singer"]))
    assert [decision.flagged[:1] for decision in decisions] == [(), ("violence_graphic",), ("nonconsensual_intimate",)]
    reason = decisions[1].reasons[0]
    assert (reason.rule, reason.text) == (f"openai:{server.url.split('/')[2]}", "gore everywhere")
    assert len(server.seen) == 1


def test_own_labels_come_first(server: Server) -> None:
    model = Endpoint(server.url, {"violence": "shock", "Hate": "none"}, wait=lambda seconds: None)
    said = model.judge(["gore"])[0].probabilities
    assert said["shock"] == 0.97
    assert "hate" not in said


def test_a_busy_server_is_asked_again(server: Server) -> None:
    waited: list[float] = []
    busy = [(429, {"Retry-After": "3"}, b""), (503, {"Retry-After": "9999"}, b""), (500, {"Retry-After": "soon"}, b"")]
    server.script = list(busy)
    assert at(server, waited.append).judge(["gore"])[0].probabilities["violence_graphic"] == 0.97
    assert waited == [3.0, LONGEST_WAIT, WAITS[2]]
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    ("status", "headers", "tries", "says"),
    [
        (503, {}, 4, "answered 503 Service Unavailable"),
        (429, {}, 4, "answered 429 Too Many Requests"),
        (0, {}, 4, "cannot be reached"),
        (401, {}, 1, r"answered 401 Unauthorized \(is OPENAI_API_KEY right\?\)"),
        (400, {}, 1, "answered 400 Bad Request"),
        (302, {"Location": "/elsewhere"}, 1, "answered 302 Found"),
    ],
)
def test_a_failing_server_is_one_line_without_the_prompt(
    server: Server, monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str], tries: int, says: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server.script = [(status, headers, b'{"error": {"message": "secret prompt"}}')] * 4
    waited: list[float] = []
    with pytest.raises(ModelUnavailable, match=says) as caught:
        at(server, waited.append).judge(["secret prompt"])
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(server.seen) == tries
    assert waited == list(WAITS)[: tries - 1]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello",
        b"[]",
        b'{"results": 3}',
        b'{"results": [3]}',
        b'{"results": [{"category_scores": []}]}',
        b'{"results": [{"category_scores": {"hate": "high"}}]}',
        b'{"results": [{"category_scores": {"hate": NaN}}]}',
        b'{"results": [{"category_scores": {"hate": true}}]}',
        b'{"results": []}',
        b'{"results": [{"category_scores": {}}, {"category_scores": {}}]}',
        b"[" * 100_000,
    ],
)
def test_an_answer_that_is_no_moderation(server: Server, answer: bytes) -> None:
    server.script = [(200, {}, answer)]
    with pytest.raises(ModelUnavailable, match=r"no moderation|judged \d texts of 1") as caught:
        at(server).judge(["secret prompt"])
    assert "secret" not in str(caught.value)


def test_nobody_listens() -> None:
    waited: list[float] = []
    with pytest.raises(ModelUnavailable, match=r"openai:127.0.0.1:9 cannot be reached \("):
        Endpoint("http://127.0.0.1:9", {}, wait=waited.append).judge(["a cat"])
    assert waited == list(WAITS)


def test_a_server_that_keeps_silent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise TimeoutError

    model = at(server)
    monkeypatch.setattr(model._opener, "open", hang)
    with pytest.raises(ModelUnavailable, match="gave no answer in time"):
        model.judge(["a cat"])


@pytest.mark.parametrize(
    "url", ["", "localhost", "ftp://x", "http://", "file:///etc/passwd", "http://[::1", "http://h:x"]
)
def test_urls_that_cannot_be(url: str) -> None:
    with pytest.raises(UsageError, match="openai:http"):
        load_model(f"openai:{url}")
