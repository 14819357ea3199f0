#include "chapters/06_speculative_decoding/formulas.h"

#include <cmath>

namespace llm {

// region: formulas
double expected_tokens(double alpha, int k) {
  return alpha == 1.0 ? k + 1.0 : (1.0 - std::pow(alpha, k + 1)) / (1.0 - alpha);
}

double round_cost(int k, double c, double v) { return k * c + v; }

double expected_speedup(double alpha, int k, double c, double v) {
  return expected_tokens(alpha, k) / round_cost(k, c, v);
}
// endregion

}  // namespace llm
