#!/usr/bin/env python3
"""Trains the book's embedded models, models/stories and models/stories-draft, from a file of little stories.

The text is TinyStories (Eldan and Li 2023). Anyone gets the full corpus, about 2 GB, from the Hugging Face data set
roneneldan/TinyStories (licence CDLA-Sharing-1.0), files TinyStories-train.txt and TinyStories-valid.txt; any text with a
line `<|endoftext|>` after each story will do. One after the other, the four steps are

  train_stories.py tokenizer --train train.txt --output tokenizer
  train_stories.py train --tokenizer tokenizer --train train.txt --valid valid.txt --output models/stories
  train_stories.py train --tokenizer tokenizer --train train.txt --valid valid.txt --output models/stories-draft \\
      --dim 96 --layers 2 --heads 3 --hidden 256 --teacher models/stories
  train_stories.py card --model models/stories

Text is short, so a big model overfits it; what helps is dropout, several teachers (`--teacher` again and again: the
student learns the mean of their probabilities), and stories that a teacher wrote (`write`), used as further text.
"""

import argparse
import contextlib
import math
import os
import platform
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from story_data import (epoch_windows, load_stream, load_tokenizer, save_tokenizer, scored_windows, train_tokenizer)
from story_model import (SEPARATOR, SEPARATOR_ID, Shape, StoryModel, generate, load_model, read_json, save_model,
                         write_json)

PROMPTS = ["Once upon a time", "Tom had a red kite", "Lily found a small key in the garden."]
EVAL_BATCH = 64


def device_name(device):
    if device == "cuda":
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def portable_command():
    """The command line, with files outside the working folder by their names alone."""
    shown = [os.path.basename(word) if os.path.isabs(word) else word for word in sys.argv]
    return shlex.join(["python3", *shown])


def autocast(device):
    """bf16 on a GPU; on a CPU, where it is slower, f32."""
    return torch.autocast("cuda", torch.bfloat16) if device == "cuda" else contextlib.nullcontext()


def ensemble(teachers, tokens, temperature):
    """[B, T, vocab]: the mean of the teachers' probabilities."""
    with torch.no_grad(), autocast(tokens.device.type):
        return sum(F.softmax(teacher(tokens).float() / temperature, dim=-1) for teacher in teachers) / len(teachers)


def losses(model, tokens, targets, p, weight, temperature):
    """(objective, cross entropy) of tokens [B, T]; p [B, T, vocab] are the teachers' probabilities, or None.

    objective = weight * temperature^2 * KL(p, q) + (1 - weight) * cross entropy (Hinton et al. 2015, section 2).
    """
    with autocast(tokens.device.type):
        logits = model(tokens).float().flatten(0, 1)
    cross_entropy = F.cross_entropy(logits, targets.flatten())
    if p is None:
        return cross_entropy, cross_entropy
    log_q = F.log_softmax(logits / temperature, dim=-1)
    divergence = F.kl_div(log_q, p.flatten(0, 1), reduction="sum") / len(logits)
    return weight * temperature**2 * divergence + (1 - weight) * cross_entropy, cross_entropy


@torch.no_grad()
def validation_loss(model, stream, stride):
    """Mean loss per token over the stream; each window but the first scores its last `stride` tokens."""
    model.eval()
    context, windows = scored_windows(len(stream), model.shape.context, stride)
    place = torch.arange(context + 1, device=stream.device)
    total = 0.0
    for i in range(0, len(windows), EVAL_BATCH):
        begin, first = torch.tensor(windows[i : i + EVAL_BATCH], device=stream.device).T[:, :, None]
        window = stream[begin + place]
        logits = model(window[:, :-1]).float()
        loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten(), reduction="none").view(-1, context)
        total += (loss * (place[:-1] >= first)).sum().double()
    model.train()
    return float(total) / (len(stream) - 1)


@torch.no_grad()
def likeness(model, teachers, stream):
    """How often a draft's token is taken: sum of min(p, q) when sampling, equal likeliest tokens when greedy."""
    model.eval()
    context = model.shape.context
    windows = stream[: len(stream) // context * context].view(-1, context)
    overlap, agreement = 0.0, 0.0
    for tokens in windows.split(EVAL_BATCH):
        p = ensemble(teachers, tokens, 1.0)
        q = F.softmax(model(tokens).float(), dim=-1)
        overlap += float(torch.minimum(p, q).sum())
        agreement += float((p.argmax(-1) == q.argmax(-1)).sum())
    model.train()
    return {"overlap": overlap / windows.numel(), "greedy_agreement": agreement / windows.numel()}


def samples(model, tokenizer, seed):
    """Stories from PROMPTS, greedy and at temperature 0.8, each up to its end or the context's."""
    model.eval()
    device = model.embed_tokens.weight.device
    random = torch.Generator(device).manual_seed(seed)
    told = []
    for prompt in PROMPTS:
        start = torch.tensor([tokenizer.encode(prompt).ids], device=device)
        for temperature in (0.0, 0.8):
            tokens = generate(model, start, model.shape.context, temperature, random)[0].tolist()
            end = tokens.index(SEPARATOR_ID, 1) if SEPARATOR_ID in tokens[1:] else len(tokens)
            told.append({"temperature": temperature, "text": tokenizer.decode(tokens[:end])})
    return told


class WeightAverage:
    """Exponential moving average of a model's weights; with decay 0, the weights themselves."""

    def __init__(self, model, decay):
        self.weights, self.decay, self.steps = list(model.parameters()), decay, 0
        self.mean = [weight.detach().clone() for weight in self.weights] if decay else self.weights

    def update(self):
        self.steps += 1
        if self.decay:
            decay = min(self.decay, self.steps / (self.steps + 10))
            torch._foreach_lerp_(self.mean, [weight.detach() for weight in self.weights], 1 - decay)

    @contextlib.contextmanager
    def applied(self):
        own = [weight.detach().clone() for weight in self.weights]
        self.put(self.mean)
        yield
        self.put(own)

    @torch.no_grad()
    def put(self, values):
        for weight, value in zip(self.weights, values):
            weight.copy_(value)


def optimizer_for(model, args):
    matrices = [weight for weight in model.parameters() if weight.dim() >= 2]
    norms = [weight for weight in model.parameters() if weight.dim() < 2]
    groups = [{"params": matrices, "weight_decay": args.weight_decay}, {"params": norms, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.95), fused=args.device == "cuda")


class Progress:
    """How far training is, 0 to 1: by steps or, where --max-seconds runs out sooner, by time."""

    def __init__(self, steps, deadline):
        self.steps, self.deadline, self.done = steps, deadline, 0
        self.began = time.monotonic()

    def step(self):
        self.done += 1
        if self.done == 1:  # the first step compiles; the time that is left counts from here
            self.began = time.monotonic()

    def share(self):
        by_time = (time.monotonic() - self.began) / max(self.deadline - self.began, 1e-9)
        return min(1.0, max(self.done / self.steps, by_time))


def learning_rate(args, step, share):
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return args.lr * min(1.0, (step + 1) / args.warmup) * (args.final_lr + (1 - args.final_lr) * cosine)


def compiled(function, args):
    return torch.compile(function) if args.compile and args.device == "cuda" else function


def train(args):
    entered = time.monotonic()
    torch.manual_seed(args.seed)
    random = torch.Generator().manual_seed(args.seed)
    tokenizer = load_tokenizer(args.tokenizer)
    streams = {path: load_stream(path, tokenizer).to(args.device) for path in args.train}
    stream = torch.cat(list(streams.values()))
    valid = load_stream(args.valid, tokenizer).to(args.device)
    teachers = [load_model(folder, args.device).eval() for folder in args.teacher]
    dropouts = {"dropout": args.dropout, "attention_dropout": args.attention_dropout}
    if args.init:
        model = load_model(args.init, args.device, **dropouts)
    else:
        shape = Shape(tokenizer.get_vocab_size(), args.dim, args.layers, args.heads, args.kv_heads or args.heads,
                      args.hidden, args.context)
        model = StoryModel(shape, **dropouts).to(args.device)
    model.train()
    steps_an_epoch = (len(stream) // model.shape.context - 1) // args.batch
    if steps_an_epoch < 1:
        sys.exit(f"{args.train[0]}: {len(stream)} tokens are fewer than one batch; give more text or a smaller --batch")
    steps = args.steps or round(args.epochs * steps_an_epoch)
    print(f"{model.parameter_count()} parameters, {len(stream)} training tokens, {steps} steps at most", flush=True)

    optimizer, average = optimizer_for(model, args), WeightAverage(model, args.ema)
    step_losses, probabilities = compiled(losses, args), compiled(ensemble, args)
    progress = Progress(steps, entered + args.max_seconds)
    curve, sums, since, best, chosen = [], torch.zeros(2, device=args.device), 0, math.inf, None
    share, windows = 0.0, iter(())
    while share < 1.0:
        window = next(windows, None)
        if window is None or len(window) < args.batch:  # an epoch's last, smaller batch is left out
            windows = iter(epoch_windows(stream, model.shape.context, args.start_share, random).split(args.batch))
            window = next(windows)
        tokens, targets = window[:, :-1].contiguous(), window[:, 1:].contiguous()
        p = probabilities(teachers, tokens, args.distil_temperature) if teachers else None
        objective, cross_entropy = step_losses(model, tokens, targets, p, args.distil_weight, args.distil_temperature)
        objective.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(args, progress.done, share)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update()
        sums += torch.stack([objective.detach(), cross_entropy.detach()])
        since += 1
        progress.step()
        share = progress.share()
        if share * args.evals < len(curve) + 1:
            continue
        objective, cross_entropy = (sums / since).tolist()
        with average.applied(), autocast(args.device):
            loss = validation_loss(model, valid, model.shape.context)
            if loss < best:
                best, chosen = loss, [weight.detach().clone() for weight in average.weights]
        seconds = time.monotonic() - progress.began
        speed = (progress.done - 1) * args.batch * model.shape.context / max(seconds, 1e-9)
        curve.append({"step": progress.done, "epoch": round(progress.done / steps_an_epoch, 2), "train_loss": cross_entropy,
                      "objective": objective, "valid_loss": loss, "seconds": round(seconds, 1)})
        print(f"step {progress.done} epoch {curve[-1]['epoch']} train {cross_entropy:.4f} objective {objective:.4f} "
              f"valid {loss:.4f} seconds {seconds:.0f} tokens/s {speed:.0f}", flush=True)
        sums.zero_()
        since = 0

    average.put(chosen)
    save_model(model, args.output)
    save_tokenizer(tokenizer, args.output, model.shape.context)
    model = load_model(args.output, args.device)  # as rounded to bf16
    log = {
        "command": portable_command(),
        "options": {name: value for name, value in vars(args).items() if isinstance(value, (int, float, str))
                    and name not in ("valid", "output", "tokenizer", "init", "command")},
        "shape": {**vars(model.shape), "head_dim": model.shape.head_dim},
        "parameters": model.parameter_count(),
        "bytes": os.path.getsize(Path(args.output) / "model.safetensors"),
        "init": args.init and os.path.basename(args.init),
        "train": [{"file": os.path.basename(path), **count(tokens)} for path, tokens in streams.items()],
        "valid": {"file": os.path.basename(args.valid), **count(valid)},
        "teachers": [{"folder": os.path.basename(folder), "parameters": teacher.parameter_count()}
                     for folder, teacher in zip(args.teacher, teachers)],
        "result": {
            "validation_loss": validation_loss(model, valid, model.shape.context),
            "validation_loss_half_stride": validation_loss(model, valid, model.shape.context // 2),
            "chosen_step": min(curve, key=lambda point: point["valid_loss"])["step"],
            "steps": progress.done,
            "epochs": curve[-1]["epoch"],
            "tokens_seen": progress.done * args.batch * model.shape.context,
            "training_seconds": curve[-1]["seconds"],
            "tokens_per_second": round(speed),
            "seconds": round(time.monotonic() - entered, 1),
        },
        "machine": {"device": device_name(args.device), "torch": torch.__version__,
                    "python": platform.python_version()},
        "curve": curve,
    }
    if teachers:
        log["result"]["likeness"] = likeness(model, teachers, valid)
    log["samples"] = samples(model, tokenizer, args.seed)
    write_json(Path(args.output) / "training.json", log)
    print("result", log["result"])
    for told in log["samples"]:
        print(f"\n[temperature {told['temperature']}] {told['text']}")


def count(stream):
    return {"stories": int((stream == SEPARATOR_ID).sum()), "tokens": len(stream)}


def make_tokenizer(args):
    save_tokenizer(train_tokenizer(args.train, args.vocab), args.output, args.context)


def write(args):
    """Stories of a model's own, as text or as a token stream; the last, unfinished story of each window is left out."""
    model, tokenizer = load_model(args.model, args.device).eval(), load_tokenizer(args.model)
    if args.device == "cuda":
        model.bfloat16()
    random = torch.Generator(args.device).manual_seed(args.seed)
    began, kept = time.monotonic(), []
    while sum(map(len, kept)) < args.tokens and time.monotonic() - began < args.max_seconds:
        first = torch.full((args.batch, 1), SEPARATOR_ID, device=args.device)
        tokens = generate(model, first, model.shape.context, args.temperature, random)
        place = torch.arange(model.shape.context, device=args.device)
        last_separator = (place * (tokens == SEPARATOR_ID)).amax(dim=1, keepdim=True)
        kept.append(tokens[place < last_separator].cpu().numpy().astype(np.uint16))
        print(f"{sum(map(len, kept))} tokens in {time.monotonic() - began:.0f} s", flush=True)
    stream = np.concatenate(kept)
    if args.output.endswith(".npy"):
        np.save(args.output, stream)
        return
    stories = np.split(stream, np.flatnonzero(stream == SEPARATOR_ID)[1:])
    texts = tokenizer.decode_batch([story[1:].tolist() for story in stories])
    Path(args.output).write_text("".join(f"{text}\n{SEPARATOR}\n" for text in texts), encoding="utf-8")


def card(args):
    folder = Path(args.model)
    text = card_text(folder.name, read_json(folder / "training.json"))
    (folder / "README.md").write_text(text, encoding="utf-8")


def card_text(name, log):
    shape, result, machine = log["shape"], log["result"], log["machine"]
    points = log["curve"][:: max(1, len(log["curve"]) // 10)]
    if points[-1] is not log["curve"][-1]:
        points.append(log["curve"][-1])
    rows = "".join(f"| {p['step']:,} | {p['epoch']} | {p['train_loss']:.3f} | {p['valid_loss']:.3f} |\n" for p in points)
    files = "".join(f"| `{f['file']}` | {f['stories']:,} | {f['tokens']:,} |\n" for f in [*log["train"], log["valid"]])
    teachers = ", ".join(f"`{t['folder']}` ({t['parameters']:,} parameters)" for t in log["teachers"])
    distilled = f"Distilled from {teachers}.\n" if teachers else ""
    if "likeness" in result:
        distilled += (f"On the validation text its probabilities overlap its teacher's by {result['likeness']['overlap']:.1%} "
                      f"(sum of min(p, q)), and its likeliest token is the teacher's in "
                      f"{result['likeness']['greedy_agreement']:.1%} of the places.\n")
    stories = "\n\n".join(f"Temperature {s['temperature']}:\n\n> " + s["text"].replace("\n", "\n> ")
                          for s in log["samples"][:2])
    return f"""---
language: en
datasets: [roneneldan/TinyStories]
---
# {name}

A Llama that tells little stories in simple English; it knows nothing else. This card is generated from `training.json`
by `tools/train_stories.py card`.

| | |
|---|---|
| parameters | {log['parameters']:,} ({log['bytes']:,} bytes, bf16) |
| dim, layers, hidden | {shape['dim']}, {shape['layers']}, {shape['hidden']} |
| heads, key/value heads, head_dim | {shape['heads']}, {shape['kv_heads']}, {shape['head_dim']} |
| vocabulary, context | {shape['vocab']:,} (byte-level BPE), {shape['context']} tokens |
| output matrix | tied to the embedding |
| `<|endoftext|>` | token 0: BOS and EOS |

## Training

{distilled}
| text | stories | tokens |
|---|---|---|
{files}
The last row is the validation text. The text is part of TinyStories (Eldan and Li 2023), the Hugging Face data set
`roneneldan/TinyStories`, licence CDLA-Sharing-1.0; the text itself is not in this repository. Do not score this model on
the validation split of TinyStoriesV2-GPT4: part of its training stories come from there.

```
{log['command']}
```

{result['steps']:,} steps, {result['tokens_seen']:,} tokens, {result['training_seconds']:.0f} seconds on {machine['device']} \
(PyTorch {machine['torch']}, Python {machine['python']}).

| step | epoch | training loss | validation loss |
|---|---|---|---|
{rows}
Losses are nats per token; the training loss is with dropout. The weights are those of step {result['chosen_step']:,}, \
whose validation loss was the lowest.

| validation loss of these weights | per token | perplexity |
|---|---|---|
| windows of {shape['context']} end to end | {result['validation_loss']:.4f} | {math.exp(result['validation_loss']):.3f} |
| windows every {shape['context'] // 2} tokens, the later half scored | {result['validation_loss_half_stride']:.4f} \
| {math.exp(result['validation_loss_half_stride']):.3f} |

## Samples

{stories}
"""


def parse():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", required=True)
    defaults = {"formatter_class": argparse.ArgumentDefaultsHelpFormatter}
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cuda", "cpu"])
    where.add_argument("--seed", type=int, default=1)

    sub = commands.add_parser("tokenizer", help="train the tokenizer", **defaults)
    sub.add_argument("--train", nargs="+", required=True, help="text files of stories")
    sub.add_argument("--output", required=True, help="folder for tokenizer.json and tokenizer_config.json")
    sub.add_argument("--vocab", type=int, default=2048, help="tokens, the separator and all 256 bytes among them")
    sub.add_argument("--context", type=int, default=512, help="the longest text of the models, for tokenizer_config.json")
    sub.set_defaults(run=make_tokenizer)

    sub = commands.add_parser("train", help="train or distil a model", parents=[where], **defaults)
    sub.add_argument("--tokenizer", required=True, help="folder of tokenizer.json")
    sub.add_argument("--train", nargs="+", required=True, help="text files of stories, or token streams (.npy)")
    sub.add_argument("--valid", required=True, help="held-out text; the weights that score best on it are kept")
    sub.add_argument("--output", required=True, help="folder to write")
    sub.add_argument("--dim", type=int, default=256)
    sub.add_argument("--layers", type=int, default=5)
    sub.add_argument("--heads", type=int, default=8)
    sub.add_argument("--kv-heads", type=int, default=0, help="heads of keys and values; 0: as many as heads")
    sub.add_argument("--hidden", type=int, default=688, help="width inside SwiGLU")
    sub.add_argument("--context", type=int, default=512, help="tokens of a window")
    sub.add_argument("--init", help="folder of a model to train on, with its shape; else fresh weights")
    sub.add_argument("--teacher", action="append", default=[], help="folder of a model to distil from; may be repeated")
    sub.add_argument("--distil-weight", type=float, default=0.9, help="share of the teachers' loss, the rest cross entropy")
    sub.add_argument("--distil-temperature", type=float, default=1.0)
    sub.add_argument("--epochs", type=float, default=10)
    sub.add_argument("--steps", type=int, default=0, help="in place of --epochs")
    sub.add_argument("--max-seconds", type=float, default=math.inf,
                     help="time from the start to the last step; the learning rate then falls to its end by that time")
    sub.add_argument("--batch", type=int, default=64, help="windows a step")
    sub.add_argument("--start-share", type=float, default=0.5, help="share of windows that begin where a story begins")
    sub.add_argument("--lr", type=float, default=2e-3, help="peak learning rate")
    sub.add_argument("--final-lr", type=float, default=0.02, help="share of the peak that the cosine ends at")
    sub.add_argument("--warmup", type=int, default=200, help="steps")
    sub.add_argument("--weight-decay", type=float, default=0.1, help="on matrices, not on norms")
    sub.add_argument("--clip", type=float, default=1.0, help="largest gradient norm")
    sub.add_argument("--dropout", type=float, default=0.1, help="on the embeddings and each branch")
    sub.add_argument("--attention-dropout", type=float, default=0.0, help="on the attention's probabilities")
    sub.add_argument("--ema", type=float, default=0.0, help="decay of the weights' moving average; 0: none")
    sub.add_argument("--evals", type=int, default=20, help="validations, evenly over the training")
    sub.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True, help="torch.compile, on a GPU")
    sub.set_defaults(run=train)

    sub = commands.add_parser("write", help="let a model write stories to train others on", parents=[where], **defaults)
    sub.add_argument("--model", required=True)
    sub.add_argument("--output", required=True, help="a text file, or a token stream where it ends in .npy")
    sub.add_argument("--tokens", type=int, default=1_000_000)
    sub.add_argument("--max-seconds", type=float, default=math.inf)
    sub.add_argument("--temperature", type=float, default=1.0)
    sub.add_argument("--batch", type=int, default=256, help="windows written side by side")
    sub.set_defaults(run=write)

    sub = commands.add_parser("card", help="write a model's README.md from its training.json", **defaults)
    sub.add_argument("--model", required=True)
    sub.set_defaults(run=card)
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    options.run(options)
