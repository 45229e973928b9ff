"""The pattern replacements of the reference's normaliser, in its order."""

from __future__ import annotations

import re
from collections.abc import Callable

from uniaudio.text.reference_chinese.numerals import read_digits, read_integer, read_number, read_quantity

_MEASURE = (  # longer ones first
    "平方千米|平方公里|平方厘米|立方厘米|毫米汞柱|平方米|立方米|千米|公里|厘米|毫米|纳米|微米|英里|英尺|英寸|海里|公顷|毫升|公升|加仑|千克|"
    "公斤|毫克|微克|英镑|千瓦|兆瓦|小时|分钟|秒钟|毫秒|星期|个月|美元|欧元|日元|块钱|百万|千万|["
    "块万亿封艘把目套段人所朵匹张座回场尾条个首阙阵网炮顶丘棵只支袭辆挑担颗壳窠曲墙群腔砣客贯扎捆刀令打手罗坡山岭江溪钟队单双对口头脚板跳枝件贴针线管名位身堂课本页家户层丝毫厘分钱两斤铢石钧锱忽克撮勺合升"
    "斗盘碗碟叠桶笼盆盒杯斛锅簋篮罐瓶壶卮盏箩箱煲啖袋钵年月日季刻时周天秒旬纪岁世更夜春夏秋冬代伏辈丸泡粒幢堆根道面片元角米吨种次届期轮级架台部节份批款间句篇幅股项门枚步声滴点号楼倍度成字"
    "]"
)
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
        r"(?P<year>\d{4}|\d{2})年(?:(?P<month>0?[1-9]|1[0-2])月)?(?:(?P<day>0?[1-9]|[12]\d|3[01])(?P<ending>[日号]))?",
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
