"""Story text for training: the tokenizer, the token stream, and the windows cut from it.

A corpus file is text with a line `<|endoftext|>` after each story, or the .npy token stream that
`train_stories.py write` makes. A stream is [N] tokens: stories end to end, each preceded by the separator.
"""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from story_model import SEPARATOR, SEPARATOR_ID, write_json


def read_stories(path):
    stories = Path(path).read_text(encoding="utf-8").split(f"\n{SEPARATOR}")
    return [story.strip() for story in stories if story.strip()]


def train_tokenizer(paths, vocab):
    """Byte-level BPE with GPT-2's pre-tokenizer; encoding puts the separator first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=[SEPARATOR], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator((story for path in paths for story in read_stories(path)), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SEPARATOR} $A", pair=f"{SEPARATOR} $A {SEPARATOR} $B", special_tokens=[(SEPARATOR, SEPARATOR_ID)])
    return tokenizer


def save_tokenizer(tokenizer, folder, context):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SEPARATOR,
        "eos_token": SEPARATOR,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
    })


def load_tokenizer(folder):
    return Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))


def load_stream(path, tokenizer):
    """[N] tokens of a corpus file."""
    if Path(path).suffix == ".npy":
        return torch.from_numpy(np.load(path).astype(np.int64))
    encodings = tokenizer.encode_batch_fast(read_stories(path))
    return torch.from_numpy(np.concatenate([np.asarray(encoding.ids, dtype=np.int64) for encoding in encodings]))


def shuffled(stream, random):
    """The stream with its stories in another order."""
    starts = (stream == SEPARATOR_ID).nonzero().flatten()
    lengths = torch.diff(starts, append=starts.new_tensor([len(stream)]))
    order = torch.randperm(len(starts), generator=random).to(stream.device)
    old, length = starts[order], lengths[order]
    new = length.cumsum(0) - length
    source = torch.arange(int(length.sum()), device=stream.device) + (old - new).repeat_interleave(length)
    return stream[source]


def epoch_windows(stream, context, start_share, random):
    """[windows, context + 1] tokens in random order: one pass over the stories, differently shuffled and cut each time.

    Consecutive windows tile the stream from a random offset; a share of them is moved back to where the story it cuts
    begins, since the model is used from a story's beginning.
    """
    stream = shuffled(stream, random)
    offset = int(torch.randint(min(context, len(stream) - context), (1,), generator=random))
    begin = torch.arange(offset, len(stream) - context, context, device=stream.device)
    starts = (stream == SEPARATOR_ID).nonzero().flatten()
    story = starts[torch.searchsorted(starts, begin, right=True) - 1]
    moved = (torch.rand(len(begin), generator=random) < start_share).to(stream.device)
    begin = torch.where(moved, story, begin)
    begin = begin[torch.randperm(len(begin), generator=random).to(stream.device)]
    return stream[begin[:, None] + torch.arange(context + 1, device=stream.device)]


def endless_batches(stream, context, batch, start_share, random):
    """[batch, context + 1] windows, epoch after epoch; an epoch's last, smaller batch is left out."""
    while True:
        for windows in epoch_windows(stream, context, start_share, random).split(batch):
            if len(windows) == batch:
                yield windows


def scored_windows(length, context, stride):
    """(start, first scored target) of windows that together score every target of `length` tokens once."""
    context = min(context, length - 1)
    windows, scored = [(0, 0)], context
    while scored < length - 1:
        end = min(scored + stride, length - 1)
        windows.append((end - context, context - (end - scored)))
        scored = end
    return context, windows
