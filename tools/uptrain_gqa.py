#!/usr/bin/env python3
"""Makes models/stories-gqa and models/stories-mqa: models/stories with fewer KV heads, trained on for a while.

Chapter 5's program converts the checkpoint (`./run 5 --convert`); here the converted model is trained on, as in Ainslie
et al. 2023, section 2.1, for about 5% of the steps that the original was trained for, towards the original's
probabilities. The text is that of train_stories.py.

  uptrain_gqa.py --kv-heads 2 --converted corpus/stories-2 --output models/stories-gqa \\
      --train corpus/tinystories_train*.txt --valid corpus/tinystories_valid.txt
  uptrain_gqa.py --kv-heads 1 --converted corpus/stories-1 --output models/stories-mqa \\
      --train corpus/tinystories_train*.txt --valid corpus/tinystories_valid.txt

Where the folder of --converted is not there, it is made first, which builds chapter 5's program.
"""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

from story_data import load_stream, load_tokenizer
from story_loss import validation_loss
from story_model import load_model, read_json, write_json
from train_stories import optimization, train, where, write_card

ROOT = Path(__file__).resolve().parent.parent


class Mistake(Exception):
    """What the user gave and can't be used."""


def convert(args):
    """The converted model's folder, made where it is not there, and the command that makes it."""
    flags = ["5", "--model", args.original, "--convert", args.converted, "--kv-heads", str(args.kv_heads),
             "--pool", args.pool]
    if not Path(args.converted).exists() and subprocess.run([ROOT / "run", *flags]).returncode != 0:
        raise Mistake(f"--converted is {args.converted}, which is not there and could not be made")
    config = read_json(Path(args.converted) / "config.json")
    if config["num_key_value_heads"] != args.kv_heads:
        raise Mistake(f"{args.converted}/config.json: num_key_value_heads is {config['num_key_value_heads']}, but "
                      f"--kv-heads is {args.kv_heads}; give another folder")
    return shlex.join(["./run", *(os.path.basename(flag) if os.path.isabs(flag) else flag for flag in flags)])


def loss_of(folder, valid, args):
    model = load_model(folder, args.device)
    return validation_loss(model, valid.to(args.device), model.shape.context)


def uptrain(args):
    converted_by = convert(args)
    original = read_json(Path(args.original) / "training.json")
    args.steps = args.steps or round(args.share * original["result"]["steps"])
    args.init, args.tokenizer, args.teacher = args.converted, args.original, [args.original]
    valid = load_stream(args.valid, load_tokenizer(args.original))
    losses = {"original_loss": loss_of(args.original, valid, args),
              "converted_loss": loss_of(args.converted, valid, args)}
    print(", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()), flush=True)
    train(args)

    output = Path(args.output)
    log = read_json(output / "training.json")
    log["uptraining"] = {"original": os.path.basename(os.path.normpath(args.original)),
                         "original_kv_heads": original["shape"]["kv_heads"],
                         "original_steps": original["result"]["steps"], "converted_by": converted_by, **losses}
    write_json(output / "training.json", log)
    write_card(output, args.seed)
    print(f"validation loss {losses['converted_loss']:.4f} before, {log['result']['validation_loss']:.4f} after; "
          f"{losses['original_loss']:.4f} with {original['shape']['kv_heads']} KV heads")


class Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """The text above as it is, and every flag's default."""


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Formatter,
                                     parents=[where(), optimization()])
    parser.add_argument("--kv-heads", type=int, required=True, help="KV heads of the converted model")
    parser.add_argument("--converted", required=True, help="its folder, as `./run 5 --convert` writes it")
    parser.add_argument("--pool", default="mean", choices=["mean", "first", "random"], help="how it is converted")
    parser.add_argument("--original", default="models/stories", help="folder of the model that was converted")
    parser.add_argument("--train", nargs="+", required=True, help="text files of stories, or token streams (.npy)")
    parser.add_argument("--valid", required=True, help="held-out text; the weights that score best on it are kept")
    parser.add_argument("--output", required=True, help="folder to write")
    parser.add_argument("--share", type=float, default=0.05, help="steps, as a share of the original's, where no --steps are given")
    # The original's recipe, but for a warmup as short as the training.
    parser.set_defaults(dropout=0.0, distil_weight=1.0, warmup=20, evals=10, max_seconds=3600.0)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        uptrain(parse())
    except Mistake as mistake:
        print(mistake, file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
