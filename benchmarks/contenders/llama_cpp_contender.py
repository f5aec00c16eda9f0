"""Measures llama.cpp on the shapes of one checkpoint in this process and prints one JSON object.

The weights are random ones of the same shapes, written as GGUF: the speed is what counts.
Run by benchmarks/side_by_side.py: python llama_cpp_contender.py CHECKPOINT Q8_0|Q4_0 FOLDER
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from pathlib import Path

import gguf
import llama_cpp as llama
import numpy as np
from llama_cpp import mtmd_cpp as mtmd
from process_memory import memory_mib

SIDE_PX, CONTEXT, TOKENS, SEQUENCES = 1600, 1100, 64, 8
FIRST_LETTER, CONTROL, UNUSED, IMAGE_CHUNK = 100, 3, 5, 1
RANDOM = np.random.default_rng(0)


def write_decoder(path: Path, config: dict, tokenizer: dict, kind: gguf.GGMLQuantizationType) -> None:
    """Write a Llama decoder of the checkpoint's text shapes."""
    text = config["text_config"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(text["max_position_embeddings"])
    writer.add_embedding_length(text["hidden_size"])
    writer.add_block_count(text["num_hidden_layers"])
    writer.add_feed_forward_length(text["intermediate_size"])
    writer.add_head_count(text["num_attention_heads"])
    writer.add_head_count_kv(text["num_key_value_heads"])
    writer.add_rope_dimension_count(text["head_dim"])
    writer.add_rope_freq_base(text["rope_theta"])
    writer.add_layer_norm_rms_eps(text["rms_norm_eps"])
    _write_vocabulary(writer, tokenizer, text["vocab_size"])
    wide, narrow = (text[name] * text["head_dim"] for name in ("num_attention_heads", "num_key_value_heads"))
    hidden, inner = text["hidden_size"], text["intermediate_size"]
    shapes = {"token_embd": (text["vocab_size"], hidden), "output_norm": (hidden,)}
    if not config["tie_word_embeddings"]:
        shapes["output"] = (text["vocab_size"], hidden)
    for layer in range(text["num_hidden_layers"]):
        shapes |= {
            f"blk.{layer}.attn_norm": (hidden,),
            f"blk.{layer}.attn_q": (wide, hidden),
            f"blk.{layer}.attn_k": (narrow, hidden),
            f"blk.{layer}.attn_v": (narrow, hidden),
            f"blk.{layer}.attn_output": (hidden, wide),
            f"blk.{layer}.ffn_norm": (hidden,),
            f"blk.{layer}.ffn_gate": (inner, hidden),
            f"blk.{layer}.ffn_up": (inner, hidden),
            f"blk.{layer}.ffn_down": (hidden, inner),
        }
    for name, shape in shapes.items():
        _add(writer, f"{name}.weight", shape, kind)
    _finish(writer)


def write_tower(path: Path, config: dict, kind: gguf.GGMLQuantizationType) -> None:
    """Write a SigLIP tower and connector of the checkpoint's vision shapes."""
    vision, scale = config["vision_config"], config["scale_factor"]
    hidden, inner, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(value=True)
    writer.add_clip_projector_type("idefics3")
    writer.add_vision_image_size(vision["image_size"])
    writer.add_vision_preproc_image_size(4 * vision["image_size"])
    writer.add_vision_patch_size(patch)
    writer.add_vision_embedding_length(hidden)
    writer.add_vision_feed_forward_length(inner)
    writer.add_vision_projection_dim(config["text_config"]["hidden_size"])
    writer.add_vision_block_count(vision["num_hidden_layers"])
    writer.add_vision_head_count(vision["num_attention_heads"])
    writer.add_vision_attention_layernorm_eps(vision["layer_norm_eps"])
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    writer.add_vision_use_gelu(value=True)
    writer.add_vision_projector_scale_factor(scale)
    patches = (vision["image_size"] // patch) ** 2
    plain = gguf.GGMLQuantizationType.F32
    _add(writer, "v.patch_embd.weight", (hidden, 3, patch, patch), plain)
    _add(writer, "v.patch_embd.bias", (hidden,), plain)
    _add(writer, "v.position_embd.weight", (patches, hidden), plain)
    for layer in range(vision["num_hidden_layers"]):
        for name in ("ln1", "ln2"):
            _add(writer, f"v.blk.{layer}.{name}.weight", (hidden,), plain)
            _add(writer, f"v.blk.{layer}.{name}.bias", (hidden,), plain)
        shapes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_out"), (hidden, hidden))
        for name, shape in (shapes | {"ffn_up": (inner, hidden), "ffn_down": (hidden, inner)}).items():
            _add(writer, f"v.blk.{layer}.{name}.weight", shape, kind)
            _add(writer, f"v.blk.{layer}.{name}.bias", shape[:1], plain)
    _add(writer, "v.post_ln.weight", (hidden,), plain)
    _add(writer, "v.post_ln.bias", (hidden,), plain)
    _add(writer, "mm.model.fc.weight", (config["text_config"]["hidden_size"], hidden * scale**2), kind)
    _finish(writer)


def _write_vocabulary(writer: gguf.GGUFWriter, tokenizer: dict, size: int) -> None:
    pieces = [f"[unused{number}]" for number in range(size)]
    kinds = [UNUSED] * size
    for piece, number in tokenizer["model"]["vocab"].items():
        pieces[number], kinds[number] = piece, 1
    for added in tokenizer["added_tokens"]:
        pieces[added["id"]], kinds[added["id"]] = added["content"], CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(pieces)
    writer.add_token_types(kinds)
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(size - 1)


def _add(writer: gguf.GGUFWriter, name: str, shape: tuple[int, ...], kind: gguf.GGMLQuantizationType) -> None:
    values = RANDOM.standard_normal(shape, np.float32) * np.float32(0.02)
    if len(shape) == 1:
        writer.add_tensor(name, values + np.float32(name.endswith("weight")))
    elif kind == gguf.GGMLQuantizationType.F32:
        writer.add_tensor(name, values)
    else:
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Decoder:
    """A context of llama.cpp for a few sequences at once."""

    def __init__(self, path: Path) -> None:
        options = llama.llama_model_default_params()
        options.n_gpu_layers = 0
        self.model = llama.llama_model_load_from_file(str(path).encode(), options)
        given = llama.llama_context_default_params()
        given.n_ctx, given.n_batch, given.n_ubatch = SEQUENCES * 1536, 2048, 512
        given.n_seq_max = SEQUENCES
        given.n_threads = given.n_threads_batch = 2
        self.context = llama.llama_init_from_model(self.model, given)
        self._batch = llama.llama_batch_init(2048, 0, SEQUENCES)
        self._hidden = llama.llama_model_n_embd(self.model)
        self._features = llama.llama_batch_init(2048, self._hidden, 1)
        self.vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))

    def clear(self) -> None:
        """Forget every sequence."""
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)

    def run(self, entries: list[tuple[int, int, int, bool]]) -> None:
        """Compute entries of token, position, sequence, and whether its logits are wanted."""
        for row, (token, position, sequence, wanted) in enumerate(entries):
            self._batch.token[row], self._batch.pos[row] = token, position
            self._batch.n_seq_id[row], self._batch.seq_id[row][0] = 1, sequence
            self._batch.logits[row] = wanted
        self._batch.n_tokens = len(entries)
        status = llama.llama_decode(self.context, self._batch)
        assert status == 0, f"llama_decode returned {status}"

    def run_features(self, features: ctypes.c_void_p, count: int, position: int) -> None:
        """Compute image tokens of the first sequence from their features, float32 [count, hidden]."""
        ctypes.memmove(self._features.embd, features, 4 * count * self._hidden)
        for row in range(count):
            self._features.pos[row] = position + row
            self._features.n_seq_id[row], self._features.seq_id[row][0] = 1, 0
            self._features.logits[row] = False
        self._features.n_tokens = count
        status = llama.llama_decode(self.context, self._features)
        assert status == 0, f"llama_decode returned {status}"

    def best(self, row: int) -> int:
        """Return the likeliest token of a row of the last run."""
        logits = llama.llama_get_logits_ith(self.context, row)
        return int(np.ctypeslib.as_array(logits, (self.vocabulary,)).argmax())

    def fill(self, sequence: int) -> int:
        """Read a random prompt into a sequence; returns the first token."""
        tokens = RANDOM.integers(FIRST_LETTER, FIRST_LETTER + 256, CONTEXT)
        self.run([(int(token), row, sequence, row == CONTEXT - 1) for row, token in enumerate(tokens)])
        return self.best(CONTEXT - 1)

    def decode(self, tokens: list[int], position: int, steps: int) -> float:
        """Go on by ``steps`` tokens in as many sequences as there are tokens; returns seconds."""
        started_s = time.perf_counter()
        for step in range(steps):
            self.run([(token, position + step, sequence, True) for sequence, token in enumerate(tokens)])
            tokens = [self.best(row) for row in range(len(tokens))]
        return time.perf_counter() - started_s


def measure_decoder(decoder: Decoder) -> dict[str, float]:
    """Time a prompt of 1,100 tokens, and decoding after it, alone and eight at once."""
    decoder.fill(0)
    decoder.clear()
    started_s = time.perf_counter()
    first = decoder.fill(0)
    prefill_s = time.perf_counter() - started_s
    alone_s = decoder.decode([first], CONTEXT, TOKENS)
    decoder.clear()
    tokens = [decoder.fill(sequence) for sequence in range(SEQUENCES)]
    together_s = decoder.decode(tokens, CONTEXT, TOKENS)
    decoder.clear()
    return {
        "prefill_s": prefill_s,
        "prefill_tokens_per_s": CONTEXT / prefill_s,
        "tokens_per_s_1": TOKENS / alone_s,
        "tokens_per_s_8": SEQUENCES * TOKENS / together_s,
    }


def measure_picture(decoder: Decoder, tower: Path) -> dict[str, float]:
    """Time one picture from pixels to the last of 64 tokens, and its vision part apart."""
    options = mtmd.mtmd_context_params_default()
    options.use_gpu, options.print_timings, options.n_threads = False, False, 2
    context = mtmd.mtmd_init_from_file(str(tower).encode(), decoder.model, options)
    assert context, "the vision tower could not be loaded"

    def chunks_of(seed: int) -> ctypes.c_void_p:
        values = np.random.default_rng(seed).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
        buffer = (ctypes.c_ubyte * values.nbytes).from_buffer_copy(values.tobytes())
        bitmap = mtmd.mtmd_bitmap_init(SIDE_PX, SIDE_PX, buffer)
        text = mtmd.mtmd_input_text()
        text.text = b"User:" + mtmd.mtmd_get_marker(context) + b"Can you describe this image?"
        text.text_len = len(text.text)
        text.add_special = text.parse_special = True
        chunks = mtmd.mtmd_input_chunks_init()
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
        status = mtmd.mtmd_tokenize(context, chunks, ctypes.byref(text), bitmaps, 1)
        assert status == 0, f"mtmd_tokenize returned {status}"
        return chunks

    def read(chunks: ctypes.c_void_p) -> tuple[int, int, float]:
        """Return how many tokens there are, how many tiles, and the seconds spent on tiles."""
        past, tiles, vision_s = 0, 0, 0.0
        number_of_chunks = mtmd.mtmd_input_chunks_size(chunks)
        for number in range(number_of_chunks):
            chunk = mtmd.mtmd_input_chunks_get(chunks, number)
            count = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
            if mtmd.mtmd_input_chunk_get_type(chunk) == IMAGE_CHUNK:
                started_s = time.perf_counter()
                assert mtmd.mtmd_encode_chunk(context, chunk) == 0
                vision_s += time.perf_counter() - started_s
                tiles += 1
                decoder.run_features(mtmd.mtmd_get_output_embd(context), count, past)
            else:
                size = ctypes.c_size_t(0)
                given = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(size))
                # A marker that the random vocabulary lacks comes as -1; any token costs the same.
                tokens = [max(given[row], FIRST_LETTER) for row in range(size.value)]
                wanted = len(tokens) - 1 if number == number_of_chunks - 1 else -1
                decoder.run([(token, past + row, 0, row == wanted) for row, token in enumerate(tokens)])
            past += count
        return past, tiles, vision_s

    started_s = time.perf_counter()
    past, tiles, vision_s = read(chunks_of(1))
    first_token_s = time.perf_counter() - started_s
    decoder.decode([decoder.best(-1)], past, TOKENS - 1)
    return {
        "image_chunks": tiles,
        "vision_s": vision_s,
        "first_token_s": first_token_s,
        "end_to_end_s": time.perf_counter() - started_s,
    }


def main() -> None:
    """Write the files, unless they are there; measure; print."""
    directory, kind, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    config = json.loads((directory / "config.json").read_text())
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    decoder_path = folder / f"{directory.name}-{kind}.gguf"
    tower_path = folder / f"{directory.name}-mmproj-{kind}.gguf"
    stored = gguf.GGMLQuantizationType[kind]
    if not decoder_path.exists():
        write_decoder(decoder_path, config, tokenizer, stored)
    if not tower_path.exists():
        write_tower(tower_path, config, stored)
    started_s = time.perf_counter()
    decoder = Decoder(decoder_path)
    found = {"load_s": time.perf_counter() - started_s} | measure_decoder(decoder)
    found |= measure_picture(decoder, tower_path)
    found["weights_mib"] = (decoder_path.stat().st_size + tower_path.stat().st_size) / 2**20
    print(json.dumps(found | memory_mib()))


if __name__ == "__main__":
    main()
