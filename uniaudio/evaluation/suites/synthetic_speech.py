"""The synthetic suite on speech: transcription and speaking."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from uniaudio.evaluation.bench import Bench, mean_of
from uniaudio.evaluation.judges import VoiceJudge
from uniaudio.evaluation.recordings import Waveform
from uniaudio.evaluation.results import Item, Row, Table, Value, coverage_row, empty_row
from uniaudio.evaluation.suites.synthetic_data import SpeechRow
from uniaudio.evaluation.word_scores import whole_rate, whole_row

NUM_VOICES = 10


def transcription(bench: Bench, rows: Sequence[SpeechRow]) -> tuple[Table, list[Item]]:
    """Words that the system reads in recordings, against what was said."""
    items: list[Item] = []
    pairs: list[tuple[str, str | None]] = []
    floors: dict[str, list[tuple[str, str | None]]] = {suffix: [] for suffix in bench.suffixes("en")}
    for row in bench.each("transcription", rows):
        heard = bench.outputs.text(
            f"transcribe/{row.id}",
            lambda system, row=row: system.transcribe(row.audio),  # type: ignore[misc]
        )
        rate = whole_rate(row.text, heard or "", row.language)
        pairs.append((row.text, heard))
        for suffix, words in bench.heard(row.audio, row.language).items():
            floors[suffix].append((row.text, words))
        items.append(
            Item(
                id=row.id,
                task="transcription",
                texts={"said": row.text, "transcript": heard or "(none)"},
                values={"wer": rate},
                audio={"source": row.audio},
                badness=rate or 0.0,
            )
        )
    system = whole_row("system", pairs, "en", "system", clean=True)
    floor = empty_row("floor", len(pairs), bench.absent("en").get("wer", ""))
    if floors:
        values: dict[str, Value] = {}
        for suffix, words_of in floors.items():
            values |= whole_row("floor", words_of, "en", suffix, clean=True).values
        floor = Row(label="floor", values=values, num_scored=len(pairs), num_expected=len(pairs))
    copy = empty_row("copy", len(pairs), "nothing to copy in a transcription")
    table = Table(
        title="transcription",
        metrics=[*system.values, *floor.values],
        rows=[system, copy, floor, coverage_row(system.num_scored, system.num_expected)],
        scoring="clean",
        notes=["floor: another recogniser on the same recordings"],
    )
    return table, items


def speaking(
    bench: Bench, rows: Sequence[SpeechRow], everyone: Sequence[SpeechRow]
) -> tuple[Table, list[Item]]:
    """Words and voice of what the system speaks after a prompt."""
    voices = {judge.suffix: VoiceChoice(bench, judge, everyone) for judge in bench.hearing.judges.voices}
    by_role: dict[str, list[Item]] = {"system": [], "copy": [], "floor": []}
    prompted = list(with_prompts(rows, everyone))
    for row, prompt, prompt_text in bench.each("speaking", prompted):
        output = bench.outputs.audio(
            f"speak/{row.id}",
            lambda system, row=row, prompt=prompt, said=prompt_text: system.speak(row.text, prompt, said),  # type: ignore[misc]
        )
        for role, path in zip(by_role, (output, prompt, row.audio), strict=True):
            by_role[role].append(_spoken(bench, row, prompt, path, voices))
    found = [_speaking_row(bench, role, items, voices) for role, items in by_role.items()]
    notes = ["copy: the prompt itself; floor: the true recording of the same text by the same voice"]
    if left_out := len(rows) - len(prompted):
        notes.append(f"{left_out} rows left out: no other recording of their voice that could be a prompt")
    found.append(coverage_row(found[0].num_scored, found[0].num_expected))
    metrics = list(found[0].values)
    return Table(title="speaking", metrics=metrics, rows=found, scoring="clean", notes=notes), by_role[
        "system"
    ]


def _speaking_row(bench: Bench, role: str, items: Sequence[Item], voices: Mapping[str, VoiceChoice]) -> Row:
    present = [item for item in items if "output" in item.audio]
    values: dict[str, Value] = {} if bench.suffixes("en") else {"wer": None}
    for suffix in bench.suffixes("en"):
        pairs = [(item.texts["text"], item.texts.get(f"heard ({suffix})")) for item in items]
        values |= whole_row(role, pairs, "en", suffix, clean=True).values
    for suffix in voices:
        values |= {name: mean_of(items, name) for name in (f"right_voice_{suffix}", f"sim_{suffix}")}
    if not voices:
        values["right_voice"] = None
    reasons = bench.absent("en")
    reasons |= {f"right_voice_{suffix}": choice.reason for suffix, choice in voices.items() if choice.reason}
    return Row(label=role, values=values, num_scored=len(present), num_expected=len(items), reasons=reasons)


def _spoken(
    bench: Bench, row: SpeechRow, prompt: Path, path: Path | None, voices: Mapping[str, VoiceChoice]
) -> Item:
    item = Item(
        id=row.id,
        task="speaking",
        texts={"text": row.text, "voice": row.speaker},
        values=dict(bench.likenesses(prompt, path)),
        audio={"prompt": prompt, "target": row.audio},
        badness=5.0,
    )
    for suffix, choice in voices.items():
        # Nothing spoken is the wrong voice.
        item.values[f"right_voice_{suffix}"] = choice.is_right(row, path, prompt)
    if path is None:
        item.reasons["all"] = bench.outputs.failures.get(f"speak/{row.id}", "no output")
        return item
    item.audio["output"] = path
    for suffix, words in bench.heard(path, row.language).items():
        item.texts[f"heard ({suffix})"] = words or ""
        item.values[f"wer_{suffix}"] = whole_rate(row.text, words or "", row.language)
        item.badness = item.values[f"wer_{suffix}"] or 0.0
    return item


def with_prompts(
    rows: Iterable[SpeechRow], everyone: Sequence[SpeechRow]
) -> Iterable[tuple[SpeechRow, Path, str]]:
    """Rows with a prompt of their voice: their own, or the next other recording of that voice."""
    of_voice: dict[str, list[SpeechRow]] = {}
    for other in everyone:
        of_voice.setdefault(other.speaker, []).append(other)
    for row in rows:
        if row.prompt_audio is not None:
            yield row, row.prompt_audio, row.prompt_text
            continue
        known = of_voice[row.speaker]
        others = [other for other in known if other.id != row.id]
        if others:
            prompt = others[known.index(row) % len(others)]
            yield row, prompt.audio, prompt.text


class VoiceChoice:
    """Chooses the likeliest of ten voices, the right one among them; `reason` tells why it cannot."""

    def __init__(self, bench: Bench, judge: VoiceJudge, everyone: Sequence[SpeechRow]) -> None:
        self._bench, self._judge = bench, judge
        self._of_voice: dict[str, list[SpeechRow]] = {}
        for row in everyone:
            self._of_voice.setdefault(row.speaker, []).append(row)
        count = len(self._of_voice)
        self.reason = (
            ""
            if count >= NUM_VOICES
            else f"the set has {count} voices; a choice among {NUM_VOICES} needs more"
        )

    def is_right(self, row: SpeechRow, path: Path | None, prompt: Path) -> Value:
        """1 if the right voice is nearest, else 0; its own prompt and the true recording are not looked at."""
        if self.reason:
            return None
        if path is None:
            return 0.0
        rng = np.random.default_rng(zlib.crc32(row.id.encode()))
        rivals = [voice for voice in sorted(self._of_voice) if voice != row.speaker]
        chosen = [row.speaker, *(str(voice) for voice in rng.permutation(rivals)[: NUM_VOICES - 1])]
        spoken = self._bench.hearing.vector(self._judge, path)
        likeness = {voice: float(spoken @ self._centre(voice, {row.audio, prompt})) for voice in chosen}
        return float(max(likeness, key=lambda voice: likeness[voice]) == row.speaker)

    def _centre(self, voice: str, unseen: set[Path]) -> Waveform:
        recordings = [row.audio for row in self._of_voice[voice] if row.audio not in unseen]
        # A voice with nothing else is known by its prompt alone.
        known = recordings or [row.audio for row in self._of_voice[voice]]
        vectors = [self._bench.hearing.vector(self._judge, path) for path in known]
        centre = np.mean(vectors, axis=0)
        return np.asarray(centre / np.linalg.norm(centre), np.float32)
