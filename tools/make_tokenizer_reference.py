"""Writes tests/reference/tokenizer: small tokenizers of every supported kind,
and what Hugging Face's library makes of
nasty text with them.

    python tools/make_tokenizer_reference.py [--out DIR] [--fuzz N] [--seed S]

    texts.json            the texts: hex of their bytes, which need not be UTF-8, times "repeat"
    KIND/tokenizer.json   trained on the few lines below
    KIND/expected.json    one record a text:
        ids           with special tokens, as a list, or [count, hash] where the list is long
        ends          how many special tokens the post-processor put before and after the others; left out: [0, 0]
        decoded       decode(ids, skip special); left out where it equals the text (its invalid UTF-8 replaced)
        decoded_all   decode(ids, keep special); left out where it equals decoded
    parts.json            single normalizers, pre-tokenizers and decoders: settings, input, output

A hash is FNV-1a, 64 bits, over the ids as little-endian int32 or over the text as UTF-8.
"""

import argparse
import json
import random
import re
from pathlib import Path

import tokenizers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

LONG = 120  # ids or characters beyond which only a count and a hash are stored

TRAINING = """
Once upon a time there was a red kite. It didn't like the rain, and it wouldn't fly when the wind wasn't strong.
"I'll wait," said the kite. "You're late," said the wind, "but we've got all day, and I'd rather play with you."
The children were running, jumping, singing and laughing in the garden; their mothers and fathers were watching.
In 1984 there were 3,141 kites; in 2024 there were 27182. Half of them, 50%, cost $12.50 or more!
    def fly(kite):\n        return kite.height * 2  # indented by four and eight spaces\n\n\n\tTabs, too.\r\n
Le garçon a mangé une crêpe à la fraise. Die Straße führt über die Brücke. El niño pequeño soñó con señales.
Мальчик играл в саду, и мама пела песню. Το παιδί έπαιζε στον κήπο. 猫はとても小さいです。今日は天気がいいですね。
小猫在花园里玩,天气很好。 아이가 정원에서 놀았다. ילד שיחק בגן. لعب الطفل في الحديقة. बच्चा बगीचे में खेला।
🙂🙂 👍🏽 👩‍👩‍👧 ❤️ the end. Once upon a time the little girl and the little dog went to the park and played.
The dog was happy. The girl was happy. They went home, and mother said that it was time to sleep. Good night!
""".strip("\n").split("\n")

# Patterns as the models' own files spell them.
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
UNDERLINE = "\u2581"  # what SentencePiece writes for a space


def nasty_texts():
    texts = [
        "", " ", "  ", "   ", "a", " a", "a ", "  a  b  ", "Once upon a time", " the little girl", "Hello, World!",
        "\n", "\n\n", "\r\n", "\r\n\r\n x", "\t\tx\ty", "a\n\n\n   b", " \n \n ",
        "line one\nline two\r\nline three\n",
        "x" + " " * 17 + "y", " " * 40, "\u00a0\u2003\u3000 wide\u2028spaces\u0085here\u180e!",
        "I'm you're he's we'll they've I'd don't", "I'M YOU'RE HE'S WE'LL THEY'VE I'D DON'T",
        "it\u2019s don\u2019t I\u2019M",
        "'s't're 'S \u017f '\u017f '\u212a", "0", "1 22 333 4444 55555", "3.14159e-10, 1,000,000", "x1y2z3",
        "\u0663\u0664 \u0967\u0968 \u2167 \u00bd \u00b2 \u2460 \u5341", "na\u00efve caf\u00e9",
        "nai\u0308ve cafe\u0301",
        "A\u030a \u00c5 \u212b", "q\u0323\u0307 q\u0307\u0323", "\u1112\u1161\u11ab \ud55c",
        "\ufb01n \u2126 \u2460 \uff21\uff22",
        "Z\u0351\u036b\u0343a\u0328l\u035fgo\u0322", "\u0301\u0301",
        "\u0130stanbul I\u0307 \u0131 \u01c5 \u03a3\u03c3\u03c2",
        "\U0001f642", "\U0001f44d\U0001f3fd", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f\u2764",
        "\U0001f1e9\U0001f1ea \U0001f3f4\U000e0067\U000e007f", "a\u200bb\u200cc\u200dd\ufeffe",
        "\u202eright to left\u202c",
        "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
        "\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645",
        "\u732b\u306f\u5c0f\u3055\u3044\u3002",
        "\u4eca\u5929\u5929\u6c14\u5f88\u597d\uff0c\u6211\u4eec\u53bb\u516c\u56ed\u3002",
        "\uc544\uc774\uac00 \ub180\uc558\ub2e4", "\U00020000\U0002a6d6",
        "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0915\u094d\u0937",
        "\x00", "a\x00b\x00", "\x01\x02\x1b[31mred\x1b[0m\x7f", "\u0080\u009f", "\ufffd", "\ufffe\uffff\U0010ffff",
        "<|endoftext|>", "a<|endoftext|>b", "<|endoftext|><|endoftext|> x", "<|endoftex|> <|", "<s>a</s> b <unk>",
        " <s> a </s> ",
        "<tool>", "use <tool> now", "<tool><tool> x", "<tool_call> <tool>_call", "  <mask>  ", "a <mask>\n<mask> b",
        "x\u2003<mask>",
        "word", "a word here",
        "swordfish words word_ 1word word1 w\u00f6rd word\u0301 word\u200d word\u2460 \u24b6word word!",
        "cafe\u0301s caf\u00e9s CAF\u00c9S", " wrap  wrap\twrap", "<left>  <left>x", "x  <right>  <right> y",
        "\u2581", "\u2581a \u2581 b",
        "a\u2581b \u2581\u2581c", "<0x41>", "<0x0A><0xFF>", "\u0120the \u010a", "!!!???...",
        "#$%&()*+,-./:;<=>?@[\\]^_`{|}~",
        "http://example.org/a?b=c&d=%20", "def f(x):\n    return x**2\n\n\tif a:\n\t\tb()\n",
        "{\"key\": [1, 2, null]}",
        "CamelCase snake_case SCREAMING_CASE kebab-case", "e" * 31, "ignored unmerged", " unmerged",
    ]
    invalid = [b"\xff", b"a\xc3", b"\xc3(", b"\xe2\x82", b"\xe2\x28\xa1", b"\xf0\x9f\x99",
               b"\xf0\x9f\x99\x99\x99", b"\xed\xa0\x80", b"\xc0\x80", b"\xe0\x80\xaf", b"\xf4\x90\x80\x80",
               b"\xf8\x88\x80\x80\x80", b"ok \x80\x81 ok",
               b"\xf0\x80\x80\x41"]
    long = [("a", 10000), ("ab", 5000), ("the", 3334), ("\u732b", 3000), (" ", 3000), ("\n", 3000), ("7", 2000),
            ("\U0001f642", 1000), ("kite! ", 700)]
    return ([(text.encode("utf-8"), 1) for text in texts] + [(text, 1) for text in invalid]
            + [(text.encode("utf-8"), count) for text, count in long])


def fuzz_texts(count, seed):
    source = random.Random(seed)
    alphabets = [
        "abcdefgh the ", "aeiou ", " \t\n\r", "0123456789 .,", "'stremvdl'\u2019STREMVDL ",
        "\u00e9\u00e8\u00fc\u00df\u00f1e\u0301u\u0308 ",
        "\u0430\u0431\u0432 \u03b1\u03b2\u03b3", "\u732b\u4eca\u65e5\u306f\u3044\u3002",
        "\U0001f642\U0001f44d\U0001f3fd\u200d\ufe0f\U0001f467",
        "\u05d0\u05d1\u0627\u0644 ", "!?#\"()[]{}<>|_-", "\u200b\u200d\ufeff\u00a0\u2003\u3000\u0085",
        "\x00\x01\x1b\x7f", "\u2581 \u2581a",
        ["<tool>", "<mask>", "word", "<|endoftext|>", "<s>", "</s>", " ", "x", "<left>", "<right>", "cafe\u0301s",
         "wrap", "\n"],
        ["Once", " upon", " time", "the", " little", " girl", "didn't", ".", "\n\n", "  "],
        [chr(c) for c in range(0x20, 0x250)],
    ]
    texts = []
    for _ in range(count):
        picked = source.sample(alphabets, source.randint(1, 3))
        text = "".join(source.choice(source.choice(picked)) for _ in range(source.randint(1, 14)))
        data = text.encode("utf-8")
        if source.random() < 0.1:  # a byte lost: often no longer UTF-8
            cut = source.randrange(len(data))
            data = data[:cut] + data[cut + 1:]
        texts.append((data, 1))
    return texts


def byte_level_trainer(specials, vocab):
    return trainers.BpeTrainer(vocab_size=vocab, special_tokens=specials, show_progress=False,
                               initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


# What every tokenizer gets on top: tokens that stand alone, eat spaces, match inside words, or need normalizing.
ADDED = [AddedToken("<tool>", normalized=False), AddedToken("<tool_call>", normalized=False),
         AddedToken("<mask>", lstrip=True, normalized=False), AddedToken("word", single_word=True, normalized=True),
         AddedToken("caf\u00e9s", normalized=True), AddedToken("wrap", lstrip=True, rstrip=True, normalized=False),
         AddedToken("<left>", lstrip=True, normalized=True), AddedToken("<right>", rstrip=True, normalized=False)]


def gpt2():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TRAINING, byte_level_trainer(["<|endoftext|>"], 480))
    return tokenizer


def roberta():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TRAINING, byte_level_trainer(["<s>", "</s>"], 420))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return tokenizer


def llama3():
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False,
        use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TRAINING, byte_level_trainer([], 480))
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>"), AddedToken("<s>")])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(), processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[
            ("<s>", tokenizer.token_to_id("<s>"))])])
    return tokenizer


def qwen2():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False,
        use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel()
    tokenizer.train_from_iterator(TRAINING, byte_level_trainer([], 460))
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def smollm2():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TRAINING, byte_level_trainer(["<|endoftext|>", "<s>"], 460))
    return tokenizer


def sentencepiece_model():
    """The bare model of a SentencePiece-style vocabulary: special tokens, 256 bytes, characters and merges."""
    model = Tokenizer(models.BPE())
    model.normalizer = normalizers.Sequence([normalizers.Prepend(UNDERLINE), normalizers.Replace(" ", UNDERLINE)])
    model.pre_tokenizer = pre_tokenizers.Split(UNDERLINE, "merged_with_next")
    model.train_from_iterator(TRAINING, trainers.BpeTrainer(vocab_size=430, show_progress=False, limit_alphabet=120))
    trained = json.loads(model.to_str())["model"]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + list(trained["vocab"])
    vocab = {token: i for i, token in enumerate(tokens)}
    return vocab, [tuple(merge) for merge in trained["merges"]]


def add_sentencepiece_ends(tokenizer, template):
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, pair=f"{template} <s> $B", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer


def llama2():
    vocab, merges = sentencepiece_model()
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(UNDERLINE), normalizers.Replace(" ", UNDERLINE)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace(UNDERLINE, " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    return add_sentencepiece_ends(tokenizer, "<s> $A")


def mistral():
    vocab, merges = sentencepiece_model()
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(UNDERLINE, "first", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(UNDERLINE, " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    return add_sentencepiece_ends(tokenizer, "<s> $A")


def metaspace():
    vocab, merges = sentencepiece_model()
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(UNDERLINE, "always", split=True)
    tokenizer.decoder = decoders.Metaspace(UNDERLINE, "always")
    return add_sentencepiece_ends(tokenizer, "<s> $A </s>")


KINDS = [gpt2, roberta, llama3, qwen2, smollm2, llama2, mistral, metaspace]


def as_file(kind, tokenizer):
    """tokenizer.json's text, with what the library no longer writes but real files have."""
    settings = json.loads(tokenizer.to_str())
    if kind == "gpt2":  # merges as strings, as all files had them until 2024
        settings["model"]["merges"] = [" ".join(merge) for merge in settings["model"]["merges"]]
    if kind == "llama3":  # a token that no merge makes: found only where merges are ignored
        vocab = settings["model"]["vocab"]
        removed = max(vocab, key=vocab.get)
        settings["model"]["merges"] = [merge for merge in settings["model"]["merges"] if "".join(merge) != removed]
        vocab["\u0120unmerged"] = vocab.pop(removed)
    return json.dumps(settings, ensure_ascii=False, separators=(",", ":"))


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def stored_ids(ids):
    if len(ids) <= LONG:
        return ids
    return [len(ids), fnv1a(b"".join(token.to_bytes(4, "little") for token in ids))]


def stored_text(text):
    return text if len(text) <= LONG else [len(text.encode("utf-8")), fnv1a(text.encode("utf-8"))]


def expected(tokenizer, data):
    text = data.decode("utf-8", errors="replace")
    ids = tokenizer.encode(text).ids
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    decoded_all = tokenizer.decode(ids, skip_special_tokens=False)
    record = {"ids": stored_ids(ids)}
    if plain != ids:
        added = len(ids) - len(plain)
        record["ends"] = next([front, added - front] for front in range(added + 1)
                              if ids[front:front + len(plain)] == plain)
    if decoded != text:
        record["decoded"] = stored_text(decoded)
    if decoded_all != decoded:
        record["decoded_all"] = stored_text(decoded_all)
    return record


def parts():
    """Single steps, asked directly."""
    texts = ["", "a", " a b", "How are you  doing?", "a--b-", "--a", "x12y3", "\u2581a \u2581 b",
             "na\u00efve cafe\u0301 \ufb01 \u212b \u0130\u03a3",
             "it's 3,000\n\n  'LL!", "\U0001f642\U0001f44d\U0001f3fd \u732b", "\u1112\u1161\u11ab\u0301\u0323",
             "\u180e \u00a0x_y\u0301", "\u0663\u0664 7 \u00c9\u00e9"]
    behaviors = ["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"]
    settings = {"normalizers": [], "pre_tokenizers": [], "decoders": []}

    for step in [normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD(),
    normalizers.Lowercase(),
                 normalizers.Prepend(UNDERLINE), normalizers.Prepend("--"), normalizers.Replace(" ", UNDERLINE),
                 normalizers.Replace("--", ""), normalizers.Replace(Regex(r"\s+"), " "),
                 normalizers.Replace(Regex("x*"), "."),
                 normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.Replace("a", "bb")]),
                 normalizers.Sequence([])]:
        settings["normalizers"].append({"step": json.loads(step.__getstate__()),
                                        "cases": [[text, step.normalize_str(text)] for text in texts]})

    steps = [pre_tokenizers.Split(pattern, behavior, invert)
             for pattern in [Regex(r"\s+|-"), "-"] for behavior in behaviors for invert in [False, True]]
    steps += [pre_tokenizers.Split(Regex(r"\w+|[^\w\s]+"), "removed", True), pre_tokenizers.Split(Regex("x*"),
    "isolated"),
              pre_tokenizers.Split(Regex(O200K), "isolated"), pre_tokenizers.Split(Regex(r"[^\S\n]+|\d{,2}y"),
              "isolated"),
              pre_tokenizers.Split(Regex(r"\d+|(?i:\u00e9)"), "isolated"), pre_tokenizers.Digits(False),
              pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False),
              pre_tokenizers.ByteLevel(True), pre_tokenizers.ByteLevel(True, use_regex=False)]
    steps += [pre_tokenizers.Metaspace(UNDERLINE, scheme, split)
              for scheme in ["always", "first", "never"] for split in [False, True]]
    steps += [pre_tokenizers.Sequence([pre_tokenizers.Split("-", "removed"),
                                       pre_tokenizers.Metaspace(UNDERLINE, "first")]),
              pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(True)]),
              pre_tokenizers.Sequence([])]
    for step in steps:
        settings["pre_tokenizers"].append({
            "step": json.loads(step.__getstate__()),
            "cases": [[text, [piece for piece, _ in step.pre_tokenize_str(text)]] for text in texts]})

    byte = "<0x{:02X}>".format
    token_lists = [
        [], [""], ["a"], [" a", " b "], ["  a", "   ", " "], ["\u2581a", "\u2581b\u2581", "c"],
        ["\u2581\u2581a\u2581", "\u2581"], [byte(0xE5), byte(0x8F), byte(0xAB)], ["x", byte(0xE5), byte(0x8F), "y"],
        [byte(0x20), byte(0x41), byte(0xFF)], [byte(0xF0), byte(0x9F), byte(0x99), byte(0x82), byte(0x0A)],
        ["<0xzz>", "<0x4>", "<0x41> "], ["\u0120the", "\u00f0\u0141\u013b\u0124"], ["\u00e2", "\u0124", "x"],
        ["\u00e2\u0124", "\u732b", "\u0120"], ["a-", "-b", "--"], ["-", "-", "-", "b"],
    ]
    to_spaces, bytes_to_text, fuse = decoders.Replace(UNDERLINE, " "), decoders.ByteFallback(), decoders.Fuse()
    steps = [
        decoders.ByteLevel(), bytes_to_text, fuse, decoders.Strip(" ", 1, 0), decoders.Strip(" ", 2, 1),
        decoders.Strip(UNDERLINE, 0, 2), to_spaces, decoders.Replace("--", "="),
        decoders.Metaspace(UNDERLINE, "always"), decoders.Metaspace(UNDERLINE, "never"),
        decoders.Sequence([to_spaces, bytes_to_text, fuse, decoders.Strip(" ", 1, 0)]),
        decoders.Sequence([to_spaces, fuse, decoders.Strip(" ", 1, 2)]),
        decoders.Sequence([fuse, decoders.Replace("--", "=")]),
        decoders.Sequence([bytes_to_text, decoders.Strip(" ", 1, 1), decoders.Metaspace(UNDERLINE, "first")]),
        decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 1)]), decoders.Sequence([]),
    ]
    # The library's Strip panics on tokens shorter than what it may cut at their ends.
    long_token_lists = [tokens for tokens in token_lists if min(map(len, tokens), default=0) >= 4] + [
        [" abc ", "  b  c  "], ["    ", "x    "], ["\u2581abc\u2581\u2581\u2581", "ab \u2581"], ["-  -", "\u2581   "]]
    for step in steps:
        cuts_ends = re.search(r'"stop": ?[1-9]', step.__getstate__().decode())
        settings["decoders"].append({
            "step": json.loads(step.__getstate__()),
            "cases": [[tokens, step.decode(tokens)] for tokens in (long_token_lists if cuts_ends else token_lists)]})
    return settings


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, list):  # a record a line, so that a change shows as one
        lines = ",\n".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in value)
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    else:
        path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "tests/reference/tokenizer")
    options.add_argument("--fuzz", type=int, default=150, help="how many random texts")
    options.add_argument("--seed", type=int, default=1)
    options = options.parse_args()

    texts = nasty_texts() + fuzz_texts(options.fuzz, options.seed)
    write(options.out / "texts.json", [{"hex": data.hex()} | ({"repeat": count} if count > 1 else {}) for data,
    count in texts])
    for make in KINDS:
        kind = make.__name__
        tokenizer = make()
        tokenizer.add_tokens(ADDED)
        text = as_file(kind, tokenizer)
        folder = options.out / kind
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
        tokenizer = Tokenizer.from_str(text)
        write(folder / "expected.json", [expected(tokenizer, data * count) for data, count in texts])
    settings = parts()
    write(options.out / "parts.json", [{"part": part} | record for part in settings for record in settings[part]])
    print(f"tokenizers {tokenizers.__version__}: {len(KINDS)} tokenizers, {len(texts)} texts, in {options.out}")


if __name__ == "__main__":
    main()
