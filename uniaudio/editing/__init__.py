"""Edits of speech: what an instruction asks for (`plan`, `grammar`, `target`), edits that signal
processing carries out exactly (`exact`), measurements of a result (`checks`), and copying untouched
audio through from the source (`splice`). No torch, no network."""
