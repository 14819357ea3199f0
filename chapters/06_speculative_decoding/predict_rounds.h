// What rounds must read and how long they should take.
#pragma once

#include "chapters/06_speculative_decoding/speculative_generation.h"
#include "common/program/predict.h"

namespace llm {

// `draft` is null where no model drafts.

// Bytes that all passes of a text must read, the draft model's among them.
double count_round_bytes(const Transformer& model, const Transformer* draft, const SpeculativeSequence& text);

// A token's part of a round: the roofline's time for k passes of the draft model and the one that verifies, over the
// tokens that the formula expects at the text's rate of acceptance. NaN where there was no round.
double predict_token_ms(const Transformer& model, const Transformer* draft, const MachineRates& rates,
                        const SpeculativeSequence& text);

}  // namespace llm
