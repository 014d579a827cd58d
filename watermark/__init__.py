"""The invisible watermark: frames, a key and 64 bits in, marked frames out; and the way back, with a proven p-value.

    from countermark.watermark import Key, embed, read

    key = Key.generate()
    marked = embed(frames, 0x0123456789ABCDEF, key)   # uint8, T x H x W x 3, RGB
    read(marked, key)                                 # Reading(tier="payload", payload=..., p_value=...)

See docs/watermark.md for the design, the proof and what it survives.
"""

from countermark.watermark.codecs import CodecReading, KeyedCodec, SpreadSpectrum, WatermarkCodec, load_codec
from countermark.watermark.embedding import STRENGTHS, Embedder, embed, embed_stream
from countermark.watermark.informed import best_payload, resemblance
from countermark.watermark.keys import Key, load_key, make_key_file
from countermark.watermark.reading import Known, Reader, Reading, read, read_stream
from countermark.watermark.stats import P_FALSE_ALARM, bound

__all__ = [
    "P_FALSE_ALARM",
    "STRENGTHS",
    "CodecReading",
    "Embedder",
    "Key",
    "KeyedCodec",
    "Known",
    "Reader",
    "Reading",
    "SpreadSpectrum",
    "WatermarkCodec",
    "best_payload",
    "bound",
    "embed",
    "embed_stream",
    "load_codec",
    "load_key",
    "make_key_file",
    "read",
    "read_stream",
    "resemblance",
]
