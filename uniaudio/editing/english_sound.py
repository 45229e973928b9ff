"""English wordings of speed, pitch and volume."""

from __future__ import annotations

import re

from uniaudio.editing import compose
from uniaudio.editing.amounts import UNSAID, Amount, Unit, absolute_value, relative_value
from uniaudio.editing.numbers import parse_english_number
from uniaudio.editing.phrases import Phrase, Rule, rule
from uniaudio.editing.plan import EditKind, Plan

_COMPOSE = {EditKind.SPEED: compose.speed, EditKind.PITCH: compose.pitch, EditKind.VOLUME: compose.volume}
_LITTLE = r"(?:just\s+)?(?:an?\s+)?(?:(?:little|tiny|wee|small|slight)(?:\s+bit)?|bit|slightly|somewhat|touch|tad|marginally)"
_MUCH = r"(?:very\s+)?(?:much|a\s+lot|lots|way|far|considerably|significantly|substantially|a\s+great\s+deal)"
_FACTORS = {
    "double": 2.0, "twice": 2.0, "two times": 2.0, "triple": 3.0, "thrice": 3.0, "quadruple": 4.0,
    "half": 0.5, "a half": 0.5, "halve": 0.5, "one half": 0.5, "a third": 1 / 3, "a quarter": 0.25,
    "normal": 1.0, "original": 1.0,
}  # fmt: skip
_DIRECTIONS = (
    (r"(?:faster|quicker|speedier|more\s+(?:quickly|rapidly|swiftly)|fast|quick|quickly|rapid)", EditKind.SPEED, 1),
    (r"(?:slower|more\s+slowly|slow|slowly)", EditKind.SPEED, -1),
    (r"(?:louder|more\s+loudly|loud|loudly|stronger)", EditKind.VOLUME, 1),
    (r"(?:quieter|softer|more\s+(?:quietly|softly|quiet)|less\s+loud|quiet|soft|quietly|softly|lower\s+in\s+volume)",
     EditKind.VOLUME, -1),
    (r"(?:higher(?:[\s\-]+pitched)?|more\s+high[\s\-]pitched|higher\s+in\s+pitch|high[\s\-]pitched|up)", EditKind.PITCH, 1),
    (r"(?:lower(?:[\s\-]+pitched)?|deeper|lower\s+in\s+pitch|deep|low[\s\-]pitched|down)", EditKind.PITCH, -1),
)  # fmt: skip
_QUANTITIES = (
    (r"speed|rate|tempo|pace|speaking\s+rate|speech\s+rate|playback\s+speed|velocity", EditKind.SPEED),
    (r"volume|loudness|level|gain|amplitude", EditKind.VOLUME),
    (r"pitch|key|tone", EditKind.PITCH),
)


def parse_amount(text: str | None) -> Amount | None:
    """The amount a piece of text names: "20%", "twice", "+3 dB", "two semitones", "a bit"."""
    text = re.sub(r"\s+", " ", (text or "").strip().lower())
    if not text:
        return UNSAID
    if re.fullmatch(_LITTLE, text):
        return Amount(0, Unit.DEGREE)
    if re.fullmatch(_MUCH, text):
        return Amount(2, Unit.DEGREE)
    text = re.sub(r"^(?:about|around|approximately|roughly|exactly|another) ", "", text)
    if text in _FACTORS:
        return Amount(_FACTORS[text], Unit.TIMES)
    text = re.sub(r"^half an? ", "0.5 ", text)
    for pattern, unit, scale in _UNITS:
        if found := re.fullmatch(rf"(?P<number>.*?)[ \-]?(?:{pattern})", text):
            value = (
                1.0 if found["number"].strip() in ("", "a", "an") else parse_english_number(found["number"])
            )
            if value is not None and (unit is Unit.SEMITONES or found["number"].strip()):
                return Amount(value * scale, unit)
    value = parse_english_number(text)
    return None if value is None else Amount(value, Unit.NUMBER)


_UNITS = (
    (r"%|percent|per cent", Unit.PERCENT, 1.0),
    (r"db|decibels?", Unit.DECIBELS, 1.0),
    (r"semi[ \-]?tones?|half[ \-](?:steps?|tones?)|steps?|st|keys?|notches", Unit.SEMITONES, 1.0),
    (r"octaves?", Unit.SEMITONES, 12.0),
    (r"(?:whole|full)[ \-](?:tones?|steps?)|tones?", Unit.SEMITONES, 2.0),
    (r"cents?", Unit.SEMITONES, 0.01),
    (r"x|×|times|fold", Unit.TIMES, 1.0),
)


def _plan(phrase: Phrase, kind: EditKind, value: float | None) -> Plan | None:
    return None if value is None else _COMPOSE[kind](phrase.instruction, value)


def _quantity(text: str) -> EditKind:
    return next(kind for pattern, kind in _QUANTITIES if re.fullmatch(pattern, text.strip(), re.IGNORECASE))


def _direction(text: str) -> tuple[EditKind, int]:
    return next(
        (kind, sign) for pattern, kind, sign in _DIRECTIONS if re.fullmatch(pattern, text, re.IGNORECASE)
    )


def _sign(verb: str) -> int:
    return -1 if re.match(_DOWN_VERB, verb, re.IGNORECASE) or verb.lower().endswith("down") else 1


def _comparative(
    phrase: Phrase, way: str, before: str | None = None, after: str | None = None
) -> Plan | None:
    """ "20% faster", "a bit louder", "higher by two semitones"; an amount on one side only."""
    if before and after:
        return None
    kind, sign = _direction(way)
    before = re.sub(r"\s*\bmore$", "", before or "")
    amount = parse_amount(before or after)
    if amount is None or (before and re.fullmatch(r"(?:half|a\s+half)", before, re.IGNORECASE)):
        return None
    if kind is EditKind.PITCH and amount.unit is Unit.DECIBELS:
        kind = EditKind.VOLUME
    if kind is EditKind.PITCH and amount.unit is Unit.DEGREE and way.lower() in ("up", "down"):
        return None
    return _plan(phrase, kind, relative_value(kind, sign, amount))


def _as_as(phrase: Phrase, way: str, amount: str) -> Plan | None:
    """ "twice as fast", "half as loud", "1.5 times as slow"."""
    kind, sign = _direction(way)
    parsed = parse_amount(amount)
    if parsed is None or kind is EditKind.PITCH:
        return None
    factor = absolute_value(kind, parsed)
    return _plan(phrase, kind, factor if sign > 0 or not factor else 1 / factor)


def _quantity_to(phrase: Phrase, quantity: str, amount: str) -> Plan | None:
    """ "set the speed to 0.8", "volume at 150%"."""
    kind, parsed = _quantity(quantity), parse_amount(amount)
    return None if parsed is None else _plan(phrase, kind, absolute_value(kind, parsed))


def _quantity_by(phrase: Phrase, verb: str, quantity: str, amount: str | None = None) -> Plan | None:
    """ "increase the volume by 3 dB", "lower the pitch a bit"."""
    kind, parsed = _quantity(quantity), parse_amount(amount)
    return None if parsed is None else _plan(phrase, kind, relative_value(kind, _sign(verb), parsed))


def _shift(phrase: Phrase, amount: str, way: str | None = None) -> Plan | None:
    """ "shift the pitch down by 3 steps", "shifts the pitch by -4 steps"."""
    parsed = parse_amount(amount)
    sign = -1 if way and re.match(r"down|lower", way, re.IGNORECASE) else 1
    return (
        None
        if parsed is None
        else _plan(phrase, EditKind.PITCH, relative_value(EditKind.PITCH, sign, parsed))
    )


def _move_by(phrase: Phrase, verb: str, amount: str) -> Plan | None:
    """ "raise it by 2 semitones", "turn it down 3 dB": the unit says what is meant."""
    parsed = parse_amount(amount)
    if parsed is None or parsed.unit not in (Unit.SEMITONES, Unit.DECIBELS):
        return None
    kind = EditKind.PITCH if parsed.unit is Unit.SEMITONES else EditKind.VOLUME
    return _plan(phrase, kind, relative_value(kind, _sign(verb), parsed))


def _turn(phrase: Phrase, verb: str, amount: str | None = None) -> Plan | None:
    """ "turn it up", "turn it down a bit": the volume."""
    parsed = parse_amount(amount)
    return (
        None
        if parsed is None
        else _plan(phrase, EditKind.VOLUME, relative_value(EditKind.VOLUME, _sign(verb), parsed))
    )


def _faster(phrase: Phrase, amount: str | None = None) -> Plan | None:
    parsed = parse_amount(amount)
    return (
        None if parsed is None else _plan(phrase, EditKind.SPEED, relative_value(EditKind.SPEED, 1, parsed))
    )


def _slower(phrase: Phrase, amount: str | None = None) -> Plan | None:
    parsed = parse_amount(amount)
    return (
        None if parsed is None else _plan(phrase, EditKind.SPEED, relative_value(EditKind.SPEED, -1, parsed))
    )


def _louder_by(phrase: Phrase, verb: str, amount: str | None = None) -> Plan | None:
    parsed = parse_amount(amount)
    return (
        None
        if parsed is None
        else _plan(phrase, EditKind.VOLUME, relative_value(EditKind.VOLUME, _sign(verb), parsed))
    )


def _speed_to(phrase: Phrase, amount: str) -> Plan | None:
    parsed = parse_amount(amount)
    return None if parsed is None else _plan(phrase, EditKind.SPEED, absolute_value(EditKind.SPEED, parsed))


def _multiply(phrase: Phrase, factor: str, quantity: str) -> Plan | None:
    """ "double the volume", "halve the speed"."""
    kind = _quantity(quantity)
    value = _FACTORS[factor.lower()]
    if kind is EditKind.PITCH:
        return _plan(phrase, kind, relative_value(kind, 1 if value > 1 else -1, Amount(value, Unit.TIMES)))
    return _plan(phrase, kind, value)


def _signed(phrase: Phrase, amount: str) -> Plan | None:
    """ "+3 dB", "-2 semitones"."""
    return _move_by(phrase, "raise", amount)


_IT = (
    r"(?:(?:(?:the|this|that|my|its|his|her|your)\s+)?(?:whole\s+|entire\s+)?(?:audio|speech|recording|voice|clip|sound"
    r"|sentence|speaker|file|utterance|playback|track|it|this|person|him|them)(?:\s+(?:file|clip|recording|back))?)"
)
_LEAD = (
    rf"(?:(?:make|have|get|let|play|speak|say|read|talk|run|i\s+want|turn)s?\s+(?:{_IT}\s+)?(?:be\s+|sound\s+|go\s+)?"
    rf"|(?:speak|talk|go|sound|be)\s+|{_IT}\s+(?:should|must)\s+be\s+)?"
)
_QUANTITY = "(?P<quantity>" + "|".join(pattern for pattern, _ in _QUANTITIES) + ")"
_THE_QUANTITY = rf"(?:(?:the|its|my|his|her|your|{_IT}'s)\s+)?(?:speech\s+|speaking\s+|playback\s+|talking\s+|voice\s+|audio\s+)?{_QUANTITY}(?:\s+of\s+{_IT})?"
_WAY = "(?P<way>" + "|".join(pattern for pattern, _, _ in _DIRECTIONS) + ")"
_UP_VERB = r"(?:increase|raise|lift|boost|up|bump(?:\s+up)?|turn\s+up|crank(?:\s+up)?|bring\s+up|move\s+up|amplify|shift\s+up|push\s+up|step\s+up)"
_DOWN_VERB = r"(?:decrease|lower|reduce|drop|cut|bring\s+down|turn\s+down|move\s+down|attenuate|shift\s+down|dial\s+down|diminish|step\s+down)"
_VERB = rf"(?P<verb>(?:{_UP_VERB}|{_DOWN_VERB})s?)"
_ORIGINAL = r"(?:\s+(?:of\s+)?(?:the\s+|its\s+)?(?:original|normal|current|usual)(?:\s+(?:speed|rate|tempo|volume|level|loudness|one|value))?)?"

SOUND_RULES: tuple[Rule, ...] = (
    # Published forms and other absolute ones.
    rule(
        rf"(?:adjust|change|set|alter|modif(?:y|ie)|bring|turn|put|make|increase|raise|decrease|reduce|lower|slow|keep|boost|cut|drop)s?"
        rf"\s+{_THE_QUANTITY}(?:\s+(?:up|down))?\s*(?:to|at|=|be)\s*(?P<amount>.+?){_ORIGINAL}", _quantity_to,
    ),
    rule(rf"{_QUANTITY}\s*(?:to|at|=|:)?\s*(?P<amount>[\d.]+\s*(?:x|×|times|%)?){_ORIGINAL}", _quantity_to),
    rule(rf"(?:slow|speed)\s+{_IT}\s+(?:down|up)\s+to\s+(?P<amount>.+?)(?:\s+(?:the\s+)?speed)?{_ORIGINAL}", _speed_to),
    rule(rf"(?:slow|speed)\s+(?:down|up)(?:\s+{_IT})?\s+to\s+(?P<amount>.+?)(?:\s+(?:the\s+)?speed)?{_ORIGINAL}", _speed_to),
    rule(
        rf"{_LEAD}(?:(?:at|to|with|in)\s+)?(?P<amount>.+?)\s+(?:of\s+)?(?:the\s+|its\s+)?(?:original\s+|normal\s+)?"
        r"(?P<quantity>speed|rate|tempo|pace|volume|loudness|amplitude)", _quantity_to,
    ),
    rule(rf"(?:play|speak|talk|run|say)s?\s+(?:{_IT}\s+)?at\s+(?P<amount>[\w.]+\s*(?:x|×|times|%|percent))", _speed_to),
    rule(rf"{_LEAD}(?P<amount>.+?)\s+as\s+{_WAY}(?:\s+as\s+.+)?", _as_as),
    rule(rf"(?P<factor>double|triple|quadruple|halve)s?\s+{_THE_QUANTITY}", _multiply),
    # Pitch shifts.
    rule(
        rf"(?:shift|change|adjust|move|transpose|alter|modify)s?\s+(?:the\s+|its\s+)?(?:pitch|key|voice|audio|it)(?:\s+of\s+{_IT})?"
        r"(?:\s+(?P<way>up(?:wards?)?|down(?:wards?)?|higher|lower))?\s+(?:by\s+)?(?P<amount>.+)", _shift,
    ),
    rule(rf"(?:pitch|transpose|tune)s?(?:\s+{_IT})?\s+(?P<way>up|down)(?:\s+{_IT})?(?:\s+by)?\s+(?P<amount>.+)", _shift),
    # Relative ones.
    rule(rf"{_VERB}\s+{_THE_QUANTITY}(?:\s+(?:by\s+)?(?P<amount>.+?))?", _quantity_by),
    rule(rf"(?:turn|bring|push)\s+{_THE_QUANTITY}\s+(?P<verb>up|down)(?:\s+(?:by\s+)?(?P<amount>.+))?", _quantity_by),
    rule(rf"{_VERB}\s+{_IT}\s+(?:by\s+)?(?P<amount>.+)", _move_by),
    rule(rf"(?:turn|bring|move|shift|take)\s+{_IT}\s+(?P<verb>up|down)\s+(?:by\s+)?(?P<amount>.+)", _move_by),
    rule(rf"turn\s+{_IT}\s+(?P<verb>up|down)(?:\s+(?P<amount>.+))?", _turn),
    rule(rf"(?P<verb>turn\s+(?:up|down))\s+{_IT}(?:\s+(?P<amount>.+))?", _turn),
    rule(rf"(?P<verb>amplify|boost|attenuate)\s+{_IT}(?:\s+(?:by\s+)?(?P<amount>.+))?", _louder_by),
    rule(rf"(?:speed|hurry)\s+(?:{_IT}\s+)?up(?:\s+{_IT})?(?:\s+(?:by\s+)?(?P<amount>.+))?", _faster),
    rule(rf"(?:accelerate|quicken|speed)s?\s+{_IT}(?:\s+(?:by\s+)?(?P<amount>.+))?", _faster),
    rule(rf"slow\s+(?:{_IT}\s+)?down(?:\s+{_IT})?(?:\s+(?:by\s+)?(?P<amount>.+))?", _slower),
    rule(rf"(?:decelerate|slow)s?\s+{_IT}(?:\s+(?:by\s+)?(?P<amount>.+))?", _slower),
    rule(rf"{_LEAD}(?:(?P<before>.+?)\s+)?{_WAY}(?:\s+(?:by\s+)?(?P<after>.+?))?(?:\s+(?:in\s+pitch|in\s+volume|than\s+.+))?", _comparative),
    rule(r"(?:add\s+|apply\s+)?(?P<amount>[+\-−]\s?\d.*)", _signed),
)  # fmt: skip
