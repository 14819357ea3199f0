// Which line of a kernel a code address belongs to.
#pragma once

#include <string>

namespace llm::simt {

// "few_rows_kernel.cuh:60" for the address to which a call in a kernel returns. Of functions that the compiler drew
// together it names the innermost that is not the simulator's own. Needs binutils' addr2line; else it is the bare
// address.
std::string source_line(const void* return_address);

}  // namespace llm::simt
