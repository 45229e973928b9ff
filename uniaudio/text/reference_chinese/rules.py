"""The pattern replacements of the reference's normaliser, in its order."""

from __future__ import annotations

import re
from collections.abc import Callable

from uniaudio.text.reference_chinese.numerals import read_digits, read_integer, read_number, read_quantity

_MEASURES = [
    "平方千米",
    "平方公里",
    "平方米",
    "平方厘米",
    "立方米",
    "立方厘米",
    "毫米汞柱",
    "千米",
    "公里",
    "厘米",
    "毫米",
    "纳米",
    "微米",
    "英里",
    "英尺",
    "英寸",
    "海里",
    "公顷",
    "毫升",
    "公升",
    "加仑",
    "千克",
    "公斤",
    "毫克",
    "微克",
    "英镑",
    "千瓦",
    "兆瓦",
    "小时",
    "分钟",
    "秒钟",
    "毫秒",
    "星期",
    "个月",
    "美元",
    "欧元",
    "日元",
    "块钱",
    "块",
    "万",
    "亿",
    "百万",
    "千万",
    "封",
    "艘",
    "把",
    "目",
    "套",
    "段",
    "人",
    "所",
    "朵",
    "匹",
    "张",
    "座",
    "回",
    "场",
    "尾",
    "条",
    "个",
    "首",
    "阙",
    "阵",
    "网",
    "炮",
    "顶",
    "丘",
    "棵",
    "只",
    "支",
    "袭",
    "辆",
    "挑",
    "担",
    "颗",
    "壳",
    "窠",
    "曲",
    "墙",
    "群",
    "腔",
    "砣",
    "客",
    "贯",
    "扎",
    "捆",
    "刀",
    "令",
    "打",
    "手",
    "罗",
    "坡",
    "山",
    "岭",
    "江",
    "溪",
    "钟",
    "队",
    "单",
    "双",
    "对",
    "口",
    "头",
    "脚",
    "板",
    "跳",
    "枝",
    "件",
    "贴",
    "针",
    "线",
    "管",
    "名",
    "位",
    "身",
    "堂",
    "课",
    "本",
    "页",
    "家",
    "户",
    "层",
    "丝",
    "毫",
    "厘",
    "分",
    "钱",
    "两",
    "斤",
    "担",
    "铢",
    "石",
    "钧",
    "锱",
    "忽",
    "克",
    "撮",
    "勺",
    "合",
    "升",
    "斗",
    "盘",
    "碗",
    "碟",
    "叠",
    "桶",
    "笼",
    "盆",
    "盒",
    "杯",
    "斛",
    "锅",
    "簋",
    "篮",
    "罐",
    "瓶",
    "壶",
    "卮",
    "盏",
    "箩",
    "箱",
    "煲",
    "啖",
    "袋",
    "钵",
    "年",
    "月",
    "日",
    "季",
    "刻",
    "时",
    "周",
    "天",
    "秒",
    "旬",
    "纪",
    "岁",
    "世",
    "更",
    "夜",
    "春",
    "夏",
    "秋",
    "冬",
    "代",
    "伏",
    "辈",
    "丸",
    "泡",
    "粒",
    "幢",
    "堆",
    "根",
    "道",
    "面",
    "片",
    "元",
    "角",
    "米",
    "吨",
    "种",
    "次",
    "届",
    "期",
    "轮",
    "级",
    "架",
    "台",
    "部",
    "节",
    "份",
    "批",
    "款",
    "间",
    "句",
    "篇",
    "幅",
    "股",
    "项",
    "门",
    "枚",
    "步",
    "声",
    "滴",
    "点",
    "号",
    "楼",
    "倍",
    "度",
    "成",
    "字",
]
_MEASURE = "|".join(sorted(set(_MEASURES), key=len, reverse=True))
_CLOCK = r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?"
_PLATE_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_SIGN = {"": "", "-": "负"}


def _date(m: re.Match[str]) -> str:
    year, month, day, ending = m["year"], m["month"], m["day"], m["ending"]
    text = read_digits(year) + "年"
    if month:
        text += read_integer(month) + "月"
    if day:
        text += read_integer(day) + ending
    return text


def _numeric_date(m: re.Match[str]) -> str:
    return f"{read_digits(m[1])}年{read_integer(m[3])}月{read_integer(m[4])}日"


def _clock(hour: str, minute: str, second: str | None) -> str:
    text = read_integer(hour) + "点"
    if minute == "30":
        text += "半"
    elif minute.strip("0"):
        text += ("零" if minute[0] == "0" else "") + read_integer(minute) + "分"
    if second and second.strip("0"):
        text += ("零" if second[0] == "0" else "") + read_integer(second) + "秒"
    return text


def _time(m: re.Match[str]) -> str:
    return _clock(m[1], m[2], m[3])


def _time_range(m: re.Match[str]) -> str:
    return f"{_clock(m[1], m[2], m[3])}至{_clock(m[4], m[5], m[6])}"


def _temperature(m: re.Match[str]) -> str:
    unit = "摄氏度" if m[3] == "摄氏度" else "度"
    return ("零下" if m[1] else "") + read_number(m[2]) + unit


def _signed_range(m: re.Match[str]) -> str:
    return f"{_SIGN[m[1]]}{read_number(m[2])}至{_SIGN[m[3]]}{read_number(m[4])}"


def _telephone(m: re.Match[str]) -> str:
    return "，".join(read_digits(part, telephone=True) for part in re.split(r"[\s\-+]+", m[0]) if part)


_RULES: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (
        r"(?P<year>\d{4}|\d{2})年(?:(?P<month>0?[1-9]|1[0-2])月)?"
        r"(?:(?P<day>0?[1-9]|[12]\d|3[01])(?P<ending>[日号]))?",
        _date,
    ),
    (r"(\d{4})([- /.])(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])", _numeric_date),
    (r"(?<=\d)[-~](?=\d)", lambda m: "至"),
    (rf"{_CLOCK}[~\-至]{_CLOCK}", _time_range),
    (_CLOCK, _time),
    (r"\$(\d+(?:\.\d+)?)", lambda m: read_number(m[1]) + "美元"),
    (r"(\d+(?:\.\d+)?)\$", lambda m: read_number(m[1]) + "美元"),
    (r"(-?)(\d+(?:\.\d+)?)(°C|℃|度|摄氏度)", _temperature),
    (
        rf"([{_PLATE_PROVINCES}][A-Z])(\d{{5,6}})(?!\d)",
        lambda m: m[1] + read_digits(m[2], telephone=True),
    ),
    (r"(-?)(\d+)/(\d+)", lambda m: f"{_SIGN[m[1]]}{read_integer(m[3])}分之{read_integer(m[2])}"),
    (r"(-?)(\d+(?:\.\d+)?)%", lambda m: f"{_SIGN[m[1]]}百分之{read_number(m[2])}"),
    (r"(?<!\d)(?:\+?86 ?)?1(?:[38]\d|5[0-35-9]|7[678]|9[89])\d{8}(?!\d)", _telephone),
    (r"(?<!\d)(?:0(?:10|2[1-3]|[3-9]\d{2})-?)?[1-9]\d{6,7}(?!\d)", _telephone),
    (r"400-?\d{3}-?\d{4}", _telephone),
    (r"(-?)(\d+(?:\.\d+)?)[-~](-?)(\d+(?:\.\d+)?)", _signed_range),
    (r"-(\d+)(?![\d.])", lambda m: "负" + read_integer(m[1])),
    (r"(-?)(\d+\.\d+|\.\d+)", lambda m: _SIGN[m[1]] + read_number(m[2])),
    (
        rf"(\d+)至(?=\d+[多余几+]?(?:{_MEASURE}))",
        lambda m: read_quantity(m[1]) + "至",
    ),
    (
        rf"(\d+)([多余几+]?)({_MEASURE})",
        lambda m: read_quantity(m[1]) + ("多" if m[2] == "+" else m[2]) + m[3],
    ),
    (r"\d{3,}", lambda m: read_digits(m[0], telephone=True)),
    (r"\d+", lambda m: read_integer(m[0])),
)
REPLACEMENTS = tuple((re.compile(pattern), replace) for pattern, replace in _RULES)
