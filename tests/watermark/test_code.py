import numpy as np
import pytest

from countermark.watermark.code import LENGTH, VARIANTS, decode, encode, variants


def test_codewords_differ_and_decode_to_their_payload():
    rng = np.random.default_rng(0)
    payloads = [0, 1, (1 << 64) - 1, *(int(x) for x in rng.integers(0, 2**63, 3))]
    numbers = [0, 1, VARIANTS - 1, *(int(x) for x in rng.integers(0, VARIANTS, 3))]
    words = np.concatenate([encode([p], v) for p, v in zip(payloads, numbers, strict=True)])
    assert set(np.unique(words)) <= {0, 1}
    got, which, codewords, likeliest = decode((1 - 2 * words.astype(np.float32)) * 4)
    assert [int(p) for p in got] == payloads
    assert list(which) == numbers
    assert (codewords == words).all()
    assert (likeliest == words).all()


def test_variants_of_a_payload_are_codewords_far_apart():
    turns = variants()
    assert turns.shape == (VARIANTS, LENGTH)
    for payload, variant in ((5, 0), (5, 77), (2**63 + 9, VARIANTS - 1)):
        assert (encode([payload], variant)[0] == (encode([payload])[0] ^ turns[variant])).all()
    assert turns[0].sum() == 0
    assert turns[1:].sum(1).min() >= 32  # a linear code: the lightest word is the least distance


@pytest.mark.parametrize(("rho", "least"), [(13.0, 18), (11.5, 13)])
def test_corrects_noise_near_the_bound(rho: float, least: int):
    rng = np.random.default_rng(1)
    right = 0
    for _ in range(20):
        payload, variant = int(rng.integers(0, 2**63)), int(rng.integers(VARIANTS))
        energy = rho / LENGTH**0.5
        soft = (1 - 2.0 * encode([payload], variant)) * energy + rng.standard_normal(LENGTH)
        right += int(decode((2 * energy * soft).astype(np.float32))[0][0]) == payload
    assert right >= least


def test_a_payload_has_64_bits():
    for bad in (-1, 1 << 64):
        with pytest.raises(ValueError, match="64 bits"):
            encode([bad])
