"""Every number of other software and of papers that the package is held against, computed again.

``python -m tests.validation`` writes ``docs/validation.md`` and ``docs/validation_fixed_effects.md`` from it;
``test_validation.py`` asserts every tolerance and that the pages are what the numbers give.
"""
