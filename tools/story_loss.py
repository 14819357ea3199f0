"""What a story model is trained towards and measured by: cross entropy, and likeness to its teachers.

B is the batch, T the tokens of a window; losses are nats per token.
"""

import contextlib

import torch
import torch.nn.functional as F

from story_data import scored_windows

EVAL_BATCH = 64


def autocast(device):
    """bf16 on a GPU; on a CPU, where it is slower, f32."""
    return torch.autocast("cuda", torch.bfloat16) if device == "cuda" else contextlib.nullcontext()


def ensemble(teachers, tokens):
    """[B, T, vocab]: the mean of the teachers' probabilities after tokens [B, T]."""
    with torch.no_grad(), autocast(tokens.device.type):
        return sum(F.softmax(teacher(tokens).float(), dim=-1) for teacher in teachers) / len(teachers)


def losses(model, tokens, targets, p, weight):
    """(objective, cross entropy) of targets [B, T] after tokens [B, T]; p [B, T, vocab] is the ensemble's, or None.

    objective = weight * KL(p, q) + (1 - weight) * cross entropy (Hinton et al. 2015, section 2, at temperature 1).
    """
    with autocast(tokens.device.type):
        logits = model(tokens).float().flatten(0, 1)
    cross_entropy = F.cross_entropy(logits, targets.flatten())
    if p is None:
        return cross_entropy, cross_entropy
    divergence = F.kl_div(F.log_softmax(logits, dim=-1), p.flatten(0, 1), reduction="sum") / len(logits)
    return weight * divergence + (1 - weight) * cross_entropy, cross_entropy


@torch.no_grad()
def validation_loss(model, stream, stride):
    """Mean cross entropy over the stream; each window but the first scores its last `stride` tokens."""
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
    """How a student does beside its teachers' mean probabilities p, over windows end to end.

    overlap, the mean of sum min(p, q), is how often speculative sampling takes a draft's token (Leviathan et al. 2023,
    section 3.2); greedy_agreement is how often both find the same token likeliest.
    """
    model.eval()
    context = model.shape.context
    count = (len(stream) - 1) // context
    tokens, targets = (stream[i : i + count * context].view(count, context) for i in (0, 1))
    overlap, agreement, loss = 0.0, 0.0, 0.0
    for x, y in zip(tokens.split(EVAL_BATCH), targets.split(EVAL_BATCH)):
        p = ensemble(teachers, x)
        q = F.softmax(model(x).float(), dim=-1)
        overlap += float(torch.minimum(p, q).sum())
        agreement += float((p.argmax(-1) == q.argmax(-1)).sum())
        loss -= float(p.gather(-1, y[..., None]).log().sum())
    model.train()
    return {"overlap": overlap / tokens.numel(), "greedy_agreement": agreement / tokens.numel(),
            "teachers_loss": loss / tokens.numel()}
