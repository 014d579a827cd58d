"""Detection: a file in, a Report out, from manifest, watermark, fingerprint, known marks and the classifier."""

from countermark.detect.batch import done_paths, expand, scan_many
from countermark.detect.scan import scan

__all__ = ["done_paths", "expand", "scan", "scan_many"]
