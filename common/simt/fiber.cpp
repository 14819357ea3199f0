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

}  // namespace

Fiber::Fiber(std::function<void()> main) : main_(std::move(main)) {
  boost::context::protected_fixedsize_stack allocator(kStackBytes);  // ends at a page that faults
  stack_ = allocator.allocate();
  inside_ = boost::context::fiber(std::allocator_arg, boost::context::preallocated(stack_.sp, stack_.size, stack_),
                                  allocator, [this](boost::context::fiber&& owner) -> boost::context::fiber {
                                    owner_ = std::move(owner);
                                    __sanitizer_finish_switch_fiber(nullptr, &owner_stack_bottom_, &owner_stack_size_);
                                    main_();
                                    std::terminate();
                                  });
}

void Fiber::resume() {
  const char* bottom = static_cast<const char*>(stack_.sp) - stack_.size;
  __sanitizer_start_switch_fiber(&owner_fake_stack_, bottom, stack_.size);
  inside_ = std::move(inside_).resume();
  __sanitizer_finish_switch_fiber(owner_fake_stack_, nullptr, nullptr);
}

void Fiber::suspend() {
  __sanitizer_start_switch_fiber(&inside_fake_stack_, owner_stack_bottom_, owner_stack_size_);
  owner_ = std::move(owner_).resume();
  __sanitizer_finish_switch_fiber(inside_fake_stack_, &owner_stack_bottom_, &owner_stack_size_);
}

}  // namespace llm::simt
