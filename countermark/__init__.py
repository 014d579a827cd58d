"""Countermark: generated video that is moderated, watermarked and signed, and a scanner that finds it again."""
