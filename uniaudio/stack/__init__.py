"""The whole of uniaudio on one machine: what `uniaudio up` starts, watches and stops.

plan (what is started, with which settings) -> checks (can it start) -> supervisor (start, watch, stop), which
keeps each service under a `guard` process that lets nothing of it stay behind. `warm_up` asks the real questions.
"""
