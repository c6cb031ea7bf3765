"""Words and names in many languages with their English, from free lists that ship as packages, and our own sentences.

Unicode CLDR's names of emoji (Unicode licence) name everyday things in nearly every language; the names of the iD
editor's map features (ISC) name what stands in streets and landscapes; WordNet 3.0 (WordNet licence) is English alone.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from omnibind_core.specialists._english import only_latin
from tools.mini.pools import debian, npm

__all__ = [
    "ASKED_IN",
    "LEARNED",
    "asked",
    "book",
    "emoji_names",
    "english_words",
    "names_an_asked_thing",
    "nouns",
    "other_words",
    "pairs",
    "sentences",
    "words",
]

ASKED_IN = ("zh", "ja", "ko", "es", "pt", "fr", "de", "it", "ru", "ar", "hi", "tr", "vi", "th")
"""Languages in which mini is measured."""
LEARNED = (*ASKED_IN, "nl", "pl", "sv", "da", "no", "fi", "cs", "hu", "ro", "el", "uk", "bg", "he")
"""Languages whose lists the head learns from; E5 itself learned from about a hundred."""

_HERE = Path(__file__).parent
_CLDR, _CLDR_DERIVED = ("cldr-annotations-full", "48.2.0"), ("cldr-annotations-derived-full", "48.2.0")
_MAP = ("@openstreetmap/id-tagging-schema", "6.19.2")
_ON_MAP = {"zh": "zh-CN", "no": "nb"}
_FEW = 3  # emoji that a word may lead to
_OFTEN = 3  # times that WordNet uses a word to define others
_LONGEST = 60  # characters of a map feature's name; longer ones are instructions


@cache
def asked() -> tuple[dict[str, str], ...]:
    """Things that mini is asked for: rows with "half", "en" and :data:`ASKED_IN`, written before any run."""
    return _table("asked.tsv")


@cache
def sentences() -> tuple[dict[str, str], ...]:
    """Sentences of ours, in English and :data:`ASKED_IN`."""
    return _table("sentences.tsv")


def _table(name: str) -> tuple[dict[str, str], ...]:
    with (_HERE / name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@cache
def pairs(language: str) -> tuple[tuple[str, str], ...]:
    """Give (English, same in `language`), each pair once, sorted."""
    found: set[tuple[str, str]] = set()
    english, other = emoji_names("en"), emoji_names(language)
    found |= {(english[one], other[one]) for one in other if one in english}
    english, other = _map("en"), _map(language)
    found |= {(english[one], other[one]) for one in other if one in english and english[one] != other[one]}
    found |= {(row["en"], row[language]) for row in sentences() if language in row}
    return tuple(sorted(found))


@cache
def words(language: str) -> tuple[tuple[str, str], ...]:
    """Give (English, word) for the words by which an emoji is looked for, where they lead to few: "puppy" to a dog."""
    said, english = _emoji_words(language), emoji_names("en")
    leads = Counter(word for all_of_them in said.values() for word in all_of_them)
    found = {(english[one], word) for one in said if one in english for word in said[one] if leads[word] <= _FEW}
    return tuple(sorted(found))


def book() -> str:
    """JSON of what ships of the lists: English name to its words in all languages, but for those that are English."""
    found: dict[str, set[str]] = {}
    for language in LEARNED:
        for english, word in (*pairs(language), *words(language)):
            if not (only_latin(word) and english_words() >= {*_words(word)}):
                found.setdefault(english, set()).add(word.lower())
    return json.dumps({one: sorted(found[one]) for one in sorted(found)}, ensure_ascii=False, indent=0) + "\n"


@cache
def _emoji_words(language: str) -> dict[str, list[str]]:
    raw = json.loads((npm.package_folder(*_CLDR) / "annotations" / language / "annotations.json").read_text("utf-8"))
    return {sign: said.get("default", []) for sign, said in raw["annotations"]["annotations"].items()}


@cache
def emoji_names(language: str, *, derived: bool = False) -> dict[str, str]:
    """Unicode CLDR's short names of emoji and signs; `derived` are those made of several, such as flags."""
    root, package = ("annotationsDerived", _CLDR_DERIVED) if derived else ("annotations", _CLDR)
    raw = json.loads((npm.package_folder(*package) / root / language / "annotations.json").read_text("utf-8"))
    return {sign: said["tts"][0] for sign, said in raw[root]["annotations"].items() if "tts" in said}


@cache
def _map(language: str) -> dict[str, str]:
    name = _ON_MAP.get(language, language)
    path = npm.package_folder(*_MAP) / "dist" / "translations" / f"{name}.json"
    if not path.is_file():
        return {}
    found = dict(_leaves(json.loads(path.read_text("utf-8"))[name].get("presets", {})))
    skipped = ("terms", "aliases", "placeholder", "placeholders")
    return {key: text for key, text in found.items() if len(text) <= _LONGEST and not set(key.split("/")) & {*skipped}}


def _leaves(raw: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(raw, dict):
        for name, inner in raw.items():
            yield from _leaves(inner, f"{key}/{name}")
    elif isinstance(raw, str):
        yield key, raw


@cache
def nouns() -> tuple[tuple[str, str], ...]:
    """WordNet's nouns with the gloss of their first sense, those most often met in its tagged texts first."""
    folder = debian.package_folder("wordnet-base") / "usr" / "share" / "wordnet"
    met: Counter[str] = Counter()
    for line in (folder / "cntlist.rev").read_text("utf-8").splitlines():
        key, _, count = line.split()
        lemma, _, rest = key.partition("%")
        if rest[0] == "1":  # a noun
            met[lemma] += int(count)
    glosses = {}
    for line in (folder / "data.noun").read_text("utf-8").splitlines():
        if not line.startswith(" "):
            glosses[line.split(" ", 1)[0]] = line.split("|", 1)[1].split('; "')[0].strip()
    first = {}
    for line in (folder / "index.noun").read_text("utf-8").splitlines():
        if not line.startswith(" "):
            fields = line.split()
            first[fields[0]] = glosses[fields[int(fields[3]) + 6]]
    ordered = sorted(first, key=lambda lemma: (-met[lemma], lemma))
    return tuple((lemma.replace("_", " "), first[lemma]) for lemma in ordered)


@cache
def english_words() -> frozenset[str]:
    """English words, lower case: WordNet's lemmas, the words of its glosses and examples, and their regular forms.

    A word of the other languages' lists counts only where WordNet has met it in tagged texts or defines by it, and no
    more often stands in those lists ("le", "der"); words that the lists have in English are English.
    """
    folder = debian.package_folder("wordnet-base") / "usr" / "share" / "wordnet"
    defined: Counter[str] = Counter()
    lemmas: set[str] = set()
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{kind}").read_text("utf-8").splitlines():
            if not line.startswith(" "):
                defined.update(_words(line.split("|", 1)[1]))
        for line in (folder / f"index.{kind}").read_text("utf-8").splitlines():
            if not line.startswith(" "):
                lemmas.update(_words(line.split(" ", 1)[0].replace("_", " ")))
        for line in (folder / f"{kind}.exc").read_text("utf-8").splitlines():
            defined.update(_words(line.replace("_", " ")))
    met = {line.split("%", 1)[0] for line in (folder / "cntlist.rev").read_text("utf-8").splitlines()}
    ours = {word for language in LEARNED for one, _ in pairs(language) for word in _words(one)}
    other = Counter(word for language in LEARNED for _, said in pairs(language) for word in _words(said))
    sure = {word for word in {*met, *defined} if defined[word] >= max(_OFTEN * (word not in met), other[word])} | ours
    known = {word for word in lemmas | set(defined) | ours if word in sure or word not in other}
    forms = {form for word in known for form in (f"{word}s", f"{word}es", f"{word}'s") if form not in other}
    return frozenset(known | forms)


@cache
def other_words() -> frozenset[str]:
    """Words in Latin letters of the other languages' lists, lower case, that are not English."""
    found = {word for language in LEARNED for _, said in pairs(language) for word in _words(said)}
    return frozenset(word for word in found - english_words() if only_latin(word) and len(word) > 1)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", text.lower())


# Other English names of asked things, or of what is one in another language.
_ALSO = (
    "bike", "cycle", "motorbike", "plane", "airport", "aeroplane", "tv", "phone", "fridge", "couch", "ship", "hippo",
    "footwear", "soccer", "road", "letter box", "postbox", "frying", "speaker", "puppy", "kitten", "kitty", "paw",
    "loo", "restroom", "pipe organ", "guitar", "alligator", "spade", "sax", "level crossing",
)  # fmt: skip


def names_an_asked_thing(english: str, other: str) -> bool:
    """Whether a pair names one of the things of :func:`asked`, in either of its languages."""
    said = _stems(english)
    if any(named <= said for named in _asked_stems()):
        return True
    lower = other.lower()
    return any(word == lower or (len(word) > 1 and word in lower) for word in _asked_words())


@cache
def _asked_stems() -> tuple[frozenset[str], ...]:
    return tuple(frozenset(_stems(name)) for name in (*(row["en"] for row in asked()), *_ALSO))


@cache
def _asked_words() -> tuple[str, ...]:
    return tuple({row[language].lower() for row in asked() for language in ASKED_IN})


def _stems(text: str) -> set[str]:
    """Words of an English text, those of the plural in the singular."""
    return {re.sub(r"(?<=[^s])s$|(?<=[sxzh])es$", "", word) for word in re.findall(r"[a-z']+", text.lower())}
