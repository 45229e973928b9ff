"""Chinese wordings of edits of words. Quoted text arrives as one private character each, see `phrases`."""

from __future__ import annotations

import re

from uniaudio.editing.chinese_sound import ATTRIBUTE_RULES, NOTHING_RULES, SOUND_RULES
from uniaudio.editing.numbers import CHINESE_NUMERAL, parse_chinese_number
from uniaudio.editing.phrases import QUOTE, Phrase, Rule, rule
from uniaudio.editing.plan import TextTarget
from uniaudio.editing.word_edits import WordEdits

_NUMBER = rf"(?:\d+|{CHINESE_NUMERAL}+)"
_UNIT = r"(?:个)?(?:字符|单词|汉字|词语|词|字)"
_KIND = r"(?:词语|单词|汉字|文字|内容|文本|短语|词|字|这?句话?)"
_THIS = r"(?:[字词]|这[一两二三四五几]?个?(?:词语|字|词|句话?|短语)|一词|二字|两字|几个字|的(?:内容|部分))"
_DELETE = r"(?:删除掉?|删掉|删去|删了|去掉|去除|移除|拿掉|剪掉|剪去|抹去|抹掉|略去|省略|舍去)"
_ADD = r"(?:插入|添加|加入|增加|加上|补上|补充|接上|放上|说上?|读|写上|加|补)(?:一个|一句|进)?"
_BEFORE = r"(?:的)?(?:前面|之前|前边|前方|前)"
_AFTER = r"(?:的)?(?:后面|之后|后边|后方|后)"
_SENTENCE = r"(?:(?:这|整)?(?:句话|句子|段话|段音频|音频|录音|语音|句|话|文本)的?)?"
_START = rf"{_SENTENCE}(?:最)?(?:句首|开头|开始|开端|最前面?|前面|起始|首部)(?:处|位置|部分|的地方|的位置)?"
_END = (
    rf"{_SENTENCE}(?:最)?(?:句末|句尾|结尾|末尾|最后面?|后面|尾部|末端|尾巴)(?:处|位置|部分|的地方|的位置)?"
)
_NOT_WORDS = re.compile(
    r".*(?:噪声|噪音|杂音|回声|混响|声音|语音|音频|录音|语速|速度|音量|音调|音高|语气|情绪|情感|口音|方言|背景|停顿|"
    r"静音|呼吸|气口|所有|全部|任何|说话人|音色|第.*个|前.*个|后.*个)"
)


def _content(phrase: Phrase, text: str) -> str | None:
    """Words given in quotes, or bare words that cannot mean anything else."""
    text = text.strip()
    if quoted := re.fullmatch(rf"{_KIND}?[：:]?({QUOTE}){_THIS}?", text):
        return phrase.unquote(quoted[1])
    if re.search(QUOTE, text) or _NOT_WORDS.match(text):
        return None
    return re.sub(rf"^(?:词语|单词)|{_THIS}$", "", text) or None


def parse_positions(text: str) -> tuple[int, int] | None:
    """Positions named by 第2到第5个字, 前三个字, 最后两个词, 倒数第二个字."""
    text = re.sub(rf"^{_SENTENCE}", "", text.replace(" ", ""))
    if found := re.fullmatch(rf"(?:最?(?:开头|前面?|句首|头|首))的?(?:第)?({_NUMBER}){_UNIT}", text):
        count = _integer(found[1])
        return None if count is None else (1, count)
    if found := re.fullmatch(rf"(?:最后面?|末尾|结尾|句末|句尾|后面?|末|尾)的?({_NUMBER}){_UNIT}", text):
        count = _integer(found[1])
        return None if count is None else (-count, -1)
    if text in ("首字", "首词", "第一字"):
        return 1, 1
    if text in ("末字", "末词", "尾字"):
        return -1, -1
    end = rf"(倒数)?第?({_NUMBER})(?:{_UNIT}|位)?"
    if found := re.fullmatch(
        rf"从?(?:{_KIND}|索引|位置|下标)?{end}(到|至|和|与|、|-|~|～)(?:索引|位置)?{end}(?:的{_KIND})?", text
    ):
        return _pair(found)
    if found := re.fullmatch(rf"(倒数)?第({_NUMBER})(?:{_UNIT}|位)(?:的?{_KIND})?", text):
        index = _integer(found[2])
        return None if index is None else ((-index, -index) if found[1] else (index, index))
    if found := re.fullmatch(rf"(?:索引|位置|下标)(?:为|是)?({_NUMBER})(?:处|的)*{_KIND}?", text):
        index = _integer(found[1])
        return None if index is None else (index, index)
    return None


def _pair(found: re.Match[str]) -> tuple[int, int] | None:
    start, end = _integer(found[2]), _integer(found[5])
    if start is None or end is None or (found[3] in "和与、" and abs(start - end) != 1):
        return None
    start, end = (-start if found[1] else start), (-end if found[4] or found[1] else end)
    return (min(start, end), max(start, end)) if start < 0 and end < 0 else (start, end)


def _integer(text: str) -> int | None:
    value = parse_chinese_number(text)
    return int(value) if value is not None and value == int(value) else None


def _target(phrase: Phrase, text: str) -> TextTarget | None:
    positions = parse_positions(text)
    if positions is not None:
        return TextTarget(start_index=positions[0], end_index=positions[1])
    content = _content(phrase, text)
    return None if content is None else TextTarget(text=content)


_WORDS = WordEdits(_content, _target)
_INTO = r"(?:替换成|替换为|替换掉?为|换成|换为|改成|改为|改说成?|说成|变成|变为|改作|读成|修改为|修改成|更换为|更换成|替成)"
_OPTIONAL_BA = r"(?:把|将)?"

WORD_RULES: tuple[Rule, ...] = (
    rule(
        rf"(?:把|将)(?P<target>.+?)(?:用|以)(?P<words>{QUOTE})(?:来)?(?:替换|代替|取代|替代)掉?",
        _WORDS.substitute,
    ),
    rule(rf"{_OPTIONAL_BA}(?P<target>.+?){_INTO}(?P<words>.+)", _WORDS.substitute),
    rule(r"(?:用|以)(?P<words>.+?)(?:来)?(?:替换掉?|代替|取代|替代|换掉)(?P<target>.+)", _WORDS.substitute),
    rule(r"(?:替换|更换|修改)(?P<target>.+?)(?:为|成)(?P<words>.+)", _WORDS.substitute),
    rule(r"不要?说(?P<target>.+?)[，,]?(?:而是?|要?)?(?:改?说)(?P<words>.+)", _WORDS.substitute),
    rule(rf"(?:在)?{_START}(?:再)?{_ADD}(?P<words>.+)", _WORDS.insert_beginning),
    rule(rf"(?:在)?{_END}(?:再)?{_ADD}(?P<words>.+)", _WORDS.insert_end),
    rule(rf"(?:把|将)(?P<words>.+?)(?:插入|添加|加|放|补)(?:到|在|进)?{_START}", _WORDS.insert_beginning),
    rule(rf"(?:把|将)(?P<words>.+?)(?:插入|添加|加|放|补)(?:到|在|进)?{_END}", _WORDS.insert_end),
    rule(rf"{_ADD}(?P<words>{QUOTE})(?:到|在){_START}", _WORDS.insert_beginning),
    rule(rf"{_ADD}(?P<words>{QUOTE})(?:到|在){_END}", _WORDS.insert_end),
    rule(r"(?:以|用|从)(?P<words>.+?)(?:作为)?(?:开头|开始|开场)", _WORDS.insert_beginning),
    rule(r"(?:以|用)(?P<words>.+?)(?:作为)?(?:结尾|结束|收尾)", _WORDS.insert_end),
    rule(rf"(?:在)?(?P<anchor>.+?){_BEFORE}(?:再)?{_ADD}(?P<words>.+)", _WORDS.insert_before),
    rule(rf"(?:在)?(?P<anchor>.+?){_AFTER}(?:再)?{_ADD}(?P<words>.+)", _WORDS.insert_after),
    rule(
        rf"(?:把|将)(?P<words>.+?)(?:插入|添加|加|放|补)(?:到|在|进)?(?P<anchor>.+?){_BEFORE}",
        _WORDS.insert_before,
    ),
    rule(
        rf"(?:把|将)(?P<words>.+?)(?:插入|添加|加|放|补)(?:到|在|进)?(?P<anchor>.+?){_AFTER}",
        _WORDS.insert_after,
    ),
    rule(rf"(?:把|将)(?P<target>.+?)(?:给)?{_DELETE}", _WORDS.delete),
    rule(rf"{_DELETE}(?P<target>.+)", _WORDS.delete),
    rule(rf"(?:不要|别)(?:再)?(?:说|读|念)?(?P<target>{QUOTE}{_THIS}?)", _WORDS.delete),
)

RULES = (*NOTHING_RULES, *ATTRIBUTE_RULES, *SOUND_RULES, *WORD_RULES)
