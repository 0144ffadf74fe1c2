"""The tiny model is the same bytes everywhere, and random enough to show a lost part."""

from __future__ import annotations

import hashlib
import itertools
import json
import statistics
import struct
from pathlib import Path

import pytest

from serve_probe.tiny_model import VOCABULARY, write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_model(folder)
    return folder


def test_the_weights_are_the_same_bytes_on_every_machine(model: Path) -> None:
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    assert digest == "e1eb77c66d711eee5ca5f94059c2808148034bd1ccef0de5dd685c4dab9b3305"


def test_the_weights_fill_their_file_exactly(model: Path) -> None:
    data = (model / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    del header["__metadata__"]
    spans = sorted(tensor["data_offsets"] for tensor in header.values())
    assert spans[0][0] == 0
    assert all(one[1] == other[0] for one, other in itertools.pairwise(spans))
    assert 8 + length + spans[-1][1] == len(data)
    for tensor in header.values():
        elements = tensor["shape"][0] * (tensor["shape"][1] if len(tensor["shape"]) > 1 else 1)
        begin, end = tensor["data_offsets"]
        assert end - begin == 2 * elements


def test_weights_have_the_usual_size_and_no_two_rows_are_alike(model: Path) -> None:
    # SGLang's dummy weights, within 1e-3 of zero, hide a rank whose part is lost.
    data = (model / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensor = header["model.layers.0.self_attn.o_proj.weight"]
    begin, end = (8 + length + offset for offset in tensor["data_offsets"])
    bits = struct.unpack(f"<{(end - begin) // 2}H", data[begin:end])
    values = [struct.unpack("<f", struct.pack("<I", number << 16))[0] for number in bits[:40960]]
    columns = tensor["shape"][1]
    assert statistics.fmean(values) == pytest.approx(0, abs=1e-3)
    assert statistics.pstdev(values) == pytest.approx(columns**-0.5, rel=0.02)
    rows = [tuple(values[start : start + columns]) for start in range(0, len(values), columns)]
    assert len(set(rows)) == len(rows)


def test_every_token_has_a_word(model: Path) -> None:
    words = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    assert sorted(words.values()) == list(range(VOCABULARY))


def test_the_heads_divide_among_every_size(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    for size in (1, 2, 4, 8):
        assert config["num_attention_heads"] % size == 0
        assert config["num_key_value_heads"] % size == 0
        assert config["vocab_size"] % size == config["intermediate_size"] % size == 0
