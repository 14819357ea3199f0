#include "common/ops/ops.h"

namespace llm {

const Ops& ops_for(Device device) {
  static constexpr Ops kCpu = {
      .make_matrix = cpu::make_matrix,
      .embed = cpu::embed,
      .add_rmsnorm = cpu::add_rmsnorm,
      .matmul = cpu::matmul,
      .rope_and_store = cpu::rope_and_store,
      .swiglu = cpu::swiglu,
      .gather_rows = cpu::gather_rows,
      .attend = cpu::attend,
  };
  if (device == Device::cpu) return kCpu;
  fail_input("this build has no device {}: run with --device cpu", name_of(device));
}

}  // namespace llm
