// Text to token ids and back, as a Hugging Face tokenizer.json describes it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llm {

class Decoding;

// Byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM2) and SentencePiece-style BPE (Llama 2, Mistral, TinyLlama).
// May be used by several threads at once.
class Tokenizer {
 public:
  // Reads `folder`/tokenizer.json, and nothing else: where that file exists, Hugging Face's library takes no BOS or EOS
  // rules from tokenizer_config.json either. Its `truncation` and `padding` are not applied. Throws InputError naming
  // the part that is malformed or not supported.
  static Tokenizer load(const std::filesystem::path& folder);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Added and special tokens in the text are recognized. `add_special_tokens`: BOS and EOS as the post-processor says.
  // Any bytes are accepted: invalid UTF-8 is replaced by U+FFFD first (see repair_utf8).
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = true) const;

  // Invalid UTF-8 that byte tokens may form becomes U+FFFD. Ids outside the vocabulary are passed over.
  std::string decode(const std::vector<int32_t>& ids, bool skip_special_tokens = true) const;

  int vocab_size() const;  // one more than the largest id
  bool is_special(int32_t id) const;
  std::string token(int32_t id) const;  // as the file spells it: "Ġred", "▁red", "<0x0A>"; "" where there is none
  int32_t find(std::string_view token) const;  // -1: not there

 private:
  friend class StreamDecoder;
  struct Parts;
  explicit Tokenizer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Text as it grows, token by token: only whole UTF-8 characters come out, and only what no later token can change. A
// run of byte tokens ("<0xE2>") comes out when it has ended.
class StreamDecoder {
 public:
  // The tokenizer's address may change while it lives, but it must outlive the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens = true);
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;
  ~StreamDecoder();

  // The text that this token completes, perhaps none. All parts put together equal decode() of all tokens.
  std::string push(int32_t id);
  // What is left when no more tokens come: an unfinished character becomes U+FFFD. The next push begins a new text.
  std::string finish();

 private:
  const Tokenizer::Parts* parts_;
  bool skip_special_tokens_;
  std::unique_ptr<Decoding> decoding_;
};

}  // namespace llm
