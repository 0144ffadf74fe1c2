"""Writes the tiny model that the server is given: seeded random weights, 12 MB, no download.

Random, never a server's dummy weights: those lie within 1e-3 of zero, greedy decoding falls into a
cycle of two tokens, and an all-reduce that drops a rank's part goes unseen (measured: 192 of 192
tokens unchanged; with weights of the usual size 1 of 192 stayed).
"""

from __future__ import annotations

import json
import random
import struct
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

SEED = 23581
VOCABULARY = 1024
_HIDDEN, _INNER, _LAYERS, _HEADS, _HEAD = 256, 512, 4, 8, 128
_UNKNOWN, _BEGIN, _END = 1021, 1022, 1023
# Sharpens the choice between tokens, so that rounding does not decide it.
_OUTPUT_GAIN = 3.0

_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": _HIDDEN,
    "intermediate_size": _INNER,
    "num_hidden_layers": _LAYERS,
    # Eight heads of 128, as in real models: they divide among 1, 2, 4 and 8 ranks.
    "num_attention_heads": _HEADS,
    "num_key_value_heads": _HEADS,
    "head_dim": _HEAD,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "bos_token_id": _BEGIN,
    "eos_token_id": _END,
}
_TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "unk_token": "<unk>",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "model_max_length": 4096,
    "clean_up_tokenization_spaces": False,
}


def write_model(folder: Path) -> None:
    """Write config, tokenizer and weights into a folder that exists.

    Raises:
        OSError: a file cannot be written.
    """
    for name, content in (
        ("config.json", _CONFIG),
        ("generation_config.json", {"bos_token_id": _BEGIN, "eos_token_id": _END}),
        ("tokenizer_config.json", _TOKENIZER_CONFIG),
        ("tokenizer.json", _tokenizer()),
    ):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    _write_weights(folder / "model.safetensors")


def _tokenizer() -> dict[str, object]:
    """A word for each token: t0, t1, ..."""
    vocabulary = {f"t{token}": token for token in range(_UNKNOWN)}
    special = {"<unk>": _UNKNOWN, "<s>": _BEGIN, "</s>": _END}
    flags = {
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": token, "content": word, **flags} for word, token in special.items()
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {**vocabulary, **special}, "unk_token": "<unk>"},
    }


def _tensors() -> Iterator[tuple[str, tuple[int, ...], float]]:
    """Name, shape and standard deviation of every tensor; 0 stands for ones, a norm's weight."""
    wide = _HEADS * _HEAD
    for layer in range(_LAYERS):
        prefix = f"model.layers.{layer}."
        for name in "qkv":
            yield f"{prefix}self_attn.{name}_proj.weight", (wide, _HIDDEN), _HIDDEN**-0.5
        yield f"{prefix}self_attn.o_proj.weight", (_HIDDEN, wide), wide**-0.5
        for name in ("gate", "up"):
            yield f"{prefix}mlp.{name}_proj.weight", (_INNER, _HIDDEN), _HIDDEN**-0.5
        yield f"{prefix}mlp.down_proj.weight", (_HIDDEN, _INNER), _INNER**-0.5
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}{name}.weight", (_HIDDEN,), 0.0
    yield "model.embed_tokens.weight", (VOCABULARY, _HIDDEN), 1.0
    yield "model.norm.weight", (_HIDDEN,), 0.0
    yield "lm_head.weight", (VOCABULARY, _HIDDEN), _OUTPUT_GAIN * _HIDDEN**-0.5


def _write_weights(path: Path) -> None:
    """safetensors: the header's length, the header, and the tensors, little-endian bfloat16."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape, _ in _tensors():
        size = 2 * _count(shape)
        header[name] = {
            "dtype": "BF16",
            "shape": list(shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    source = random.Random(SEED)
    normal = NormalDist()
    levels = 1 << 12
    deviates = [normal.inv_cdf((level + 0.5) / levels) for level in range(levels)]
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, deviation in _tensors():
            count = _count(shape)
            if not deviation:
                file.write(_bfloat16(1.0).to_bytes(2, "little") * count)
                continue
            table = [_bfloat16(deviate * deviation) for deviate in deviates]
            drawn = array("H")
            drawn.frombytes(source.randbytes(2 * count))
            if sys.byteorder == "big":
                drawn.byteswap()
            values = array("H", [table[number & (levels - 1)] for number in drawn])
            if sys.byteorder == "big":
                values.byteswap()
            file.write(values.tobytes())


def _count(shape: tuple[int, ...]) -> int:
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def _bfloat16(value: float) -> int:
    """The upper half of a float32, rounded to the nearest; no weight comes near infinity."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return int(bits + 0x8000) >> 16
