break reverse_kernel.cuh:24 if llm::simt::blockIdx.x == 1 && llm::simt::threadIdx.x == 5
run
print thread
print smem.numbers_smem
next
print smem.numbers_smem
next
print llm::simt::threadIdx
print smem.numbers_smem
next
print block_numbers[thread]
