// Text to token ids and back, as a Hugging Face tokenizer.json describes it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llm {

// Byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM2) and SentencePiece-style BPE (Llama 2, Mistral, TinyLlama).
class Tokenizer {
 public:
  // Reads `folder`/tokenizer.json (and tokenizer_config.json where the first leaves a question open). Throws InputError
  // naming the part that is malformed or not supported.
  static Tokenizer load(const std::filesystem::path& folder);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Added and special tokens in the text are recognized. `add_special_tokens`: BOS and EOS as the post-processor says.
  // Any bytes are accepted: invalid UTF-8 is replaced by U+FFFD first, as Hugging Face's Python does on decoding input.
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = true) const;

  // Invalid UTF-8 that byte tokens may form becomes U+FFFD. Ids outside the vocabulary are passed over.
  std::string decode(const std::vector<int32_t>& ids, bool skip_special_tokens = true) const;

  int vocab_size() const;  // one more than the largest id
  bool is_special(int32_t id) const;
  std::string token(int32_t id) const;                // as the file spells it: "Ġred", "▁red", "<0x0A>"
  int32_t find(std::string_view token) const;         // -1: not there

 private:
  struct Parts;
  explicit Tokenizer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Text as it grows, token by token: only whole UTF-8 characters come out.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // The text that this token completes, perhaps none. All parts put together equal decode() of all tokens.
  std::string push(int32_t id);
  // What is left when no more tokens come: an unfinished character becomes U+FFFD.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  std::vector<int32_t> ids_;  // tokens whose text is not yet all out, and those before them that shape it
  std::string printed_;       // what of decode(ids_) is already out
};

}  // namespace llm
