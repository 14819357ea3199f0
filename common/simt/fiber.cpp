#include "common/simt/fiber.h"

#include <boost/context/protected_fixedsize_stack.hpp>
#include <exception>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#else
// Without AddressSanitizer there is nobody to tell.
static void __sanitizer_start_switch_fiber(void**, const void*, size_t) {}
static void __sanitizer_finish_switch_fiber(void*, const void**, size_t*) {}
#endif

namespace llm::simt {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = 512 * 1024;  // its frames are larger
#else
constexpr size_t kStackBytes = 128 * 1024;  // only the pages that are touched cost memory
#endif

Fiber* left = nullptr;  // that the last switch went from

}  // namespace

Fiber::Fiber(size_t index, std::function<void()> main) : main_(std::move(main)) {
  boost::context::protected_fixedsize_stack allocator(kStackBytes);  // ends at a page that faults
  const boost::context::stack_context stack = allocator.allocate();
  // All stacks begin at a page's end. Where they begin at the same place of it, the threads of a block drive each other
  // out of the first cache, which finds a line by that place.
  const size_t color = index * 320 % 4096;
  char* const top = static_cast<char*>(stack.sp) - color;
  stack_bottom_ = static_cast<char*>(stack.sp) - stack.size;
  stack_size_ = stack.size;
  context_ = boost::context::fiber(std::allocator_arg, boost::context::preallocated(top, stack.size - color, stack),
                                   allocator, [this](boost::context::fiber&& from) -> boost::context::fiber {
                                     arrive(std::move(from));
                                     main_();
                                     std::terminate();
                                   });
}

void Fiber::switch_to(Fiber& next) {
  left = this;
  __sanitizer_start_switch_fiber(&fake_stack_, next.stack_bottom_, next.stack_size_);
  arrive(std::move(next.context_).resume());
}

// `from` is where the fiber that was left goes on.
void Fiber::arrive(boost::context::fiber&& from) {
  __sanitizer_finish_switch_fiber(fake_stack_, &left->stack_bottom_, &left->stack_size_);
  left->context_ = std::move(from);
}

}  // namespace llm::simt
