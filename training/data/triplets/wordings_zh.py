"""Mandarin wordings of edits, laid out as the English ones in `wordings`; positions count words or characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.data.triplets.wordings import Table

TABLE: Table = (
    ("insert", "index", "before", ("在第{i}个词前面加上“{w}”", "在第{i}个词之前插入“{w}”"), ("第{i}个词前添加“{w}”",)),
    ("insert", "index", "after", ("在第{i}个词后面加上“{w}”", "在第{i}个词之后插入“{w}”"), ("第{i}个词后添加“{w}”",)),
    ("insert", "content", "before", ("在“{x}”前面说“{w}”", "在“{x}”之前插入“{w}”"), ("在“{x}”前添加“{w}”",)),
    ("insert", "content", "after", ("在“{x}”后面说“{w}”", "在“{x}”之后插入“{w}”"), ("在“{x}”后添加“{w}”",)),
    ("insert", "ends", "beginning", ("开头加上“{w}”", "在句首插入“{w}”"), ("在最前面加上“{w}”",)),
    ("insert", "ends", "end", ("结尾补上“{w}”", "在句末添加“{w}”"), ("在最后加上“{w}”",)),
    ("delete", "index", "many", ("删去第{i}到第{j}个词", "删除第{i}个词到第{j}个词"), ("去掉第{i}至第{j}个词",)),
    ("delete", "index", "one", ("删去第{i}个词", "去掉第{i}个词"), ("把第{i}个词删掉",)),
    ("delete", "content", "", ("去掉“{x}”", "删除“{x}”"), ("把“{x}”删掉",)),
    ("substitute", "index", "many", ("把第{i}到第{j}个词换成“{w}”", "将第{i}到第{j}个词替换为“{w}”"),
     ("用“{w}”替换第{i}到第{j}个词",)),
    ("substitute", "index", "one", ("把第{i}个词换成“{w}”", "将第{i}个词替换为“{w}”"), ("用“{w}”代替第{i}个词",)),
    ("substitute", "content", "", ("把“{x}”说成“{w}”", "把“{x}”换成“{w}”"), ("用“{w}”代替“{x}”",)),
    ("speed", "value", "", ("语速变为{f}倍", "把语速调到{f}倍"), ("速度调整为{f}倍",)),
    ("pitch", "value", "up", ("升高{n}个半音", "音调升高{n}个半音"), ("把音高提高{n}个半音",)),
    ("pitch", "value", "down", ("降低{n}个半音", "音调降低{n}个半音"), ("把音高降低{n}个半音",)),
    ("volume", "value", "", ("音量变为{f}倍", "把音量调到{f}倍"), ("音量调整为{f}倍",)),
    ("denoise", "free", "", ("去除噪声", "去掉背景噪音"), ("消除噪声",)),
    ("add_sound", "free", "", ("加入{name}的背景声", "在背景中加入{name}"), ("添加{name}的背景音",)),
    ("emotion_proxy", "free", "", ("用{name}的语气说", "把情绪改成{name}"), ("以{name}的情绪朗读",)),
    ("accent_proxy", "free", "", ("用{name}口音说", "把口音改成{name}"), ("换成{name}口音",)),
    ("none", "free", "", ("保持原样", "什么都不要改"), ("不做任何修改",)),
)  # fmt: skip
