"""Writes tests/reference/models: tiny seeded models of every supported family, and the logits that Hugging Face
transformers computes with them in float32.

    python tools/make_model_reference.py

Each folder is a model as transformers saves it (config.json, weights, no tokenizer). Its subfolder `reference` holds
model.safetensors with pairs of tensors, tokens.N [N] and logits.N [N, vocab_size], all float32 so that the project's
own reader reads them. Some configs are rewritten to the older form of released checkpoints (rope_theta and
rope_scaling side by side); logits always come from the model as transformers loads it back from the folder.
"""

import json
import math
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

OUT = Path(__file__).resolve().parent.parent / "tests" / "reference" / "models"
LENGTHS = [1, 2, 31, 65]
VOCAB_SIZE = 67

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,  # short, so that all three bands of wavelengths occur
}


def sizes(hidden, ffn, heads, kv_heads, eos_token_id=2, **more):
    return dict(
        vocab_size=VOCAB_SIZE,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=eos_token_id,
        **more,
    )


# name: (config, what differs from a plain float32 file with the newest form of config.json)
MODELS = {
    "llama": (LlamaConfig(**sizes(32, 43, 4, 4)), {}),
    "llama-tied-linear": (
        LlamaConfig(**sizes(32, 43, 4, 2, tie_word_embeddings=True)),
        {"old_rope": {"type": "linear", "factor": 4.0}},
    ),
    "llama-llama3-mqa": (
        LlamaConfig(**sizes(64, 24, 4, 1)),
        {"old_rope": LLAMA3, "rope_theta": 500000.0},
    ),
    "llama-llama3-new": (
        LlamaConfig(**sizes(32, 33, 2, 1, rope_parameters={"rope_theta": 20000.0, **LLAMA3})),
        {},
    ),
    "llama-odd-heads": (LlamaConfig(**sizes(24, 31, 3, 1, head_dim=10, rms_norm_eps=0.05)), {"old_rope": None}),
    "llama-sharded": (LlamaConfig(**sizes(40, 37, 5, 5, eos_token_id=[2, 5])), {"shard": "20KB"}),
    "llama-bf16": (LlamaConfig(**sizes(32, 43, 4, 2)), {"dtype": torch.bfloat16}),
    "mistral": (MistralConfig(**sizes(32, 43, 4, 2, sliding_window=48)), {"old_rope": None, "lengths": [1, 2, 31, 48]}),
    "mistral-f16": (MistralConfig(**sizes(32, 43, 4, 4, sliding_window=None)), {"dtype": torch.float16}),
    "qwen2": (Qwen2Config(**sizes(32, 43, 4, 2, tie_word_embeddings=True)), {}),
    "qwen2-window": (
        Qwen2Config(**sizes(24, 33, 3, 3, use_sliding_window=True, sliding_window=33, max_window_layers=1)),
        {"lengths": [1, 2, 33]},
    ),
    "qwen3": (Qwen3Config(**sizes(32, 43, 4, 2, head_dim=12, rms_norm_eps=0.05)), {}),
}


def fill(model, generator):
    """Weights under which every part of the model shows in the logits: uneven norms, biases that are not zero, scores
    large enough that attention looks at some tokens more than at others."""
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if name.endswith("norm.weight"):
            weight.data = 1.0 + 0.3 * noise
        elif name.endswith(".bias"):
            weight.data = 0.5 * noise
        else:
            weight.data = 2.0 / math.sqrt(weight.shape[-1]) * noise


def rewrite_rope(path, scaling, theta):
    """config.json as it was written before rope_parameters."""
    config = json.loads(path.read_text())
    del config["rope_parameters"]
    config["rope_theta"] = theta
    config["rope_scaling"] = scaling
    path.write_text(json.dumps(config, indent=2) + "\n")


@torch.no_grad()
def make(name, config, seed, dtype=torch.float32, shard="1GB", lengths=LENGTHS, rope_theta=10000.0, **more):
    folder = OUT / name
    generator = torch.Generator().manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    fill(model, generator)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    if "old_rope" in more:
        rewrite_rope(folder / "config.json", more["old_rope"], rope_theta)

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    reference = {}
    for length in lengths:
        tokens = torch.randint(VOCAB_SIZE, (length,), generator=generator)
        logits = model(tokens[None]).logits[0]
        reference[f"tokens.{length}"] = tokens.float()
        reference[f"logits.{length}"] = logits.contiguous()
    (folder / "reference").mkdir()
    save_file(reference, folder / "reference" / "model.safetensors")
    longest = reference[f"logits.{lengths[-1]}"]
    print(f"{name}: logits with deviation {longest.std():.2f}, largest {longest.abs().max():.1f}")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    for seed, (name, (config, more)) in enumerate(MODELS.items()):
        make(name, config, seed, **more)


if __name__ == "__main__":
    main()
