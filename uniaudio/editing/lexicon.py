"""Names of emotions, accents and sounds, in the words the model was trained on."""

from __future__ import annotations

# Each canonical name with other ways to write it.
_EMOTIONS = {
    "happy": "happier happily joyful cheerful cheerfully glad 高兴 开心 快乐 愉快 欢快 喜悦",
    "sad": "sadder sadly unhappy sorrowful mournful 悲伤 难过 伤心 悲痛 忧伤 沮丧",
    "angry": "angrier angrily furious annoyed mad 愤怒 生气 恼火 气愤",
    "surprised": "surprisedly astonished amazed 惊讶 吃惊 惊喜 诧异",
    "fearful": "afraid scared frightened anxious fearfully 害怕 恐惧 惊恐",
    "disgusted": "disgustedly 厌恶 嫌弃 反感",
    "calm": "calmer calmly relaxed 平静 冷静 淡定 镇定",
    "neutral": "neutrally 中性 平淡",
    "excited": "excitedly enthusiastic enthusiastically 激动 兴奋",
    "gentle": "gently tender softly-spoken 温柔 柔和",
    "serious": "seriously solemn 严肃 认真",
}
_ACCENTS = {
    "Chengdu": "sichuan sichuanese chengdunese 四川 成都 川渝 川普",
    "Dongbei": "northeastern northeast 东北",
    "Guangxi": "guangxinese 广西",
    "Cantonese": "canton guangdong 广东 粤 粤语 广州",
    "Shanghai": "shanghainese 上海 沪",
    "Minnan": "hokkien taiwanese 闽南",
    "Hunan": "hunanese xiang 湖南 长沙",
    "Mandarin": "putonghua standard-mandarin 普通 标准 普通话",
    "Beijing": "pekingese 北京",
    "Tianjin": "天津",
    "Henan": "河南",
    "Shaanxi": "陕西",
    "British": "english-british uk 英式 英国",
    "Scottish": "scots scotland 苏格兰",
    "American": "us 美式 美国",
    "Indian": "印度",
}
_SOUNDS = {
    "rain": "raindrops rainfall 雨 下雨 雨声",
    "thunder": "thunderstorm 雷 打雷 雷声",
    "wind": "风 风声 刮风",
    "sea waves": "waves ocean sea 海浪 海浪声 波浪",
    "birds": "birdsong birdsongs 鸟 鸟叫 鸟鸣",
    "music": "音乐 背景音乐 轻音乐",
    "applause": "clapping 掌声 鼓掌",
    "traffic": "cars street 汽车 车流 交通 街道",
    "crowd": "people chatter babble 人群 人声 嘈杂人声",
    "dog barking": "barking 狗叫 犬吠",
    "cat": "meowing 猫叫",
    "footsteps": "steps 脚步 脚步声",
    "laughter": "laughing 笑声",
    "typing": "keyboard 键盘 打字 打字声",
    "fire": "campfire 篝火 火焰",
    "running water": "water stream river 流水 溪流 河流",
}


def _by_spelling(table: dict[str, str]) -> dict[str, str]:
    spellings = {name.lower(): name for name in table}
    for name, others in table.items():
        spellings |= {other.replace("-", " "): name for other in others.split()}
    return spellings


_EMOTION_OF, _ACCENT_OF, _SOUND_OF = map(_by_spelling, (_EMOTIONS, _ACCENTS, _SOUNDS))


def emotion(text: str) -> str | None:
    """The emotion's English name, or None for a word we do not know."""
    return _EMOTION_OF.get(text.strip().lower().removeprefix("more "))


def accent(text: str) -> str | None:
    """The accent's English name, or None for a word we do not know."""
    text = text.strip().lower()
    return _ACCENT_OF.get(text) or _ACCENT_OF.get(text.removesuffix("话").removesuffix("方言"))


def sound(text: str) -> str | None:
    """The sound's English name, or None for a sound we do not know."""
    text = text.strip().lower()
    return _SOUND_OF.get(text) or _SOUND_OF.get(text.removesuffix("声").removesuffix("声音"))
