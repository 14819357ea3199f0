// Atomic operations on global and shared memory, which return what stood there before. Threads take turns only where
// they wait, so that a plain read and write does; it stands in a .cpp, where no access hook takes it for one.
#pragma once

namespace llm::simt {

int atomicAdd(int* address, int value);
unsigned atomicAdd(unsigned* address, unsigned value);
unsigned long long atomicAdd(unsigned long long* address, unsigned long long value);
float atomicAdd(float* address, float value);

int atomicMax(int* address, int value);
unsigned atomicMax(unsigned* address, unsigned value);
int atomicMin(int* address, int value);
unsigned atomicMin(unsigned* address, unsigned value);

int atomicExch(int* address, int value);
unsigned atomicExch(unsigned* address, unsigned value);
float atomicExch(float* address, float value);

int atomicCAS(int* address, int compare, int value);
unsigned atomicCAS(unsigned* address, unsigned compare, unsigned value);

// Every access is seen by all at once: there is nothing to order.
inline void __threadfence() {}
inline void __threadfence_block() {}

}  // namespace llm::simt
