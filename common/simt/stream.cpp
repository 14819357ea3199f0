#include "common/simt/stream.h"

#include <chrono>
#include <utility>
#include <vector>

namespace llm::simt {

using Work = std::vector<std::function<void()>>;

struct CUgraph_st {
  Work work;
};

struct CUgraphExec_st {
  Work work;
};

struct CUstream_st {
  bool capturing = false;
  bool spoiled = false;
  Work captured;
};

struct CUevent_st {
  bool recorded = false;
  std::chrono::steady_clock::time_point time;
};

namespace {

thread_local CUstream_st* capturing_stream = nullptr;  // at most one: a second has nothing to join it
thread_local bool late = false;
thread_local Work late_work;  // of all streams, in the order in which it was given

void do_late_work() {
  const bool was_late = std::exchange(late, false);
  for (const std::function<void()>& work : std::exchange(late_work, {})) work();
  late = was_late;
}

}  // namespace

bool refused_in_capture() {
  if (capturing_stream == nullptr) return false;
  capturing_stream->spoiled = true;
  return true;
}

void do_on_stream(cudaStream_t stream, std::function<void()> work) {
  if (stream != nullptr && stream->capturing) {
    stream->captured.push_back(std::move(work));
  } else if (late) {
    late_work.push_back(std::move(work));
  } else {
    work();
  }
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (capturing_stream == stream) capturing_stream = nullptr;
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaDeviceSynchronize(); }

cudaError_t cudaDeviceSynchronize() {
  if (refused_in_capture()) return cudaErrorStreamCaptureUnsupported;
  do_late_work();
  return cudaSuccess;
}

void do_streams_late(bool is_late) {
  do_late_work();
  late = is_late;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event == nullptr) return cudaErrorInvalidResourceHandle;
  delete event;
  return cudaSuccess;
}

// A graph with an event in it is not simulated.
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  if (refused_in_capture()) return cudaErrorStreamCaptureUnsupported;
  event->recorded = true;
  event->time = std::chrono::steady_clock::now();
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaDeviceSynchronize(); }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!start->recorded || !end->recorded) return cudaErrorInvalidResourceHandle;
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream == nullptr) return cudaErrorStreamCaptureUnsupported;  // the default stream can't be captured
  if (capturing_stream != nullptr) return cudaErrorIllegalState;
  stream->capturing = true;
  stream->spoiled = false;
  capturing_stream = stream;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream != nullptr && stream->capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (stream == nullptr || !stream->capturing) return cudaErrorIllegalState;
  stream->capturing = false;
  capturing_stream = nullptr;
  Work work = std::exchange(stream->captured, {});
  if (stream->spoiled) return cudaErrorStreamCaptureInvalidated;
  *graph = new CUgraph_st{std::move(work)};
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  if (graph == nullptr) return cudaErrorInvalidValue;
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (executable == nullptr) return cudaErrorInvalidValue;
  for (const std::function<void()>& work : executable->work) do_on_stream(stream, work);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

}  // namespace llm::simt
