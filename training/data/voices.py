"""Who speaks in the synthetic corpus: 62 voices of espeak-ng and three of flite; five more are held out.

A voice is accent, variant, pitch and rate together, as a listener would know a person. espeak-ng's are
formant synthesis and sound like no person; flite's were made from recordings of real speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from training.data.drawn_voices import drawn_voice
from training.data.utterance import Voice

_ACCENTS = {"us": "gmw/en-US", "gb": "gmw/en", "rp": "gmw/en-GB-x-rp", "sc": "gmw/en-GB-scotland"}
# name: accent, variant, rate, pitch, range
_ESPEAK = (
    *(
        ("us-m1", "us", "m1", 160, 40, 50),
        ("us-m3", "us", "m3", 150, 55, 60),
        ("us-m5", "us", "m5", 165, 30, 50),
    ),
    *(
        ("us-m7", "us", "m7", 170, 48, 45),
        ("us-f1", "us", "f1", 160, 50, 55),
        ("us-f3", "us", "f3", 150, 60, 50),
    ),
    *(("us-f5", "us", "f5", 170, 45, 50), ("us-annie", "us", "Annie", 165, 55, 50)),
    *(("us-michael", "us", "Michael", 155, 42, 55), ("us-gene", "us", "Gene", 160, 36, 50)),
    *(("us-linda", "us", "linda", 160, 58, 60), ("us-david", "us", "david", 150, 45, 50)),
    *(("us-steph", "us", "steph", 165, 50, 45), ("us-zac", "us", "zac", 155, 50, 60)),
    *(
        ("gb-m2", "gb", "m2", 155, 45, 50),
        ("gb-m4", "gb", "m4", 165, 52, 55),
        ("gb-m6", "gb", "m6", 150, 35, 50),
    ),
    *(
        ("gb-f2", "gb", "f2", 160, 48, 50),
        ("gb-f4", "gb", "f4", 170, 55, 50),
        ("gb-andy", "gb", "Andy", 155, 46, 50),
    ),
    *(("gb-alicia", "gb", "Alicia", 160, 52, 55), ("gb-john", "gb", "john", 165, 40, 45)),
    *(("gb-victor", "gb", "victor", 150, 38, 55), ("gb-edward", "gb", "edward", 160, 50, 50)),
    *(
        ("rp-m1", "rp", "m1", 150, 60, 55),
        ("rp-f1", "rp", "f1", 165, 62, 50),
        ("rp-adam", "rp", "adam", 160, 44, 50),
    ),
    *(("rp-belinda", "rp", "belinda", 155, 56, 55), ("sc-m3", "sc", "m3", 160, 38, 50)),
    *(("sc-f3", "sc", "f3", 155, 48, 55), ("sc-caleb", "sc", "caleb", 165, 50, 50)),
)
_MORE = (
    *(
        ("us-m2", "us", "m2", 155, 62, 50),
        ("us-f4", "us", "f4", 160, 40, 55),
        ("us-max", "us", "max", 165, 46, 50),
    ),
    *(
        ("us-rob", "us", "rob", 150, 55, 45),
        ("us-iven", "us", "iven3", 160, 42, 50),
        ("us-mike", "us", "Mike", 155, 36, 55),
    ),
    *(
        ("us-lee", "us", "Lee", 165, 50, 50),
        ("us-mario", "us", "Mario", 150, 56, 55),
        ("us-klatt", "us", "klatt2", 160, 44, 50),
    ),
    *(("us-pablo", "us", "pablo", 155, 52, 45), ("us-miguel", "us", "miguel", 165, 60, 50)),
    *(("us-denis", "us", "Denis", 150, 40, 50), ("us-norbert", "us", "norbert", 160, 34, 55)),
    *(("us-nguyen", "us", "Nguyen", 155, 58, 50), ("us-andrea", "us", "Andrea", 140, 50, 50)),
    *(("us-steph2", "us", "steph2", 165, 42, 55), ("us-grandma", "us", "grandma", 145, 46, 60)),
    *(
        ("gb-m8", "gb", "m8", 155, 50, 50),
        ("gb-paul", "gb", "paul", 160, 45, 45),
        ("gb-michel", "gb", "michel", 165, 54, 50),
    ),
    *(("gb-quincy", "gb", "quincy", 150, 40, 55), ("gb-antonio", "gb", "antonio", 140, 48, 50)),
    *(("gb-aunty", "gb", "aunty", 160, 52, 50), ("gb-grandpa", "gb", "grandpa", 145, 38, 55)),
    *(("gb-boris", "gb", "boris", 155, 62, 45), ("gb-gustave", "gb", "gustave", 165, 36, 50)),
    *(
        ("rp-f2", "rp", "f2", 150, 58, 55),
        ("rp-edward", "rp", "edward2", 160, 42, 50),
        ("rp-klatt", "rp", "klatt", 155, 54, 50),
    ),
    *(("sc-m7", "sc", "m7", 165, 45, 50), ("sc-marcelo", "sc", "marcelo", 150, 50, 55)),
)
# Variants that no voice of the training has in any accent.
_HELD_OUT = (
    *(("us-travis", "us", "travis", 160, 52, 50), ("us-anika", "us", "anika", 140, 45, 55)),
    *(("gb-robert", "gb", "robert", 160, 48, 50), ("rp-shelby", "rp", "shelby", 150, 54, 55)),
    *(("sc-benjamin", "sc", "benjamin", 165, 45, 50),),
)
_FLITE = ("slt", "rms", "awb")
_DRAWN_SHARE = 0.75


def _espeak(name: str, accent: str, variant: str, rate: int, pitch: int, pitch_range: int) -> Voice:
    return Voice(
        name=name,
        engine="espeak-ng",
        language=_ACCENTS[accent],
        variant=variant,
        rate=rate,
        pitch=pitch,
        pitch_range=pitch_range,
    )


TRAINING_VOICES = (
    *(_espeak(*fields) for fields in (*_ESPEAK, *_MORE)),
    *(Voice(name=f"flite-{name}", engine="flite", language="en-us", variant=name) for name in _FLITE),
)
HELD_OUT_VOICES = tuple(_espeak(*fields) for fields in _HELD_OUT)


def draw_voice(voices: Sequence[Voice], num_drawn: int, rng: np.random.Generator) -> Voice:
    """One of these, or, three times in four where there are some, one of so many that are drawn."""
    if num_drawn and rng.random() < _DRAWN_SHARE:
        return drawn_voice(int(rng.integers(num_drawn)))
    return voices[rng.integers(len(voices))]


def as_spoken(voice: Voice, rng: np.random.Generator) -> Voice:
    """The same person in another moment: up to 8 % faster or slower."""
    return replace(voice, rate=round(voice.rate * rng.uniform(0.92, 1.08)))
