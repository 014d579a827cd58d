"""The network: what it sees, and that it stays small."""

import torch

from countermark.detect.network import Network, _median3x3, residuals


def test_the_median_is_the_median():
    x = torch.randint(0, 256, (2, 3, 17, 23), generator=torch.Generator().manual_seed(0)).float()
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    truth = padded.unfold(2, 3, 1).unfold(3, 3, 1).flatten(4).median(-1).values
    assert torch.equal(_median3x3(x), truth)


def test_it_is_blind_to_brightness_and_colour():
    """A picture that is brighter, or tinted, has the same residuals: content is not what it is to learn."""
    g = torch.Generator().manual_seed(1)
    luma, chroma = torch.rand((2, 3, 32, 32), generator=g) * 99, torch.rand((2, 3, 2, 16, 16), generator=g) * 99
    for one, other in zip(residuals(luma, chroma), residuals(luma + 40, chroma + 30), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_it_is_small_and_takes_any_even_size():
    network = Network().eval()
    assert sum(p.numel() for p in network.parameters()) < 5_000_000
    for side in (64, 96):
        logits = network(
            torch.zeros((2, 3, side, side), dtype=torch.uint8), torch.zeros((2, 3, 2, side // 2, side // 2))
        )
        assert logits.shape == (2, 2)
        assert torch.isfinite(logits).all()
