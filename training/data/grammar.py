"""Free sentences of a stated grammar over some 600 words: what the synthetic corpus says.

A sentence fills one of the patterns below; each slot draws from a list of words. Which split a sentence
belongs to is a property of its text alone, so no split can leak into another, however sentences are drawn.
"""

from __future__ import annotations

import re
import zlib

import numpy as np

_LISTS = {
    "name": "adam alice amber anna arthur ben betty brian carol charles clara daniel david diana edward ella emma "
    "eric fiona frank george grace hannah harry helen henry jack james jane john julia karen kevin laura "
    "leo linda lucas lucy maria mark martin mary michael nancy nathan oliver oscar paul peter rachel robert "
    "rosa ruth sam sarah simon sophie susan thomas tom victor walter wendy william",
    "person": "actor aunt baker banker barber boy brother builder captain child clerk cook cousin dancer daughter "
    "doctor dentist driver engineer farmer father fisherman friend gardener girl guard guest guide hunter "
    "judge king lawyer leader man mayor merchant miner mother musician neighbor nurse officer painter "
    "pilot player poet policeman porter prince queen reporter sailor scientist singer sister soldier "
    "stranger student tailor teacher tourist uncle waiter woman worker writer",
    "animal": "bear bee bird bull camel cat cow crow deer dog donkey duck eagle elephant fish fox frog goat goose "
    "hen horse lamb lion monkey mouse owl pig pony rabbit rat sheep snake spider swan tiger turtle whale wolf",
    "thing": "apple axe bag ball banana basket battery bell bicycle blanket boat book bottle bowl box bread bridge "
    "broom brush bucket button cake camera candle carpet carrot chair cheese clock coat coin computer "
    "cup curtain diamond door drawer dress drum egg engine envelope fence flag flower fork garden "
    "gift glass glove guitar hammer hat helmet jacket jewel kettle key knife ladder lamp leaf lemon "
    "letter lock machine magazine map medal melon mirror needle newspaper notebook onion orange oven "
    "package painting paper pear pencil phone piano picture pillow pipe plate pocket poem potato "
    "purse radio ribbon ring rope ruler sandwich scarf shell shirt shoe shovel soap sofa spoon stamp "
    "statue stone stove suitcase sweater table telephone tent ticket towel toy tractor tray truck "
    "trumpet umbrella vase violin wagon wallet watch wheel whistle window",
    "place": "airport bakery bank barn bay beach cabin canal castle cave cellar church city coast corner desert "
    "factory farm field forest harbor hill hospital hotel island kitchen lake library market meadow "
    "mill mountain museum office palace park pond port prison river road roof school shop square "
    "stable stadium station store street studio temple theater tower town tunnel valley village yard",
    "quality": "ancient angry big black blue brave bright broken brown busy calm cheap clean clever cold dark dirty "
    "empty famous fast friendly funny gentle golden gray green happy heavy honest hungry large lazy "
    "little lonely long lost loud lucky modern narrow new nice noisy old pale patient perfect poor "
    "pretty proud purple quick quiet red rich round rusty sad serious sharp short silver simple "
    "sleepy slow small smooth soft strange strong tall thin tiny tired ugly warm weak white wide "
    "wild wise wooden yellow young",
    "did": "borrowed bought broke brought burned carried caught chose cleaned collected counted covered drew dropped "
    "examined fixed followed forgot found gave hid kept left lifted liked lost loved made moved needed "
    "noticed offered opened ordered packed painted passed picked placed pulled pushed remembered repaired "
    "sent showed sold stole studied threw took touched traded used wanted washed watched wrapped",
    "do": "borrow break bring buy carry catch choose clean collect count cover draw drop examine find fix follow "
    "forget hide hold keep leave lift make move need open paint pick pull push remember repair sell send show take "
    "throw touch use want wash watch wrap",
    "went": "appeared arrived climbed crawled danced disappeared escaped hurried jumped landed laughed marched "
    "played ran rested returned sang sat slept stayed stood stopped swam traveled waited walked wandered worked",
    "how": "again alone badly carefully easily finally gladly happily loudly often quickly quietly rarely sadly "
    "safely slowly softly suddenly together twice well",
    "when": "yesterday today tomorrow tonight later soon early always before sunset",
    "day": "monday tuesday wednesday thursday friday saturday sunday",
    "month": "january february march april may june july august september october november december",
    "number": "two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty forty fifty",
    "plural": "animals apples birds boats books bottles boxes cards chairs children clouds coins cups days dogs eggs "
    "flowers friends hours houses letters lights minutes people pictures pieces questions rooms shoes "
    "songs stars stones stories streets students tickets trees visitors weeks windows years",
    "of": "behind beside near under above across inside outside around",
    "felt": "was seemed became looked felt remained",
    "the": "the a this that every another my your his her our their",
    "he": "i you he she we they nobody everyone somebody",
    "modal": "can could may might must should will would",
    "why": "because although while until when since unless if",
    "ask": "where when why how",
}

_PATTERNS = (
    "<the> <quality> <person> <did> <the> <thing>",
    "<the> <person> <did> <the> <quality> <thing> <of> <the> <place>",
    "<name> <did> <number> <plural> <of> <the> <place>",
    "<the> <animal> <went> <how> <of> <the> <quality> <place>",
    "<he> <modal> <do> <the> <thing> <when>",
    "<ask> <modal> <he> <do> <the> <quality> <thing>",
    "<name> and <name> <went> to the <place> on <day>",
    "<the> <place> <felt> <quality> and <quality> in <month>",
    "please <do> <the> <thing> and <do> <the> <thing>",
    "<he> <did> <the> <thing> <why> <the> <animal> <felt> <quality>",
    "there were <number> <quality> <plural> in <the> <place>",
    "<the> <quality> <animal> and <the> <quality> <animal> <went> <how>",
    "<name> said that <the> <person> <did> <the> <thing> <when>",
    "not even <the> <person> <did> <number> <plural> <how>",
    "if <he> <modal> <do> <the> <thing> then <name> <modal> <do> <the> <thing>",
    "<the> <thing> from <the> <place> <felt> too <quality> for <name>",
    "<number> <plural> and <number> <plural> <went> <of> <the> <place>",
    "<name> never <did> <the> <quality> <thing>",
    "in <month> <the> <person> <went> to <the> <place> with <the> <animal>",
    "<he> <did> it <how>",
    "with <the> <thing> <name> <did> <the> <quality> <animal>",
    "<the> <person> who <did> <the> <thing> <went> <how>",
)
_SLOT = re.compile(r"<(\w+)>")
WORDS = {name: tuple(words.split()) for name, words in _LISTS.items()}


def vocabulary() -> tuple[str, ...]:
    """Every word that a sentence can hold, sorted."""
    fixed = {word for pattern in _PATTERNS for word in _SLOT.sub(" ", pattern).split()}
    return tuple(sorted(fixed.union(*WORDS.values(), {"an"})))


def split_of(text: str) -> str:
    """`test` or `dev` (a twentieth each) or `train`: a property of the sentence itself."""
    return {0: "test", 1: "dev"}.get(zlib.crc32(text.encode()) % 20, "train")


class Grammar:
    """Draws sentences of one split, 4 to 14 words, lower case, without punctuation."""

    def __init__(self, split: str = "train") -> None:
        self.split = split

    def sentence(self, rng: np.random.Generator) -> str:
        """One sentence of the split."""
        while True:
            pattern = _PATTERNS[rng.integers(len(_PATTERNS))]
            text = _articles(_SLOT.sub(lambda slot: str(rng.choice(WORDS[slot.group(1)])), pattern))
            if split_of(text) == self.split:
                return text


def _articles(text: str) -> str:
    return re.sub(r"\ba (?=[aeiou])", "an ", text)
