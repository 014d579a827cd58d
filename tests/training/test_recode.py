"""Frames through encoders: shape kept, content close, and the process as it was."""

import os

import numpy as np
import pytest

from countermark.training._recode import reencode


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1"])
def test_frames_come_back_alike_and_the_process_keeps_its_priority(codec):
    ramp = np.linspace(30, 220, 97, dtype=np.uint8)
    frames = np.broadcast_to(ramp[None, None, :, None], (6, 65, 97, 3)).copy()
    before = os.sched_getscheduler(0)
    coded = reencode(frames, 25.0, codec, 30)
    assert coded.shape == (6, 64, 96, 3)
    assert np.abs(coded.astype(int) - frames[:, :64, :96]).mean() < 3
    assert os.sched_getscheduler(0) == before
