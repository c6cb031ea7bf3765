"""The page over a Milvus store answers as the page over memory does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo.service import Service
from demo.settings import Settings
from omnibind_core.search.compose import OPERATORS, Options
from omnibind_core.search.explorer import Explorer


def hits(found: Any) -> Any:
    return {
        kind: [(hit.id, hit.score, hit.z, hit.terms, hit.share, hit.like) for hit in many]
        for kind, many in found.hits.items()
    }


def test_the_page_over_a_store_answers_as_it_does_without(service: Service, tmp_path: Path) -> None:
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")
    stored = Service(Settings(device="cpu", store=f"milvus:{tmp_path / 'store.db'}"))
    stored.start()
    plain = Explorer(service.wait().model)
    over, dog, rain = stored.wait(), service.embed("a dog barks", "text"), service.item("audio/dog-1")
    assert over.gallery.store
    every = [Options(operator=name) for name in OPERATORS]
    every += [Options(match="media"), Options(centred=True), Options(kinds=("image",), concepts=("dog", "cat"))]
    for options in every:
        for terms in ([dog.term()], [dog.term(), rain.term()]):
            right = plain.search(terms, options)
            found = over.search(terms, options)
            assert (hits(found), found.far) == (hits(right), right.far)
    assert {type(index).__name__ for index, _ in over.gallery._indexes.values()} == {"MilvusIndex"}


def test_the_option_is_held_to_its_form(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OMNIBIND_STORE", "milvus:http://localhost:19530")
    assert Settings.read([]).store == "milvus:http://localhost:19530"
    assert Settings.read(["--store", "milvus:here.db"]).store == "milvus:here.db"
    with pytest.raises(SystemExit):
        Settings.read(["--store", "postgres://here"])
    assert "milvus: and a path that ends in .db" in capsys.readouterr().err
