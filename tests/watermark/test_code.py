import numpy as np
import pytest

from countermark.watermark.code import LENGTH, VARIANTS, decode, encode, variants


def test_codewords_differ_and_decode_to_their_payload():
    rng = np.random.default_rng(0)
    payloads = [0, 1, (1 << 64) - 1, *(int(x) for x in rng.integers(0, 2**63, 3))]
    numbers = [0, 1, VARIANTS - 1, *(int(x) for x in rng.integers(0, VARIANTS, 3))]
    words = np.concatenate([encode([p], v) for p, v in zip(payloads, numbers, strict=True)])
    assert set(np.unique(words)) <= {0, 1}
    for payload, variant, word in zip(payloads, numbers, words, strict=True):
        found = decode((1 - 2 * word.astype(np.float32)) * 4)
        assert (found.payload, found.variant) == (payload, variant)
        assert (found.word == word).all()
        assert (found.rival == word).all()
        assert found.margin > 50


def test_variants_of_a_payload_are_codewords_far_apart():
    turns = variants()
    assert turns.shape == (VARIANTS, LENGTH)
    for payload, variant in ((5, 0), (5, 77), (2**63 + 9, VARIANTS - 1)):
        assert (encode([payload], variant)[0] == (encode([payload])[0] ^ turns[variant])).all()
    assert turns[0].sum() == 0
    assert turns[1:].sum(1).min() >= 32  # a linear code: the lightest word is the least distance


@pytest.mark.parametrize(("rho", "least"), [(13.0, 32), (11.5, 14)])
def test_corrects_noise_near_the_bound_and_knows_when_it_is_sure(rho: float, least: int):
    rng = np.random.default_rng(1)
    sure = wrong = 0
    for _ in range(40):
        payload, variant = int(rng.integers(0, 2**63)), int(rng.integers(VARIANTS))
        soft = (1 - 2.0 * encode([payload], variant)[0]) * rho / LENGTH**0.5 + rng.standard_normal(LENGTH)
        found = decode(soft.astype(np.float32))
        sure += found.margin > 7
        wrong += found.margin > 7 and found.payload != payload
    assert sure >= least
    assert wrong <= 1


def test_noise_is_no_word():
    rng = np.random.default_rng(2)
    assert np.mean([decode(rng.standard_normal(LENGTH).astype(np.float32)).margin > 8 for _ in range(40)]) < 0.1
    assert decode(np.zeros(LENGTH, np.float32)).margin == 0


def test_a_payload_has_64_bits():
    for bad in (-1, 1 << 64):
        with pytest.raises(ValueError, match="64 bits"):
            encode([bad])
