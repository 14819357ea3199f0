// Tests that run on a GPU, or on what stands in for one: skipped, with the reason, where the device is not there.
#pragma once

#include <gtest/gtest.h>

#include "common/tensor/device_memory.h"

namespace llm {

// Why `device` can't be used here; empty where it can.
inline std::string missing_device(Device device) {
  try {
    require_device(device);
    return "";
  } catch (const InputError& error) {
    return error.what();
  }
}

}  // namespace llm

// In SetUp or at a test's beginning.
#define LLM_SKIP_WITHOUT(device) \
  if (const std::string why = ::llm::missing_device(device); !why.empty()) GTEST_SKIP() << why
