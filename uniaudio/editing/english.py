"""English wordings of edits. Quoted text arrives as one private character each, see `phrases`."""

from __future__ import annotations

import re

from uniaudio.editing import compose, lexicon
from uniaudio.editing.english_sound import SOUND_RULES
from uniaudio.editing.numbers import parse_english_number, parse_english_ordinal
from uniaudio.editing.phrases import QUOTE, Phrase, Rule, rule
from uniaudio.editing.plan import Plan, TextTarget
from uniaudio.editing.word_edits import WordEdits

_NOUN = (
    r"(?:(?:words?|characters?|letters?|syllables?|phrase|expression|term|name|text|part|bit)"
    r"(?:\s+(?:or|and)\s+(?:words?|characters?))?)"
)
_SUBJECT = r"(?:(?:the|this|that|my|its)\s+)?(?:whole\s+)?(?:sentence|audio|speech|recording|clip|text|utterance|transcript|it)"
_OF_SUBJECT = rf"(?:\s+(?:of|in|from)\s+{_SUBJECT})?"
_INDEX = r"(?:index|position|number|no\.?|#)"
_DELETE = (
    r"(?:deletes?|removes?|erases?|cuts?(?:\s+out)?|drops?|takes?\s+out|gets?\s+rid\s+of|strips?(?:\s+out)?"
    r"|leaves?\s+out|omits?|skips?|eliminates?|discards?|snips?(?:\s+out)?)"
)
_ADD = r"(?:inserts?|adds?|puts?|places?|says?|speaks?|appends?|prepends?|includes?|writes?|attach(?:es)?)"
_BEFORE = (
    r"(?:(?:right|just|directly|immediately)\s+)?(?:before|in\s+front\s+of|ahead\s+of|preceding|prior\s+to)"
)
_AFTER = r"(?:(?:right|just|directly|immediately)\s+)?(?:after|behind|following)"
_START = r"(?:the\s+)?(?:very\s+)?(?:beginning|start|front|head)"
_END = r"(?:the\s+)?(?:very\s+)?(?:end|ending|tail)"
_NOT_WORDS = re.compile(  # unquoted text that speaks of the recording, not of words in it
    r"(?:the|a|an|all|any|some|this|that|these|those|my|his|her|its|their|every|each|it|everything|more|less)\b|"
    r".*\b(?:noise|noises|echo|reverb|hum|hiss|music|silences?|pauses?|breaths?|clicks?|audio|voices?|sounds?"
    r"|speaker|speed|volume|pitch|accent|emotion|mood|tone|speech|recording|sentence|background)\b",
    re.IGNORECASE,
)


def _content(phrase: Phrase, text: str) -> str | None:
    """Words given in quotes, or after "the word", or bare words that cannot mean anything else."""
    if quoted := re.fullmatch(rf"(?:the\s+)?(?:{_NOUN}\s+)?({QUOTE}){_OF_SUBJECT}", text, re.IGNORECASE):
        return phrase.unquote(quoted[1])
    if re.search(QUOTE, text):
        return None
    if named := re.fullmatch(r"the\s+(?:words?|phrase|expression|name)\s+(.+)", text, re.IGNORECASE):
        return named[1]
    return None if _NOT_WORDS.match(text) else text


def _target(phrase: Phrase, text: str) -> TextTarget | None:
    positions = parse_positions(text)
    if positions is not None:
        return TextTarget(start_index=positions[0], end_index=positions[1])
    content = _content(phrase, text)
    return None if content is None or re.search(r"\d", text) else TextTarget(text=content)


def parse_positions(text: str) -> tuple[int, int] | None:
    """Positions named by "words 2 to 5", "the last three words", "index 4", "the 2nd to 4th words"."""
    text = re.sub(r"\s+", " ", text.strip().lower())
    text = re.sub(rf"{_OF_SUBJECT}$", "", text)
    for pattern, read in _POSITIONS:
        if found := pattern.fullmatch(text):
            span = read(found)
            if span is not None:
                return span
    return None


def _count(text: str | None) -> int | None:
    if text is None:
        return 1
    value = parse_english_number(text.removesuffix(" of"))
    return int(value) if value is not None and value == int(value) and value > 0 else None


def _read_ends(found: re.Match[str]) -> tuple[int, int] | None:
    count = _count(found["count"])
    if count is None:
        return None
    return (
        (1, count) if found["end"] in ("first", "beginning", "start", "initial", "opening") else (-count, -1)
    )


def _read_pair(found: re.Match[str]) -> tuple[int, int] | None:
    pair = [_index(found[name]) for name in ("i", "j")]
    if pair[0] is None or pair[1] is None:
        return None
    if found["joint"] == "and" and pair[1] != pair[0] + 1:
        return None
    return pair[0], pair[1]


def _read_one(found: re.Match[str]) -> tuple[int, int] | None:
    index = _index(found["i"])
    return None if index is None else (index, index)


def _index(text: str) -> int | None:
    ordinal = parse_english_ordinal(text)
    if ordinal is not None:
        return ordinal
    value = parse_english_number(text)
    return int(value) if value is not None and value == int(value) else None


_JOINT = r"(?P<joint>to|through|thru|till|until|up to|and|-|–|—)"
_POSITIONS = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (
            rf"(?:the )?(?:very )?(?P<end>first|last|final|initial|opening)(?: (?P<count>[\w ]+?))? {_NOUN}",
            _read_ends,
        ),
        (rf"(?:the )?(?P<count>[\w ]+?) {_NOUN} (?:at|from) the (?P<end>beginning|start|end)", _read_ends),
        (rf"(?:the )?(?P<i>[\w\-]+[ \-](?:to|from)[ \-](?:the[ \-])?(?:last|end)) {_NOUN}", _read_one),
        (
            (
                rf"(?:the )?(?:{_NOUN} )?(?:from )?(?:the )?(?:{_INDEX} ?)?(?P<i>[+\-]?[\w]+(?:[ -]\w+)??) ?{_JOINT} ?"
                rf"(?:the )?(?:{_INDEX} ?|{_NOUN} )?(?P<j>[+\-]?[\w]+(?:[ -]\w+)??)(?: {_NOUN})?"
            ),
            _read_pair,
        ),
        (rf"(?:the )?{_NOUN} (?:at |with |in |on )?(?:the )?(?:{_INDEX} ?)?(?P<i>[+\-]?\w+)", _read_one),
        (rf"(?:the )?{_INDEX} ?(?P<i>[+\-]?\w+)", _read_one),
        (rf"(?:the )?(?P<i>[\w\- ]+?) {_NOUN}", _read_one),
    )
)


_WORDS = WordEdits(_content, _target)


def _change_word(phrase: Phrase, target: str, words: str) -> Plan | None:
    """ "change X to W": only where X is surely words, for much else can be changed."""
    if re.search(QUOTE, target) or re.match(r"(?:the\s+)?words?\b", target) or parse_positions(target):
        return _WORDS.substitute(phrase, target, words)
    return None


WORD_RULES: tuple[Rule, ...] = (
    rule(
        rf"(?P<words>{QUOTE})\s+(?:should\s+)?(?:go|goes)\s+{_BEFORE}\s+(?P<anchor>.+)", _WORDS.insert_before
    ),
    rule(
        r"(?:substitute|replace|swap|exchange|switch)s?\s+(?P<target>.+?)\s+(?:with|by)\s+(?P<words>.+)",
        _WORDS.substitute,
    ),
    rule(r"substitutes?\s+(?P<words>.+?)\s+(?:in\s+)?for\s+(?P<target>.+)", _WORDS.substitute),
    rule(  # before "to", which may join two positions
        r"(?:replace|swap|exchange|switch)(?:e?s)?\s+(?P<target>.+?)\s+for\s+(?P<words>.+)", _WORDS.substitute
    ),
    rule(
        r"(?:replace|swap|exchange|switch)(?:e?s)?\s+(?P<target>.+?)\s+(?:into|to)\s+(?P<words>.+)",
        _WORDS.substitute,
    ),
    rule(
        r"(?:changes?|turns?|corrects?|fix(?:es)?|alters?|modif(?:y|ies))\s+(?P<target>.+?)\s+(?:in)?to\s+(?P<words>.+)",
        _change_word,
    ),
    rule(
        r"(?:says?|uses?|puts?|speaks?)\s+(?P<words>.+?)\s+(?:instead|in\s+place|in\s+lieu)\s+of\s+(?P<target>.+)",
        _WORDS.substitute,
    ),
    rule(r"instead\s+of\s+(?P<target>.+?),?\s+(?:says?|uses?|puts?)\s+(?P<words>.+)", _WORDS.substitute),
    rule(rf"{_ADD}\s+(?P<words>.+?)\s+(?:at|to|in|on|into)\s+{_START}{_OF_SUBJECT}", _WORDS.insert_beginning),
    rule(rf"{_ADD}\s+(?P<words>.+?)\s+(?:at|to|in|on|into)\s+{_END}{_OF_SUBJECT}", _WORDS.insert_end),
    rule(rf"(?:at|in)\s+{_START}{_OF_SUBJECT},?\s+{_ADD}\s+(?P<words>.+)", _WORDS.insert_beginning),
    rule(rf"(?:at|in)\s+{_END}{_OF_SUBJECT},?\s+{_ADD}\s+(?P<words>.+)", _WORDS.insert_end),
    rule(
        rf"{_ADD}\s+(?P<words>.+?)\s+{_BEFORE}\s+{_SUBJECT}(?:\s+(?:starts|begins))?", _WORDS.insert_beginning
    ),
    rule(rf"{_ADD}\s+(?P<words>.+?)\s+{_AFTER}\s+{_SUBJECT}(?:\s+ends)?", _WORDS.insert_end),
    rule(rf"{_ADD}\s+(?P<words>.+?)\s+{_BEFORE}\s+(?P<anchor>.+)", _WORDS.insert_before),
    rule(rf"{_ADD}\s+(?P<words>.+?)\s+{_AFTER}\s+(?P<anchor>.+)", _WORDS.insert_after),
    rule(rf"{_BEFORE}\s+(?P<anchor>.+?),?\s+{_ADD}\s+(?P<words>.+)", _WORDS.insert_before),
    rule(rf"{_AFTER}\s+(?P<anchor>.+?),?\s+{_ADD}\s+(?P<words>.+)", _WORDS.insert_after),
    rule(
        rf"(?:starts?|begins?|opens?)\s+(?:{_SUBJECT}\s+)?(?:off\s+)?with\s+(?P<words>.+)",
        _WORDS.insert_beginning,
    ),
    rule(
        rf"(?:ends?|finish(?:es)?|close|conclude)\s+(?:{_SUBJECT}\s+)?(?:off\s+)?with\s+(?P<words>.+)",
        _WORDS.insert_end,
    ),
    rule(rf"prepends?\s+(?P<words>.+?)(?:\s+to\s+{_SUBJECT})?", _WORDS.insert_beginning),
    rule(rf"appends?\s+(?P<words>.+?)(?:\s+to\s+{_SUBJECT})?", _WORDS.insert_end),
    rule(rf"{_DELETE}\s+(?P<target>.+)", _WORDS.delete),
    rule(r"take\s+(?P<target>.+?)\s+out", _WORDS.delete),
    rule(r"(?:do\s+not|don'?t)\s+say\s+(?P<target>.+)", _WORDS.delete),
)


def _background(phrase: Phrase, sound: str) -> Plan | None:
    name = phrase.unquote(sound) if re.fullmatch(QUOTE, sound) else sound
    if re.search(QUOTE, name):
        return None
    name = re.sub(r"^(?:the|some|a|an)\s+", "", name, flags=re.IGNORECASE)
    name = re.sub(
        r"^(?:background\s+)?(?:sounds?|noises?)\s+of\s+(?:the\s+|a\s+)?", "", name, flags=re.IGNORECASE
    )
    name = re.sub(r"^background\s+|\s+(?:sounds?|noises?|sound\s+effects?)$", "", name, flags=re.IGNORECASE)
    if not name or len(name.split()) > 5 or re.match(r"(?:words?|phrase)\b", name, re.IGNORECASE):
        return None
    return compose.background(phrase.instruction, lexicon.sound(name) or name.lower())


def _emotion(phrase: Phrase, name: str) -> Plan:
    name = phrase.unquote(name) if re.fullmatch(QUOTE, name) else name
    return compose.emotion(phrase.instruction, lexicon.emotion(name) or name.lower())


def _known_emotion(phrase: Phrase, name: str) -> Plan | None:
    known = lexicon.emotion(name)
    return None if known is None else compose.emotion(phrase.instruction, known)


def _dialect(phrase: Phrase, name: str) -> Plan:
    name = phrase.unquote(name) if re.fullmatch(QUOTE, name) else name
    return compose.dialect(phrase.instruction, lexicon.accent(name) or name)


def _nothing(phrase: Phrase) -> Plan:
    compose.nothing(phrase.instruction)


def _denoise(phrase: Phrase) -> Plan:
    return compose.denoise(phrase.instruction)


_NAME = rf"(?P<name>{QUOTE}|[a-z][a-z\-]*(?:\s+[a-z\-]+)??)"
_NOISE = r"(?:all\s+|any\s+|of\s+)*(?:the\s+)?(?:background\s+|ambient\s+|surrounding\s+|white\s+)?(?:noises?|hiss|hum|static)"
_RECORDING = r"(?:(?:the|this|that|my)\s+)?(?:whole\s+)?(?:audio|speech|recording|clip|sound|voice|it|this|track|file)(?:\s+(?:file|clip))?"
_FEELING = r"(?:mood|emotion|tone|voice|way|manner|feeling|style)"
_ALL = rf"(?:everything|all(?:\s+of\s+it)?|things|{_RECORDING})"
_ALTER = r"(?:changes?|alters?|modif(?:y|ies)|edits?|touch(?:es)?|do(?:es)?)"
NOTHING_RULES: tuple[Rule, ...] = (
    rule(
        rf"(?:keep|leave)s?\s+{_ALL}\s+(?:(?:just|exactly)\s+)?(?:(?:as|like|the\s+way)\s+(?:it|they|that)\s+(?:is|was|are|were)"
        r"|as\s+is|alone|unchanged|untouched|unedited|the\s+same)",
        _nothing,
    ),
    rule(rf"{_ALTER}\s+nothing(?:\s+at\s+all)?", _nothing),
    rule(rf"(?:do\s+not|don['’]?t)\s+{_ALTER}\s+(?:anything|a\s+thing|{_ALL})(?:\s+at\s+all)?", _nothing),
    rule(r"(?:make\s+)?no\s+(?:changes?|edits?|modifications?)(?:\s+at\s+all)?", _nothing),
)
ATTRIBUTE_RULES: tuple[Rule, ...] = (
    rule(rf"de-?noises?(?:\s+{_RECORDING})?", _denoise),
    rule(
        r"(?:clean(?:\s+up|\s+out)?|removes?|reduces?|gets?\s+rid\s+of|suppress|filters?(?:\s+out)?|cuts?(?:\s+out)?"
        rf"|eliminates?|takes?\s+out|deletes?|erases?)\s+{_NOISE}(?:\s+(?:from|in|of)\s+{_RECORDING})?",
        _denoise,
    ),
    rule(
        rf"clean\s+{_NOISE}\s+up|clean\s+(?:up\s+)?{_RECORDING}(?:\s+up)?|make\s+{_RECORDING}\s+cleaner",
        _denoise,
    ),
    rule(r"(?:apply\s+)?noise\s+(?:reduction|removal|suppression)", _denoise),
    rule(
        rf"(?:change|set|switch|convert|turn|adjust)s?\s+(?:the\s+)?(?:emotion|mood|tone|feeling)(?:\s+of\s+{_RECORDING})?"
        rf"\s+(?:in)?to\s+(?:be\s+)?(?:an?\s+)?{_NAME}(?:\s+{_FEELING})?",
        _emotion,
    ),
    rule(
        rf"(?:say|speak|read|make|deliver)s?\s+{_RECORDING}\s+(?:in|with)\s+an?\s+{_NAME}\s+(?:mood|emotion|feeling)",
        _emotion,
    ),
    rule(
        rf"(?:(?:say|speak|talk|read|make|deliver)s?\s+(?:{_RECORDING}\s+)?)?(?:in|with)\s+an?\s+(?P<name>[a-z]+)\s+{_FEELING}",
        _known_emotion,
    ),
    rule(
        rf"(?:say|speak|read|make|deliver)s?\s+{_RECORDING}\s+(?:sound\s+|feel\s+)?(?P<name>(?:more\s+)?[a-z]+)",
        _known_emotion,
    ),
    rule(
        r"make\s+(?:the\s+speaker|him|her|them)\s+(?:sound\s+|feel\s+)?(?P<name>(?:more\s+)?[a-z]+)",
        _known_emotion,
    ),
    rule(r"(?:sound|speak|talk)\s+(?P<name>(?:more\s+)?[a-z]+)", _known_emotion),
    rule(
        rf"(?:change|convert|switch|turn|set)s?\s+(?:the\s+)?(?:accent|dialect)(?:\s+of\s+{_RECORDING})?\s+(?:in)?to\s+"
        rf"(?:an?\s+|the\s+)?{_NAME}(?:\s+(?:accent|dialect))?",
        _dialect,
    ),
    rule(
        rf"(?:(?:say|speak|read|give|make)s?\s+{_RECORDING}\s+|(?:speak|talk|read)\s+(?=with|in))?(?:with\s+|in\s+|use\s+)?"
        rf"(?:an?\s+|the\s+)?{_NAME}\s+(?:accent|dialect)",
        _dialect,
    ),
    rule(
        r"(?:add|put|mix|play|overlay|include|insert)s?\s+(?:in\s+)?(?P<sound>.+?)\s+(?:to|in|into|on|under|behind|over|as)"
        rf"\s+(?:the\s+|a\s+)?(?:background(?:\s+of\s+{_RECORDING})?|background\s+(?:sound|noise)|{_RECORDING})",
        _background,
    ),
    rule(
        r"(?:add|put|mix\s+in|play|overlay)s?\s+(?P<sound>(?:the\s+|some\s+)?(?:background\s+)?(?:sounds?|noises?)\s+of\s+.+)",
        _background,
    ),
    rule(r"(?:add|put|mix\s+in|play|overlay)s?\s+(?:some\s+)?background\s+(?P<sound>.+)", _background),
)

RULES = (*NOTHING_RULES, *ATTRIBUTE_RULES, *SOUND_RULES, *WORD_RULES)
