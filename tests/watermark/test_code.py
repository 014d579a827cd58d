import numpy as np
import pytest

from countermark.watermark.code import LENGTH, decode, encode


def test_codewords_differ_and_decode_to_their_payload():
    rng = np.random.default_rng(0)
    for payload in [0, 1, (1 << 64) - 1, *(int(x) for x in rng.integers(0, 2**63, 5))]:
        word = encode(payload)
        assert word.shape == (LENGTH,)
        assert set(np.unique(word)) <= {0, 1}
        got, codeword, agrees = decode((1 - 2 * word.astype(np.float32)) * 4)
        assert (got, agrees) == (payload, True)
        assert (codeword == word).all()
    assert (encode(1) != encode(2)).sum() >= 32


@pytest.mark.parametrize(("energy", "least"), [(0.35, 18), (0.25, 14)])
def test_corrects_noise_near_the_bound(energy: float, least: int):
    """At an energy a bit of .25 a codeword's correlation is 11.3, just under the threshold of a detection."""
    rng = np.random.default_rng(1)
    right = 0
    for _ in range(20):
        payload = int(rng.integers(0, 2**63))
        soft = (1 - 2.0 * encode(payload)) * np.sqrt(energy) + rng.standard_normal(LENGTH)
        right += decode((2 * np.sqrt(energy) * soft).astype(np.float32))[0] == payload
    assert right >= least


def test_pure_noise_is_not_taken_for_a_codeword_by_the_crc_alone():
    rng = np.random.default_rng(2)
    agreed = [decode(rng.standard_normal(LENGTH).astype(np.float32))[2] for _ in range(40)]
    assert not all(agreed)


def test_a_payload_has_64_bits():
    for bad in (-1, 1 << 64):
        with pytest.raises(ValueError, match="64 bits"):
            encode(bad)
