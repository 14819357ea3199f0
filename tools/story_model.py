"""The story models in PyTorch: a Llama whose tensors carry Hugging Face's names, and the folder it is kept in.

B is the batch, T the tokens of a window, D the dim, H the heads, K the heads of keys and values, d the head_dim.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

SEPARATOR = "<|endoftext|>"  # between stories: both BOS and EOS
SEPARATOR_ID = 0
ROPE_THETA = 10000.0
NORM_EPS = 1e-5
INIT_STD = 0.02
# Not cuDNN's, PyTorch's choice on some GPUs: it is planned anew for every length, which takes longer than it runs.
GENERATE_BACKENDS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


@dataclass
class Shape:
    vocab: int
    dim: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    context: int

    @property
    def head_dim(self):
        return self.dim // self.heads


class RMSNorm(nn.Module):
    """Zhang and Sennrich 2019, equation 4; summed in f32."""

    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + NORM_EPS)
        return (wide * scale).to(x.dtype) * self.weight


def rope_table(shape):
    """[2, context, d]: cosine and sine of every position's angles (Su et al. 2021, section 3.2.2)."""
    frequency = ROPE_THETA ** -(torch.arange(0, shape.head_dim, 2).float() / shape.head_dim)
    angle = torch.outer(torch.arange(shape.context).float(), frequency).repeat(1, 2)
    return torch.stack([angle.cos(), angle.sin()])


def rotate(x, rope):
    """Rotates x [B, heads, T, d] by rope [2, T, d]; Hugging Face pairs dimension i with i + d/2."""
    first, second = x.chunk(2, dim=-1)
    return (x * rope[0] + torch.cat([-second, first], dim=-1) * rope[1]).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, shape, dropout):
        super().__init__()
        self.shape, self.dropout = shape, dropout
        self.q_proj = nn.Linear(shape.dim, shape.heads * shape.head_dim, bias=False)
        self.k_proj = nn.Linear(shape.dim, shape.kv_heads * shape.head_dim, bias=False)
        self.v_proj = nn.Linear(shape.dim, shape.kv_heads * shape.head_dim, bias=False)
        self.o_proj = nn.Linear(shape.heads * shape.head_dim, shape.dim, bias=False)

    def forward(self, x, rope, cache, start):
        B, T, _ = x.shape
        q, k, v = (
            projection(x).view(B, T, -1, self.shape.head_dim).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, rope), rotate(k, rope)
        if cache is not None:  # [2, B, K, context, d]
            cache[0, :, :, start : start + T], cache[1, :, :, start : start + T] = k, v
            k, v = cache[:, :, :, : start + T]
        group = self.shape.heads // self.shape.kv_heads
        if group > 1:
            k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        p = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1, dropout_p=p)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, -1))


class SwiGLU(nn.Module):
    """Shazeer 2020, equation 6."""

    def __init__(self, shape):
        super().__init__()
        self.gate_proj = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.down_proj = nn.Linear(shape.hidden, shape.dim, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, shape, dropout, attention_dropout):
        super().__init__()
        self.input_layernorm = RMSNorm(shape.dim)
        self.self_attn = Attention(shape, attention_dropout)
        self.post_attention_layernorm = RMSNorm(shape.dim)
        self.mlp = SwiGLU(shape)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, rope, cache, start):
        x = x + self.dropout(self.self_attn(self.input_layernorm(x), rope, cache, start))
        return x + self.dropout(self.mlp(self.post_attention_layernorm(x)))


class StoryModel(nn.Module):
    """tokens [B, T] -> logits [B, T, vocab]; the output matrix is the embedding (tied)."""

    def __init__(self, shape, dropout=0.0, attention_dropout=0.0):
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab, shape.dim)
        self.layers = nn.ModuleList(Block(shape, dropout, attention_dropout) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.dim)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("rope", rope_table(shape), persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:  # the branches' last matrices are smaller, so that their sum starts small
                branch_end = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=INIT_STD / math.sqrt(2 * shape.layers) if branch_end else INIT_STD)

    def forward(self, tokens, caches=None, start=0):
        """With caches [layers, 2, B, K, context, d], the tokens stand at `start` and after (one, unless start is 0)."""
        x = self.dropout(self.embed_tokens(tokens))
        rope = self.rope[:, start : start + tokens.shape[1]]
        for i, layer in enumerate(self.layers):
            x = layer(x, rope, None if caches is None else caches[i], start)
        return F.linear(self.norm(x), self.embed_tokens.weight)

    def parameter_count(self):
        return sum(weight.numel() for weight in self.parameters())


@torch.no_grad()
@sdpa_kernel(GENERATE_BACKENDS)
def generate(model, prompt, length, temperature, generator=None):
    """Continues prompt [B, T] to [B, length]; temperature 0 takes the likeliest token. Separators do not stop it."""
    shape, weight = model.shape, model.embed_tokens.weight
    tokens = prompt.new_empty(len(prompt), length)
    tokens[:, : prompt.shape[1]] = prompt
    cache_shape = (shape.layers, 2, len(prompt), shape.kv_heads, length, shape.head_dim)
    caches = torch.empty(cache_shape, dtype=weight.dtype, device=weight.device)
    fed = 0
    for position in range(prompt.shape[1], length):
        logits = model(tokens[:, fed:position], caches, fed)[:, -1].float()
        fed = position
        if temperature > 0:  # the largest p / e, with e exponentially distributed, is a draw from p
            p = F.softmax(logits / temperature, dim=-1)
            logits = p / torch.empty_like(p).exponential_(generator=generator)
        tokens[:, position] = logits.argmax(dim=-1)
    return tokens


def write_json(path, value):
    Path(path).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def config_of(shape):
    """config.json for LlamaForCausalLM: RoPE and dtype under their older and newer names alike."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocab,
        "hidden_size": shape.dim,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.context,
        "hidden_act": "silu",
        "rms_norm_eps": NORM_EPS,
        "rope_theta": ROPE_THETA,
        "rope_scaling": None,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "initializer_range": INIT_STD,
        "bos_token_id": SEPARATOR_ID,
        "eos_token_id": SEPARATOR_ID,
        "pad_token_id": None,
        "use_cache": True,
        "torch_dtype": "bfloat16",
        "dtype": "bfloat16",
    }


def save_model(model, folder):
    """Writes config.json, generation_config.json and model.safetensors (bf16; no lm_head, which is tied)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config_of(model.shape))
    write_json(folder / "generation_config.json", {"bos_token_id": SEPARATOR_ID, "eos_token_id": SEPARATOR_ID})
    tensors = {f"model.{name}": weight.detach().to("cpu", torch.bfloat16).contiguous()
               for name, weight in model.named_parameters()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def load_model(folder, device="cpu", **dropouts):
    """Reads what save_model wrote, into f32."""
    config = read_json(Path(folder) / "config.json")
    shape = Shape(config["vocab_size"], config["hidden_size"], config["num_hidden_layers"],
                  config["num_attention_heads"], config["num_key_value_heads"], config["intermediate_size"],
                  config["max_position_embeddings"])
    model = StoryModel(shape, **dropouts)
    tensors = load_file(Path(folder) / "model.safetensors")
    model.load_state_dict({name.removeprefix("model."): tensor.float() for name, tensor in tensors.items()})
    return model.to(device)
