// Every load and store of a kernel, as the compiler's hooks tell it: what is known here goes to traffic.h and races.h.
#pragma once

#include <cstddef>

#include "common/simt/memory.h"

namespace llm::simt {

// An access by the running thread; `code` is the address in the kernel's code after the instruction. For functions that
// access memory in a kernel's place.
void note_read(const void* address, size_t size, const void* code);
void note_write(const void* address, size_t size, const void* code);
void note_atomic(const void* address, size_t size, const void* code);

// Whether this program's CUDA sources call the hooks. Those of an asan build do not.
bool sources_are_instrumented();

// For launch.cpp: accesses are told between these two, those to shared memory only within this range.
void start_watching(AddressRange shared);
void stop_watching();

}  // namespace llm::simt
