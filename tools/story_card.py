"""A model's card: README.md, from the training.json that `train_stories.py train` wrote beside the weights."""

import math

import torch

from story_model import SEPARATOR_ID, generate

PROMPTS = ["Once upon a time", "Tom had a red kite"]
CURVE_ROWS = 10


def samples(model, tokenizer, seed):
    """Stories from PROMPTS, greedy and at temperature 0.8, each up to its end or the context's."""
    random = torch.Generator().manual_seed(seed)
    told = []
    for prompt in PROMPTS:
        start = torch.tensor([tokenizer.encode(prompt).ids])
        for temperature in (0.0, 0.8):
            tokens = generate(model, start, model.shape.context, temperature, random)[0].tolist()
            end = tokens.index(SEPARATOR_ID, 1) if SEPARATOR_ID in tokens[1:] else len(tokens)
            told.append({"temperature": temperature, "text": tokenizer.decode(tokens[:end])})
    return told


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def ancestors(log):
    """The teachers, each after its own teachers."""
    return [model for teacher in log["teachers"] for model in (*ancestors(teacher), teacher)]


def commands(log):
    """Every command from the teachers to this model, each once and in order."""
    told = []
    for model in (*ancestors(log), log):
        told += [file["written_by"] for file in model["train"] if "written_by" in file]
        told += [model["uptraining"]["converted_by"]] if "uptraining" in model else []
        told.append(model["command"])
    return "\n".join(dict.fromkeys(told))


def curve(log):
    stride = math.ceil(len(log["curve"]) / CURVE_ROWS)
    shown = log["curve"][::-1][::stride][::-1]
    return table(["step", "epoch", "training loss", "validation loss"],
                 [[f"{point['step']:,}", point["epoch"], f"{point['train_loss']:.3f}", f"{point['valid_loss']:.3f}"]
                  for point in shown])


def teachers(log):
    if not log["teachers"]:
        return ""
    like = log["result"]["likeness"]
    rows = [[f"`{t['folder']}`", f"{t['parameters']:,}", f"{t['validation_loss']:.4f}", f"{t['steps']:,}",
             f"{t['seconds']:.0f} s, {t['device']}"] for t in log["teachers"]]
    whose, what = ("the mean of its teachers'", "that mean has") if len(rows) > 1 else ("its teacher's", "they have")
    return f"""Distilled from {whose} probabilities:

{table(["teacher", "parameters", "validation loss", "steps", "time"], rows)}

On the validation text {what} a loss of {like['teachers_loss']:.4f}. The model's own probabilities overlap with them
by {like['overlap']:.1%} (the sum of min(p, q)), and both find the same token likeliest in
{like['greedy_agreement']:.1%} of the places.
"""


def uptraining(log):
    if "uptraining" not in log:
        return ""
    up, heads, steps = log["uptraining"], log["shape"]["kv_heads"], log["result"]["steps"]
    rows = [[f"`{up['original']}`, {up['original_kv_heads']} KV heads", f"{up['original_loss']:.4f}"],
            [f"converted to {heads}", f"{up['converted_loss']:.4f}"],
            [f"trained on for {steps:,} steps", f"{log['result']['validation_loss']:.4f}"]]
    return f"""`{up['original']}` with {heads} in place of {up['original_kv_heads']} KV heads: converted by chapter 5's program, and trained
on by `tools/uptrain_gqa.py` for {steps / up['original_steps']:.1%} of the {up['original_steps']:,} steps that `{up['original']}` was trained for. (Ainslie et
al. 2023 take 5%.)

{table(["", "validation loss"], rows)}

"""


def card_text(name, log):
    shape, result, machine, valid = log["shape"], log["result"], log["machine"], log["valid"]
    whole, half = result["validation_loss"], result["validation_loss_half_stride"]
    facts = [["parameters", f"{log['parameters']:,} ({log['bytes']:,} bytes, bf16)"],
             ["dim, layers, hidden", f"{shape['dim']}, {shape['layers']}, {shape['hidden']}"],
             ["heads, KV heads, head_dim", f"{shape['heads']}, {shape['kv_heads']}, {shape['head_dim']}"],
             ["vocabulary, context", f"{shape['vocab']:,} (byte-level BPE), {shape['context']} tokens"],
             ["output matrix", "tied to the embedding"],
             ["`<|endoftext|>`", "token 0: BOS and EOS"]]
    files = table(["text", "stories", "tokens"],
                  [[f"`{file['file']}`", f"{file['stories']:,}", f"{file['tokens']:,}"]
                   for file in (*log["train"], valid)])
    written = " A `.npy` holds stories that a teacher wrote." if any("written_by" in f for f in log["train"]) else ""
    measured = table(["validation loss of these weights", "per token", "perplexity"],
                     [[f"windows of {shape['context']} end to end", f"{whole:.4f}", f"{math.exp(whole):.3f}"],
                      [f"windows every {shape['context'] // 2} tokens, the later half scored", f"{half:.4f}",
                       f"{math.exp(half):.3f}"]])
    stories = "\n\n".join(f"Temperature {told['temperature']}:\n\n> " + told["text"].replace("\n", "\n> ")
                          for told in log["samples"])
    return f"""---
language: en
datasets: [roneneldan/TinyStories]
---
# {name}

A Llama that tells little stories in simple English; it knows nothing else. This card is generated from `training.json`
by `tools/train_stories.py card`; `tools/make_stories.sh` makes the model anew.

{table(["", ""], facts)}

## Training

{uptraining(log)}{teachers(log)}
{files}

The last row is the validation text, which no weight is trained on.{written}

The text is part of TinyStories (Eldan and Li 2023), the Hugging Face data set `roneneldan/TinyStories`, license
CDLA-Sharing-1.0; the text itself is not in this repository. Do not score this model on the validation split of
TinyStoriesV2-GPT4: part of its training stories come from there.

```
{commands(log)}
```

{result['steps']:,} steps, {result['tokens_seen']:,} tokens, {result['training_seconds']:.0f} seconds on one
{machine['device']} ({result['seconds']:.0f} with start and measurements; PyTorch {machine['torch']}, Python
{machine['python']}).

{curve(log)}

Losses are nats per token; the training loss is measured with the dropout of the command. The weights are those of step
{result['chosen_step']:,}, chosen because their loss on `{valid['file']}` was the lowest measured along the way; the
figures below are of the same text, so they flatter the model a little.

{measured}

## Samples

{stories}
"""
