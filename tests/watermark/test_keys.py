import stat
from pathlib import Path

import numpy as np
import pytest

from countermark.errors import BadKey
from countermark.watermark import Key, load_key, make_key_file


def test_key_file_is_private_and_is_never_overwritten(tmp_path: Path):
    path = tmp_path / "deep" / "watermark.key"
    key = make_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path) == key
    assert make_key_file(path) == key


@pytest.mark.parametrize("content", [b"", b"zz" * 32, b"00" * 31, b"\xff\xfe", b"00" * 33])
def test_a_bad_key_file_is_one_line(tmp_path: Path, content: bytes):
    path = tmp_path / "bad.key"
    path.write_bytes(content)
    with pytest.raises(BadKey, match="key") as caught:
        load_key(path)
    assert "\n" not in str(caught.value)


def test_secrets_do_not_show():
    key = Key(bytes(range(32)))
    assert key.secret.hex() not in repr(key)
    assert key.id in repr(key)
    assert key.id != Key(bytes(32)).id


def test_signs_are_balanced_and_separate():
    key = Key(bytes(32))
    a, b = key.signs("pilot", 20000), key.signs("payload", 20000)
    assert set(np.unique(a)) == {-1.0, 1.0}
    assert abs(a.mean()) < 0.03
    assert abs((a * b).mean()) < 0.03
    assert (key.signs("pilot", 20000) == a).all()
