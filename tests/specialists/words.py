"""Small stand-ins for tokenizers' files, which are not in any wheel: real formats, real sizes, few real words."""

from __future__ import annotations

import json
from pathlib import Path

SENTENCES = [
    "A dog barks.",
    "the wind blows through tall trees, and then a very long train passes by with a loud horn while the dog barks "
    "and the wind blows again and again and again",
    "Café!",
]
_WORDS = """
a the dog ##s bark wind blow ##ing through tall tree and then very long train pass by with loud horn while again cafe
. , !
"""


def wordpiece_vocabulary() -> list[str]:
    """Give 30,522 word pieces, the special ones where bert-base-uncased has them."""
    pieces = [f"[unused{i}]" for i in range(30_522)]
    for i, name in {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}.items():
        pieces[i] = name
    letters = [chr(ord("a") + i) for i in range(26)]
    known = dict.fromkeys([*letters, *(f"##{letter}" for letter in letters), *_WORDS.split()])
    pieces[1000 : 1000 + len(known)] = known
    return pieces


def write_wordpiece(path: Path) -> Path:
    """Write a tokenizer.json of bert-base-uncased's kind."""
    from tokenizers import BertWordPieceTokenizer

    pieces = {piece: i for i, piece in enumerate(wordpiece_vocabulary())}
    BertWordPieceTokenizer(pieces, lowercase=True).save(str(path))
    return path


def write_byte_level(path: Path) -> Path:
    """Write a tokenizer.json of roberta-base's kind: 50,265 pieces, few of them used."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = {name: i for i, name in enumerate(["<s>", "<pad>", "</s>", "<unk>"])}
    for letter in sorted(pre_tokenizers.ByteLevel.alphabet()):
        pieces[letter] = len(pieces)
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("d", "o"), ("do", "g"), ("Ġ", "dog"), ("a", "n"), ("an", "d")]
    for left, right in merges:
        pieces.setdefault(left + right, len(pieces))
    while len(pieces) < 50_264:
        pieces[f"madeupword{len(pieces)}"] = len(pieces)
    pieces["<mask>"] = len(pieces)
    tokenizer = Tokenizer(models.BPE(pieces, merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.save(str(path))
    return path


def size_of(path: Path) -> int:
    """Count the pieces in a tokenizer.json."""
    return len(json.loads(path.read_text())["model"]["vocab"])
