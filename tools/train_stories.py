#!/usr/bin/env python3
"""Trains the book's embedded models, models/stories and models/stories-draft, from a file of little stories.

The text is TinyStories (Eldan and Li 2023). Anyone gets the full corpus, about 2 GB, from the Hugging Face data set
roneneldan/TinyStories (license CDLA-Sharing-1.0), files TinyStories-train.txt and TinyStories-valid.txt; any text with
a line `<|endoftext|>` after each story will do. One after the other, the steps are

  train_stories.py tokenizer --train train.txt --output tokenizer
  train_stories.py train --tokenizer tokenizer --train train.txt --valid valid.txt --output models/stories
  train_stories.py train --tokenizer tokenizer --train train.txt --valid valid.txt --output models/stories-draft \\
      --dim 96 --layers 2 --heads 3 --hidden 256 --teacher models/stories
  train_stories.py card --model models/stories

A big model overfits short text; what helps is dropout, several teachers (`--teacher` again and again: the student
learns the mean of their probabilities), and stories that the teachers wrote (`write`), used as further text.
make_stories.sh has the whole recipe.
"""

import argparse
import math
import os
import platform
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import torch

from story_card import card_text, samples
from story_data import endless_batches, load_stream, load_tokenizer, save_tokenizer, train_tokenizer
from story_loss import autocast, ensemble, likeness, losses, validation_loss
from story_model import (SEPARATOR, SEPARATOR_ID, Shape, StoryModel, generate, load_model, read_json, save_model,
                         write_json)


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


def count(stream):
    return {"stories": int((stream == SEPARATOR_ID).sum()), "tokens": len(stream)}


def make_tokenizer(args):
    save_tokenizer(train_tokenizer(args.train, args.vocab), args.output, args.context)


class Progress:
    """How far training is, 0 to 1: by steps or, where --max-seconds runs out sooner, by time."""

    def __init__(self, steps, deadline):
        self.steps, self.deadline, self.done = steps, deadline, 0
        self.began = time.monotonic()

    def step(self):
        self.done += 1
        if self.done == 1:  # the first step compiles; the time that is left counts from here
            self.began = time.monotonic()

    def seconds(self):
        return max(time.monotonic() - self.began, 1e-9)

    def share(self):
        by_time = self.seconds() / max(self.deadline - self.began, 1e-9)
        return min(1.0, max(self.done / self.steps, by_time))


def optimizer_for(model, args):
    matrices = [weight for weight in model.parameters() if weight.dim() >= 2]
    norms = [weight for weight in model.parameters() if weight.dim() < 2]
    groups = [{"params": matrices, "weight_decay": args.weight_decay}, {"params": norms, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.95), fused=args.device == "cuda")


def learning_rate(args, step, share):
    """A linear rise over the warmup, times a cosine down to --final-lr of the peak."""
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return args.lr * min(1.0, (step + 1) / args.warmup) * (args.final_lr + (1 - args.final_lr) * cosine)


def optimize(model, teachers, batches, valid, steps_an_epoch, progress, args):
    """Trains until the progress is 1; leaves the weights that validate best in the model, and returns the curve."""
    optimizer = optimizer_for(model, args)
    step_losses, mean_of = (torch.compile(f) if args.compile else f for f in (losses, ensemble))
    curve, sums, since, best, chosen = [], torch.zeros(2, device=args.device), 0, math.inf, None
    share = 0.0
    while share < 1.0:
        windows = next(batches)
        tokens, targets = windows[:, :-1].contiguous(), windows[:, 1:].contiguous()
        p = mean_of(teachers, tokens) if teachers else None
        objective, cross_entropy = step_losses(model, tokens, targets, p, args.distil_weight)
        objective.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(args, progress.done, share)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        sums += torch.stack([objective.detach(), cross_entropy.detach()])
        since += 1
        progress.step()
        share = progress.share()
        if share * args.evals < len(curve) + 1:
            continue
        objective, cross_entropy = (sums / since).tolist()
        with autocast(args.device):
            loss = validation_loss(model, valid, model.shape.context)
        if loss < best:
            best, chosen = loss, [weight.detach().clone() for weight in model.parameters()]
        curve.append({"step": progress.done, "epoch": round(progress.done / steps_an_epoch, 2),
                      "train_loss": cross_entropy, "objective": objective, "valid_loss": loss,
                      "seconds": round(progress.seconds(), 1)})
        print(", ".join(f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}"
                        for name, value in curve[-1].items()), flush=True)
        sums.zero_()
        since = 0
    with torch.no_grad():
        for weight, value in zip(model.parameters(), chosen or []):
            weight.copy_(value)
    return curve


def train(args):
    entered = time.monotonic()
    torch.manual_seed(args.seed)
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
        print(f"{args.train[0]}: {len(stream)} tokens are fewer than one batch; give more text or a smaller --batch",
              file=sys.stderr)
        sys.exit(2)
    steps = args.steps or round(args.epochs * steps_an_epoch)
    print(f"{model.parameter_count()} parameters, {len(stream)} training tokens, {steps} steps at most", flush=True)

    progress = Progress(steps, entered + args.max_seconds)
    batches = endless_batches(stream, model.shape.context, args.batch, args.start_share,
                              torch.Generator().manual_seed(args.seed))
    curve = optimize(model, teachers, batches, valid, steps_an_epoch, progress, args)
    save_model(model, args.output)
    save_tokenizer(tokenizer, args.output, model.shape.context)

    model = load_model(args.output, args.device)  # as rounded to bf16
    tokens_seen = progress.done * args.batch * model.shape.context
    log = {
        "command": portable_command(),
        "options": {name: value for name, value in vars(args).items()
                    if isinstance(value, (int, float)) and math.isfinite(value)},
        "shape": {**vars(model.shape), "head_dim": model.shape.head_dim},
        "parameters": model.parameter_count(),
        "bytes": os.path.getsize(Path(args.output) / "model.safetensors"),
        "init": args.init and os.path.basename(args.init),
        "train": [described_text(path, tokens) for path, tokens in streams.items()],
        "valid": {"file": os.path.basename(args.valid), **count(valid)},
        "teachers": [described_teacher(folder) for folder in args.teacher],
        "result": {
            "validation_loss": validation_loss(model, valid, model.shape.context),
            "validation_loss_half_stride": validation_loss(model, valid, model.shape.context // 2),
            "chosen_step": min(curve, key=lambda point: point["valid_loss"])["step"],
            "steps": progress.done,
            "epochs": curve[-1]["epoch"],
            "tokens_seen": tokens_seen,
            "training_seconds": curve[-1]["seconds"],
            "tokens_per_second": round(tokens_seen / curve[-1]["seconds"]),
            "seconds": round(time.monotonic() - entered, 1),
        },
        "machine": {"device": device_name(args.device), "torch": torch.__version__,
                    "python": platform.python_version()},
        "curve": curve,
    }
    if teachers:
        log["result"]["likeness"] = likeness(model, teachers, valid)
    write_json(Path(args.output) / "training.json", log)
    print("result", log["result"])


def described_text(path, stream):
    """What a model's log tells of a training text; of a written one, also the command."""
    made = Path(path).with_suffix(".json")
    written = {"written_by": read_json(made)["command"]} if Path(path).suffix == ".npy" and made.exists() else {}
    return {"file": os.path.basename(path), **count(stream), **written}


def described_teacher(folder):
    """What a student's log tells of its teacher."""
    log = read_json(Path(folder) / "training.json")
    result = log["result"]
    return {"folder": os.path.basename(os.path.normpath(folder)), "parameters": log["parameters"],
            "validation_loss": result["validation_loss"], "epochs": result["epochs"], "steps": result["steps"],
            "seconds": result["seconds"], "device": log["machine"]["device"], "command": log["command"],
            "train": log["train"], "teachers": log["teachers"]}


def write(args):
    """Stories of a model's own; the last, unfinished story of each window is left out."""
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
    if Path(args.output).suffix == ".npy":
        np.save(args.output, stream)
        write_json(Path(args.output).with_suffix(".json"), {"command": portable_command(), **count(stream)})
        return
    stories = np.split(stream, np.flatnonzero(stream == SEPARATOR_ID)[1:])
    texts = tokenizer.decode_batch([story[1:].tolist() for story in stories])
    Path(args.output).write_text("".join(f"{text}\n{SEPARATOR}\n" for text in texts), encoding="utf-8")


def card(args):
    write_card(Path(args.model), args.seed)


def write_card(folder, seed):
    """Writes README.md; the first time, lets the model tell samples and keeps them in training.json."""
    log = read_json(folder / "training.json")
    if "samples" not in log:
        log["samples"] = samples(load_model(folder).eval(), load_tokenizer(folder), seed)
        write_json(folder / "training.json", log)
    (folder / "README.md").write_text(card_text(folder.name, log), encoding="utf-8")


def where():
    """Flags of what uses a model."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cuda", "cpu"])
    parser.add_argument("--seed", type=int, default=1)
    return parser


def optimization():
    """Flags of how a model is trained."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--distil-weight", type=float, default=0.9, help="share of the teachers' loss in the objective")
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--steps", type=int, default=0, help="in place of --epochs")
    parser.add_argument("--max-seconds", type=float, default=math.inf,
                        help="time from the start to the last step; the learning rate then falls to its end by that time")
    parser.add_argument("--batch", type=int, default=64, help="windows a step")
    parser.add_argument("--start-share", type=float, default=0.5, help="share of windows that begin where a story begins")
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--final-lr", type=float, default=0.02, help="share of the peak that the cosine ends at")
    parser.add_argument("--warmup", type=int, default=200, help="steps")
    parser.add_argument("--weight-decay", type=float, default=0.1, help="on matrices, not on norms")
    parser.add_argument("--clip", type=float, default=1.0, help="largest gradient norm")
    parser.add_argument("--dropout", type=float, default=0.1, help="on the embeddings and each branch")
    parser.add_argument("--attention-dropout", type=float, default=0.0, help="on the attention's probabilities")
    parser.add_argument("--evals", type=int, default=20, help="validations, evenly over the training")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=torch.cuda.is_available(),
                        help="torch.compile: about a minute to start, then faster steps")
    return parser


def parse():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", required=True)
    defaults = {"formatter_class": argparse.ArgumentDefaultsHelpFormatter}
    sub = commands.add_parser("tokenizer", help="train the tokenizer", **defaults)
    sub.add_argument("--train", nargs="+", required=True, help="text files of stories")
    sub.add_argument("--output", required=True, help="folder for tokenizer.json and tokenizer_config.json")
    sub.add_argument("--vocab", type=int, default=2048, help="tokens, the separator and all 256 bytes among them")
    sub.add_argument("--context", type=int, default=512, help="model_max_length of tokenizer_config.json")
    sub.set_defaults(run=make_tokenizer)

    sub = commands.add_parser("train", help="train or distil a model", parents=[where(), optimization()], **defaults)
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
    sub.set_defaults(run=train)

    sub = commands.add_parser("write", help="let a model write stories, as further text", parents=[where()], **defaults)
    sub.add_argument("--model", required=True)
    sub.add_argument("--output", required=True, help="a text file, or a token stream where it ends in .npy")
    sub.add_argument("--tokens", type=int, default=1_000_000)
    sub.add_argument("--max-seconds", type=float, default=math.inf)
    sub.add_argument("--temperature", type=float, default=1.0)
    sub.add_argument("--batch", type=int, default=256, help="windows written side by side")
    sub.set_defaults(run=write)

    sub = commands.add_parser("card", help="write a model's README.md from its training.json", **defaults)
    sub.add_argument("--model", required=True)
    sub.add_argument("--seed", type=int, default=1, help="of the samples")
    sub.set_defaults(run=card)
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    try:
        options.run(options)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
