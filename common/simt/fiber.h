// A stack of its own on which a function runs until it suspends itself, to be resumed there later: Boost.Context's
// fiber, announced to AddressSanitizer, which must know on which stack we are.
#pragma once

#include <boost/context/fiber.hpp>
#include <functional>

namespace llm::simt {

class Fiber {
 public:
  // `main` may never return: it suspends itself instead.
  explicit Fiber(std::function<void()> main);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From the owner: runs it until it suspends itself.
  void resume();
  // From within: goes back to the owner.
  void suspend();

 private:
  std::function<void()> main_;
  boost::context::stack_context stack_;
  boost::context::fiber inside_;  // where it is suspended
  boost::context::fiber owner_;   // where it was resumed
  void* inside_fake_stack_ = nullptr;
  void* owner_fake_stack_ = nullptr;
  const void* owner_stack_bottom_ = nullptr;
  size_t owner_stack_size_ = 0;
};

}  // namespace llm::simt
