"""The rows of ``docs/measured.md``: what is timed, what came of it, and the page.

``exact.py`` has an example for every exact rule, ``patterns.py`` the classic swaps that need
retraining, ``results.py`` the figures as they lie in ``benchmarks/rewrites.json``.
"""
