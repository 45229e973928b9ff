"""Measures what systems say, speak and edit, with published scorers and with corrected ones.

Metrics on text (`normalize`, `word_errors`, `edit_accuracy`, `entities`), on signals (`signals`), models that
judge (`judges`), and suites that put them together (`suites`). Nothing here is loaded with the package.
"""
