"""Chinese wordings of speed, pitch, volume, noise, background, emotion and dialect."""

from __future__ import annotations

import re
from collections.abc import Callable

from uniaudio.editing import compose, lexicon
from uniaudio.editing.amounts import UNSAID, Amount, Unit, absolute_value, relative_value
from uniaudio.editing.numbers import CHINESE_NUMERAL, parse_chinese_number
from uniaudio.editing.phrases import QUOTE, Phrase, Rule, rule
from uniaudio.editing.plan import EditKind, Plan

Builder = Callable[..., Plan | None]

_COMPOSE = {EditKind.SPEED: compose.speed, EditKind.PITCH: compose.pitch, EditKind.VOLUME: compose.volume}
_NUMBER = rf"[+\-−负]?(?:\d+(?:\.\d+)?(?:/\d+)?|{CHINESE_NUMERAL}+(?:分之{CHINESE_NUMERAL}+)?)"
_LITTLE = r"(?:一?点点?儿?|一?些|稍微|稍稍|略微|少许|稍|略)"
_MUCH = r"(?:很多|许多|得多|多一些|非常多|大幅度?|明显|不少)"
_UNITS = (
    (r"倍速?", Unit.TIMES, 1.0),
    (r"%|％", Unit.PERCENT, 1.0),
    (r"成", Unit.PERCENT, 10.0),
    (r"分贝|dB", Unit.DECIBELS, 1.0),
    (r"个?半音|个?音阶|阶|个?key|步|st", Unit.SEMITONES, 1.0),
    (r"个?八度", Unit.SEMITONES, 12.0),
    (r"个?全音|个?音", Unit.SEMITONES, 2.0),
    (r"音分", Unit.SEMITONES, 0.01),
)
_SPEED = r"(?:说话的?|讲话的?|播放的?|朗读的?)?(?:语速|速度|速率|节奏)"
_VOLUME = r"(?:音量|响度|声量|(?:声音|录音)的?(?:大小|响度|音量)|幅度)"
_PITCH = r"(?:声音的?)?(?:音调|音高|声调|调子|音阶|基频|调)"
_OWNER = r"(?:(?:这[段条个])?(?:音频|录音|语音|声音|整体|整段|说话人|它)的?)?"
_UP = {
    EditKind.SPEED: r"(?:加快|提高|提升|增加|调快|加速|提速|变快|调高|增大|增快|调大|快|升高)",
    EditKind.VOLUME: r"(?:调大|增大|提高|提升|增加|调高|加大|放大|变大|增强|升高|大|调响|响|高|加)",
    EditKind.PITCH: r"(?:升高|提高|调高|提升|抬高|上升|升|增加|变高|上移|高|加)",
}
_DOWN = {
    EditKind.SPEED: r"(?:放慢|减慢|降低|减小|减少|调慢|减速|降速|变慢|调低|放缓|减缓|慢|下降)",
    EditKind.VOLUME: r"(?:调小|减小|降低|减少|调低|放低|变小|减弱|下降|小|轻|低|减)",
    EditKind.PITCH: r"(?:降低|调低|压低|下降|降|减少|减小|变低|下移|低|减)",
}
_QUANTITIES = {EditKind.SPEED: _SPEED, EditKind.VOLUME: _VOLUME, EditKind.PITCH: _PITCH}
_TO = r"(?:变为|变成|调为|调成|改为|改成|设为|设成|设置为|设置成|调整为|调整成|调整到|调到|变到|设到|设置到|改到|控制在|到|至|为|成|是|=|：|:)"
_ORIGINAL = r"(?:(?:原来|原本|原先|原始|正常|现在|当前|原速|原音量)的?)?"


def parse_amount(text: str | None) -> Amount | None:
    """The amount a piece of text names: 20%, 两倍, 3分贝, 一个八度, 一点."""
    text = (text or "").replace(" ", "")
    text = re.sub(r"^了|^约|^大约|左右$", "", text)
    if not text:
        return UNSAID
    if re.fullmatch(_LITTLE, text):
        return Amount(0, Unit.DEGREE)
    if re.fullmatch(_MUCH, text):
        return Amount(2, Unit.DEGREE)
    if text == "一半":
        return Amount(0.5, Unit.NUMBER)
    if found := re.fullmatch(rf"百分之({_NUMBER})", text):
        value = parse_chinese_number(found[1])
        return None if value is None else Amount(value, Unit.PERCENT)
    for pattern, unit, scale in _UNITS:
        if found := re.fullmatch(rf"({_NUMBER})(?:{pattern})", text, re.IGNORECASE):
            value = parse_chinese_number(found[1])
            return None if value is None else Amount(value * scale, unit)
    value = parse_chinese_number(text)
    return None if value is None else Amount(value, Unit.NUMBER)


def _plan(phrase: Phrase, kind: EditKind, value: float | None) -> Plan | None:
    return None if value is None else _COMPOSE[kind](phrase.instruction, value)


def _relative(phrase: Phrase, kind: EditKind, sign: int, amount: Amount | None) -> Plan | None:
    """一倍 more is twice as much; N 倍 more is N times as much."""
    if amount is None:
        return None
    if amount.unit is Unit.TIMES and amount.value == 1:
        amount = Amount(2, Unit.TIMES)
    return _plan(phrase, kind, relative_value(kind, sign, amount))


def _absolute(kind: EditKind) -> Builder:
    def build(phrase: Phrase, amount: str) -> Plan | None:
        parsed = parse_amount(amount)
        return None if parsed is None else _plan(phrase, kind, absolute_value(kind, parsed))

    return build


def _changed(kind: EditKind, sign: int) -> Builder:
    def build(phrase: Phrase, amount: str | None = None, degree: str | None = None) -> Plan | None:
        if amount and degree and parse_amount(amount) != Amount(0, Unit.DEGREE):
            return None
        return _relative(phrase, kind, sign, parse_amount(amount or degree))

    return build


def _by_unit(sign: int) -> Builder:
    """升高3个半音, 提高3分贝: the unit says what is meant."""

    def build(phrase: Phrase, amount: str) -> Plan | None:
        parsed = parse_amount(amount)
        if parsed is None or parsed.unit not in (Unit.SEMITONES, Unit.DECIBELS):
            return None
        kind = EditKind.PITCH if parsed.unit is Unit.SEMITONES else EditKind.VOLUME
        return _relative(phrase, kind, sign, parsed)

    return build


def _quantity_rules(kind: EditKind) -> tuple[Rule, ...]:
    quantity, up, down = _QUANTITIES[kind], _UP[kind], _DOWN[kind]
    subject = rf"(?:把|将|让|使|给)?{_OWNER}(?:的)?{quantity}"
    tail = rf"(?:了)?(?P<amount>{_MUCH}|{_LITTLE}|一半|百分之.+|{_NUMBER}[^,，。]*)?"
    rules = [
        rule(rf"{subject}(?P<amount>\d+(?:\.\d+)?(?:倍|%)?)", _absolute(kind)),
        rule(rf"(?:{up}|{down}|调整|设置|改变)?{subject}(?:{up}|{down})?(?:调整|调节|设置)?{_TO}{_ORIGINAL}(?P<amount>.+)",
             _absolute(kind)),
    ]  # fmt: skip
    for verb, sign in ((up, 1), (down, -1)):
        build = _changed(kind, sign)
        rules += [
            rule(rf"{subject}(?:再|要|得|说得)*(?P<degree>{_LITTLE}|{_MUCH})?(?:地)?{verb}{tail}", build),
            rule(rf"(?P<degree>{_LITTLE}|{_MUCH})?(?:地)?{verb}{_OWNER}{quantity}{tail}", build),
        ]
    return tuple(rules)


_SIGNED = r"(?P<amount>[+\-−]\s?\d.*)"
_AMOUNT = rf"(?P<amount>{_MUCH}|{_LITTLE}|一半|百分之.+|{_NUMBER}[^,，。]*)"
_VOICE = r"(?:(?:把|将|让|使)?(?:这[段条个])?(?:声音|嗓音|音频|录音|语音|它|他|她|说话人?)(?:变得?|调得?|弄得?|放得?|的)?)"
_SPOKEN = r"(?:(?:说|讲|念|读|播放|播|放|讲话|说话)(?:话)?(?:得|的)?)"

_COMPARATIVES = (
    (r"(?:快|更快|加速|提速)", EditKind.SPEED, 1),
    (r"(?:慢|更慢|减速|降速)", EditKind.SPEED, -1),
    (r"(?:大声|更大声|响亮|响)", EditKind.VOLUME, 1),
    (r"(?:小声|更小声|轻声|轻)", EditKind.VOLUME, -1),
    (r"(?:尖)", EditKind.PITCH, 1),
    (r"(?:低沉)", EditKind.PITCH, -1),
)

SOUND_RULES: tuple[Rule, ...] = (
    *(rule_ for kind in (EditKind.SPEED, EditKind.VOLUME, EditKind.PITCH) for rule_ in _quantity_rules(kind)),
    rule(rf"(?:把|将|让)?{_OWNER}(?:放慢|加快|加速|减速|调快|调慢|减慢|提速|降速|变速)(?:到|至|为|成){_ORIGINAL}(?P<amount>.+)",
         _absolute(EditKind.SPEED)),
    rule(rf"(?:把|将|让)?{_OWNER}(?:放大|缩小|调大|调小|增大|减小)(?:到|至|为|成){_ORIGINAL}(?P<amount>.+)",
         _absolute(EditKind.VOLUME)),
    rule(rf"(?:以|用|按)?{_ORIGINAL}(?P<amount>{_NUMBER}倍)(?:速度?|的(?:速度|语速))(?:播放|朗读|说|读|来说|播)?(?:它|音频|录音)?",
         _absolute(EditKind.SPEED)),
    rule(rf"(?:{_VOICE})?(?:调|变|放|再|得)*(?P<degree>{_LITTLE}|{_MUCH})?(?:大|高)声?(?P<amount>{_MUCH}|一?点儿?|一?些|{_NUMBER}(?:倍|%|分贝|dB))",
         _changed(EditKind.VOLUME, 1)),
    rule(rf"{_VOICE}(?:调|变|放|再|得)*(?P<degree>{_LITTLE}|{_MUCH})?(?:调?大|增大|放大){_AMOUNT}?", _changed(EditKind.VOLUME, 1)),
    rule(rf"{_VOICE}(?:调|变|放|再|得)*(?P<degree>{_LITTLE}|{_MUCH})?(?:调?小|减小|缩小){_AMOUNT}?", _changed(EditKind.VOLUME, -1)),
    *(
        rule(rf"(?:{_VOICE})?(?:{_SPOKEN})?(?:再|要|稍微)*(?P<degree>{_LITTLE}|{_MUCH})?{way}{_AMOUNT}?", _changed(kind, sign))
        for way, kind, sign in _COMPARATIVES
    ),
    rule(rf"(?:{_VOICE})?(?:放慢|减慢|放缓){_AMOUNT}?", _changed(EditKind.SPEED, -1)),
    rule(rf"(?:{_VOICE})?(?:加快|调快){_AMOUNT}?", _changed(EditKind.SPEED, 1)),
    rule(rf"(?:{_VOLUME}|{_PITCH})?{_SIGNED}", _by_unit(1)),
    rule(rf"(?:{_VOICE})?(?:整体|往上|向上)?(?:升高|提高|调高|提升|上升|升|高|增加|加|上调|抬高|增大|调大|放大){_AMOUNT}", _by_unit(1)),
    rule(rf"(?:{_VOICE})?(?:整体|往下|向下)?(?:降低|调低|下降|降|低|减少|减小|减|下调|压低|调小){_AMOUNT}", _by_unit(-1)),
)  # fmt: skip


def _nothing(phrase: Phrase) -> Plan:
    compose.nothing(phrase.instruction)


def _denoise(phrase: Phrase) -> Plan:
    return compose.denoise(phrase.instruction)


def _background(phrase: Phrase, name: str) -> Plan | None:
    name = phrase.unquote(name) if re.fullmatch(QUOTE, name) else name
    name = re.sub(r"^(?:一些|一点|一段|一个|点|些)", "", name).removesuffix("的")
    if not name or re.search(QUOTE, name):
        return None
    return compose.background(phrase.instruction, lexicon.sound(name) or name)


def _known_background(phrase: Phrase, name: str) -> Plan | None:
    known = lexicon.sound(re.sub(r"^(?:一些|一点|一段|一个|点|些)", "", name))
    return None if known is None else compose.background(phrase.instruction, known)


def _emotion(phrase: Phrase, name: str) -> Plan:
    name = phrase.unquote(name) if re.fullmatch(QUOTE, name) else name
    return compose.emotion(
        phrase.instruction, lexicon.emotion(name.removesuffix("的")) or name.removesuffix("的")
    )


def _known_emotion(phrase: Phrase, name: str) -> Plan | None:
    known = lexicon.emotion(name)
    return None if known is None else compose.emotion(phrase.instruction, known)


def _dialect(phrase: Phrase, name: str) -> Plan:
    name = phrase.unquote(name) if re.fullmatch(QUOTE, name) else name
    return compose.dialect(phrase.instruction, lexicon.accent(name) or name)


_PUT = r"(?:加入|添加|加上|配上|增加|混入|叠加|放上|插入|加)"
_AUDIO = r"(?:这[段条个])?(?:音频|录音|语音|声音|背景|它)"
_BACKGROUND = r"(?:(?:音频|录音|语音)的?)?背景(?:声音?|音乐?|音效)?"
_CHANGE = r"(?:改成|改为|换成|换为|变成|变为|转成|转为|调整为|调整成|调成|转换成|转换为|改到)"
_NAME = rf"(?P<name>{QUOTE}|[^，,。把的]+?)"

_ALTER = r"(?:修改|改动|更改|改变|变动|变更|编辑|改|动|变)"
NOTHING_RULES: tuple[Rule, ...] = (
    rule(
        rf"(?:(?:把|将|让)?(?:{_AUDIO}|一切|所有内容|全部|全都)(?:都)?)?(?:保持|维持|保留)(?:原样|原状|现状|不变|原来的样子)(?:不变|不动)?",
        _nothing,
    ),
    rule(rf"(?:什么|哪里|哪儿|任何(?:东西|内容|地方))(?:都|也)(?:不要|不用|不需要|别|不){_ALTER}", _nothing),
    rule(
        rf"(?:不要?|不用|无需|不需要|别)(?:做|作|进行)?(?:任何)?{_ALTER}(?:任何(?:东西|内容|地方)|{_AUDIO})?",
        _nothing,
    ),
)
ATTRIBUTE_RULES: tuple[Rule, ...] = (
    rule(rf"(?:(?:给|对|为|把|将)?{_AUDIO}(?:进行|做|中的|里的|的)?)?(?:去除|去掉|消除|降低|减少|清除|抑制|移除|滤除|过滤|删除|清理)(?:{_AUDIO}(?:中|里)?的?)?(?:所有的?|全部)?(?:环境|背景|周围的?)?(?:噪声|噪音|杂音)", _denoise),
    rule(rf"(?:把|将)?(?:{_AUDIO}(?:中|里)?的?)?(?:背景|环境)?(?:噪声|噪音|杂音)(?:去除|去掉|消除|清除|去了|删掉|删除|清理)(?:掉|干净)?", _denoise),
    rule(rf"(?:(?:给|对|为)?{_AUDIO})?(?:进行|做)?(?:降噪|去噪|除噪)(?:处理)?", _denoise),
    rule(rf"(?:(?:在|给|为)?(?:{_AUDIO})?(?:的)?(?:背景)?(?:中|里|上)?{_PUT}|把|将|用|以)(?P<name>.+?)(?:作为|做为?|当作|当成|用作){_BACKGROUND}", _background),
    rule(rf"(?:(?:在|给|为)?(?:{_AUDIO})?(?:的)?(?:背景)?(?:中|里|上)?{_PUT}|把|将|用|以)(?P<name>.+?)当{_BACKGROUND}", _known_background),
    rule(rf"(?:在|给|为)?(?:{_AUDIO})?(?:的)?(?:背景)?(?:中|里|上)?{_PUT}(?P<name>.+?)(?:的)?(?:背景声音?|背景音乐?|音效|的声音)", _background),
    rule(rf"(?:在|给|为)?{_AUDIO}(?:的)?(?:背景)?(?:中|里|上)?{_PUT}(?P<name>[^\ue000-\uf8ff]+声)", _background),
    rule(rf"(?:在|给|为)?(?:{_AUDIO})?(?:的)?(?:背景)?(?:中|里|上)?{_PUT}(?P<name>[^\ue000-\uf8ff]+)", _known_background),
    rule(rf"(?:用|以|换成?){_NAME}(?:的)?(?:语气|情绪|口吻|心情|语调|情感|感觉)(?:来)?(?:说话?|读|念|讲|朗读|表达)?(?:出来|这句话|一遍)?", _emotion),
    rule(rf"(?:把|将)?(?:{_AUDIO}的)?(?:说话的?)?(?:情绪|情感|语气|心情|口吻){_CHANGE}{_NAME}(?:的)?(?:语气|情绪|心情|口吻)?", _emotion),
    rule(rf"(?:(?:把|将|让|使)?(?:{_AUDIO}|他|她|说话人)?)?(?:听起来|听上去|显得|变得|说得|读得|念得)?(?:更|再)?(?P<name>.{{2,3}}?)(?:地说|一?点儿?|一?些)?", _known_emotion),
    rule(rf"(?:把|将)?(?:{_AUDIO}的)?(?:口音|方言|腔调|说话){_CHANGE}{_NAME}(?:话|口音|方言|腔)?", _dialect),
    rule(rf"(?:(?:把|将)?{_AUDIO})?(?:转换?成?|换成?|改成|变成){_NAME}(?:话|方言|口音)", _dialect),
    rule(rf"(?:用|以|带|说|讲){_NAME}(?:的)?(?:口音|方言|腔调?|话)(?:来)?(?:说话?|读|念|讲|朗读)?(?:出来|这句话|一遍)?", _dialect),
    rule(r"(?:用|以|说|讲)(?P<name>粤语|普通话|闽南语|沪语)(?:来)?(?:说|读|念|讲)?", _dialect),
)  # fmt: skip
