"""Measurements that are too slow or too broad for tests: ``countermark bench NAME``; each prints one table.

Every benchmark has ``main(argv) -> exit code`` and takes ``--small``, the setting in which CI runs it so that it
cannot rot.
"""
