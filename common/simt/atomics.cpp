#include "common/simt/atomics.h"

#include <algorithm>

#include "common/simt/access_hooks.h"

namespace llm::simt {

namespace {

template <class T, class Change>
[[gnu::always_inline]] inline T update(T* address, Change change) {
  note_atomic(address, sizeof(T), __builtin_return_address(0));
  const T before = *address;
  *address = change(before);
  return before;
}

// Wraps around, as on the device.
int wrapping_sum(int a, int b) { return static_cast<int>(static_cast<unsigned>(a) + static_cast<unsigned>(b)); }

}  // namespace

int atomicAdd(int* address, int value) {
  return update(address, [=](int x) { return wrapping_sum(x, value); });
}
unsigned atomicAdd(unsigned* address, unsigned value) {
  return update(address, [=](unsigned x) { return x + value; });
}
unsigned long long atomicAdd(unsigned long long* address, unsigned long long value) {
  return update(address, [=](unsigned long long x) { return x + value; });
}
float atomicAdd(float* address, float value) {
  return update(address, [=](float x) { return x + value; });
}

int atomicMax(int* address, int value) {
  return update(address, [=](int x) { return std::max(x, value); });
}
unsigned atomicMax(unsigned* address, unsigned value) {
  return update(address, [=](unsigned x) { return std::max(x, value); });
}
int atomicMin(int* address, int value) {
  return update(address, [=](int x) { return std::min(x, value); });
}
unsigned atomicMin(unsigned* address, unsigned value) {
  return update(address, [=](unsigned x) { return std::min(x, value); });
}

int atomicExch(int* address, int value) {
  return update(address, [=](int) { return value; });
}
unsigned atomicExch(unsigned* address, unsigned value) {
  return update(address, [=](unsigned) { return value; });
}
float atomicExch(float* address, float value) {
  return update(address, [=](float) { return value; });
}

int atomicCAS(int* address, int compare, int value) {
  return update(address, [=](int x) { return x == compare ? value : x; });
}
unsigned atomicCAS(unsigned* address, unsigned compare, unsigned value) {
  return update(address, [=](unsigned x) { return x == compare ? value : x; });
}

}  // namespace llm::simt
