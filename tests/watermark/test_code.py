import numpy as np
import pytest

from countermark.watermark.code import LENGTH, VARIANTS, decode, encode


def test_codewords_differ_and_decode_to_their_payload():
    rng = np.random.default_rng(0)
    payloads = [0, 1, (1 << 64) - 1, *(int(x) for x in rng.integers(0, 2**63, 3))]
    words = encode(payloads)
    assert words.shape == (len(payloads), VARIANTS, LENGTH)
    assert set(np.unique(words)) <= {0, 1}
    for index, payload in enumerate(payloads):
        variant = index * 3
        word = words[index, variant]
        assert (encode([payload], variant)[0] == word).all()
        got, codewords, likeliest = decode((1 - 2 * word.astype(np.float32)) * 4)
        assert int(got[variant]) == payload
        assert (codewords[variant] == word).all()
        assert (likeliest[variant] == word).all()
    flat = words.reshape(-1, LENGTH)
    apart = (flat[:, None] != flat[None]).sum(-1) + LENGTH * np.eye(len(flat), dtype=int)
    assert apart.min() >= 32


@pytest.mark.parametrize(("rho", "least"), [(13.0, 18), (11.5, 13)])
def test_corrects_noise_near_the_bound(rho: float, least: int):
    rng = np.random.default_rng(1)
    right = 0
    for _ in range(20):
        payload, variant = int(rng.integers(0, 2**63)), int(rng.integers(VARIANTS))
        energy = rho / LENGTH**0.5
        soft = (1 - 2.0 * encode([payload], variant)[0]) * energy + rng.standard_normal(LENGTH)
        right += int(decode((2 * energy * soft).astype(np.float32))[0][variant]) == payload
    assert right >= least


def test_a_payload_has_64_bits():
    for bad in (-1, 1 << 64):
        with pytest.raises(ValueError, match="64 bits"):
            encode([bad])
