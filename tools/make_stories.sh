#!/usr/bin/env bash
# tools/make_stories.sh CORPUS: makes models/stories, -draft, -gqa and -mqa anew, on a machine with a GPU.
# CORPUS is a folder with texts to train on, tinystories_train*.txt, and one to hold out, tinystories_valid.txt, each
# with a line <|endoftext|> after every story; the tokenizer, the teachers and what they write are left there too.
# The models in the repository were trained by time; here stand the steps that they made in it.
set -euo pipefail
if (($# != 1)) || [[ ! -d $1 ]]; then
  echo "usage: tools/make_stories.sh CORPUS, the folder of the stories to train on" >&2
  exit 2
fi
corpus=$(cd -- "$1" && pwd)
cd "$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")"
text=("$corpus"/tinystories_train*.txt)
for file in "${text[@]}" "$corpus/tinystories_valid.txt"; do
  if [[ ! -f $file ]]; then
    echo "$file is missing; tools/train_stories.py --help says where anyone gets the text" >&2
    exit 2
  fi
done

make() { python3 tools/train_stories.py "$@"; }
train() { make train --tokenizer "$corpus/tokenizer" --valid "$corpus/tinystories_valid.txt" "$@"; }

make tokenizer --train "${text[@]}" --output "$corpus/tokenizer"

# Two bigger models, each regularized in its own way. Together they know more than either.
big=(--dim 384 --layers 6 --heads 6 --hidden 1024 --lr 1.5e-3)
train --output "$corpus/big-a" --train "${text[@]}" "${big[@]}" --steps 5699 \
  --dropout 0.2 --attention-dropout 0.1 --weight-decay 0.1 --seed 11
train --output "$corpus/big-b" --train "${text[@]}" "${big[@]}" --steps 5935 \
  --dropout 0.1 --weight-decay 0.8 --seed 12

# One batch of stories from each. A smaller --batch needs less memory.
make write --model "$corpus/big-a" --output "$corpus/big-a-stories.npy" --tokens 1000000 --batch 4096 --seed 797
make write --model "$corpus/big-b" --output "$corpus/big-b-stories.npy" --tokens 1000000 --batch 4096 --seed 798
text+=("$corpus/big-a-stories.npy" "$corpus/big-b-stories.npy")

train --output models/stories --train "${text[@]}" --steps 5993 \
  --teacher "$corpus/big-a" --teacher "$corpus/big-b" --dropout 0 --distil-weight 1 --lr 2e-3
train --output models/stories-draft --train "${text[@]}" --steps 5019 --dim 96 --layers 2 --heads 3 --hidden 256 \
  --teacher models/stories --dropout 0 --distil-weight 1 --lr 4e-3 --batch 128

make card --model models/stories
make card --model models/stories-draft

uptrain() { python3 tools/uptrain_gqa.py --train "${text[@]}" --valid "$corpus/tinystories_valid.txt" "$@"; }

uptrain --kv-heads 2 --converted "$corpus/stories-2" --output models/stories-gqa
uptrain --kv-heads 1 --converted "$corpus/stories-1" --output models/stories-mqa
