"""Trainers: ``countermark train NAME``; each makes one weights file from data that its model card names.

Every trainer has ``main(argv) -> exit code``.
"""
