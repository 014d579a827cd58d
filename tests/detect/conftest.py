"""A classifier that says nothing, for tests of the other signals."""

import numpy as np
import pytest

from countermark.detect import looking
from countermark.detect.classifier import Judge
from countermark.detect.opinion import Opinion
from countermark.report import MediaFacts


class _Silent(Judge):
    """A classifier that has looked and found nothing, so that what the other signals say stands alone."""

    def __init__(self) -> None: ...

    def start(self, facts: MediaFacts, *, pictures: bool = False) -> "_Silent":
        return self

    def add(self, time: float, rgb: np.ndarray) -> None: ...

    def finish(self) -> Opinion:
        return Opinion("nothing", "It was not asked.", applies=False)


@pytest.fixture
def silent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Judge]:
    """The trained classifier is asked only by tests that are marked so; others get this one, which says nothing."""
    if "trained" not in request.keywords:
        monkeypatch.setattr(looking, "load_classifier", _Silent)
    return _Silent
