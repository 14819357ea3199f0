// A stack of its own on which a function runs until it switches to another fiber, and goes on when one switches back:
// Boost.Context's fiber, announced to AddressSanitizer, which must know on which stack we are.
#pragma once

#include <boost/context/fiber.hpp>
#include <functional>

namespace llm::simt {

class Fiber {
 public:
  // The one that runs already: the thread's own stack.
  Fiber() = default;
  // `main` may never return: it switches to another fiber instead. `index` tells fibers apart.
  Fiber(size_t index, std::function<void()> main);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From within this fiber, until one switches back.
  void switch_to(Fiber& next);

 private:
  void arrive(boost::context::fiber&& from);

  std::function<void()> main_;
  boost::context::fiber context_;  // where it goes on
  const void* stack_bottom_ = nullptr;
  size_t stack_size_ = 0;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
};

}  // namespace llm::simt
