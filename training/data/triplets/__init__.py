"""Edits to learn from: a source, an instruction, and the recording that it asks for.

"Locate then modify" (evaluation facts 4): the damaged side is the source, the untouched recording is the
target wherever that is possible. Begin reading at `make`; what edits are drawn from is in `source` and `recorded`.
"""
