#include "common/simt/stream.h"

#include <thread>

#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

__global__ void add_kernel(const float* a, float b, float* sum, int size) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < size) sum[i] += a[i] + b;
}

struct Streamed : testing::Test {
  Streamed() { CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)); }
  ~Streamed() override { cudaStreamDestroy(stream); }
  cudaStream_t stream = nullptr;
};

using Stream = Streamed;
using Graph = Streamed;

// A copy reads the host's memory when it is done, not when it is asked for; what is freed behind it waits as well.
TEST_F(Stream, DoesItsWorkLateWhereItIsToldTo) {
  do_streams_late(true);
  std::vector<float> host(33, 1.0f);
  void* memory = nullptr;
  CUDA_CHECK(cudaMallocAsync(&memory, 33 * sizeof(float), stream));
  DeviceArray<float> sum(std::vector<float>(33, 0.0f));
  CUDA_CHECK(cudaMemcpyAsync(memory, host.data(), 33 * sizeof(float), cudaMemcpyHostToDevice, stream));
  launch<add_kernel>({2, 32, 0, stream}, static_cast<const float*>(memory), 0.5f, sum.data(), 33);
  CUDA_CHECK(cudaFreeAsync(memory, stream));
  host.assign(33, 3.0f);  // too early
  CUDA_CHECK(cudaStreamSynchronize(stream));
  EXPECT_EQ(sum.values(), std::vector<float>(33, 3.5f));
  launch<add_kernel>({2, 32, 0, stream}, sum.data(), 0.0f, sum.data(), 33);
  do_streams_late(false);
  EXPECT_EQ(sum.values(), std::vector<float>(33, 7.0f)) << "what was left is done";
}

TEST_F(Graph, RecordsAndReadsItsValuesWhenItIsReplayed) {
  constexpr int kSize = 65;
  const std::vector<float> zeros(kSize, 0.0f);
  std::vector<float> host(kSize, 1.0f), result(kSize, -1.0f);
  DeviceArray<float> a(zeros), sum(zeros);
  cublasHandle_t cublas = nullptr;
  CUDA_CHECK(cublasCreate(&cublas));
  CUDA_CHECK(cublasSetStream(cublas, stream));
  float alpha = 2.0f, beta = 0.0f;
  DeviceArray<float> product(std::vector<float>{-1.0f});

  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  CUDA_CHECK(cudaMemcpyAsync(a.data(), host.data(), kSize * sizeof(float), cudaMemcpyHostToDevice, stream));
  launch<add_kernel>({3, 32, 0, stream}, a.data(), 0.5f, sum.data(), kSize);
  CUDA_CHECK(cublasGemmEx(cublas, CUBLAS_OP_T, CUBLAS_OP_N, 1, 1, kSize, &alpha, a.data(), CUDA_R_32F, kSize,
                          sum.data(), CUDA_R_32F, kSize, &beta, product.data(), CUDA_R_32F, 1, CUBLAS_COMPUTE_32F,
                          CUBLAS_GEMM_DEFAULT));
  CUDA_CHECK(cudaMemcpyAsync(result.data(), sum.data(), kSize * sizeof(float), cudaMemcpyDeviceToHost, stream));
  CUDA_CHECK(cudaMemsetAsync(a.data(), 0, kSize * sizeof(float), stream));
  cudaGraph_t graph = nullptr;
  CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  EXPECT_EQ(sum.values(), zeros) << "recorded, not done";
  EXPECT_EQ(result, std::vector<float>(kSize, -1.0f));

  cudaGraphExec_t executable = nullptr;
  CUDA_CHECK(cudaGraphInstantiate(&executable, graph, 0));
  CUDA_CHECK(cudaGraphDestroy(graph));
  alpha = 1000.0f;  // the host's scalars were read when the call was recorded
  CUDA_CHECK(cudaGraphLaunch(executable, stream));
  CUDA_CHECK(cudaStreamSynchronize(stream));
  EXPECT_EQ(result, std::vector<float>(kSize, 1.5f));
  EXPECT_EQ(product.values()[0], 2.0f * kSize * 1.5f);
  EXPECT_EQ(a.values(), zeros);

  host.assign(kSize, 3.0f);
  CUDA_CHECK(cudaGraphLaunch(executable, stream));
  EXPECT_EQ(result, std::vector<float>(kSize, 5.0f)) << "1.5 and 3.5";
  CUDA_CHECK(cudaGraphExecDestroy(executable));
  CUDA_CHECK(cublasDestroy(cublas));
}

TEST_F(Graph, OtherStreamsGoOnDuringACapture) {
  DeviceArray<float> a(std::vector<float>(7, 1.0f)), sum(std::vector<float>(7, 0.0f));
  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  launch<add_kernel>({1, 32}, a.data(), 0.0f, sum.data(), 7);
  cudaGraph_t graph = nullptr;
  CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  EXPECT_EQ(sum.values(), std::vector<float>(7, 1.0f));
  CUDA_CHECK(cudaGraphDestroy(graph));
}

TEST_F(Graph, WaitingOrAllocatingSpoilsACapture) {
  DeviceArray<float> array(7);
  float host = 0.0f;
  void* memory = nullptr;
  cudaEvent_t event = nullptr;
  CUDA_CHECK(cudaEventCreate(&event));
  const std::vector<std::function<cudaError_t()>> calls = {
      [&] { return cudaStreamSynchronize(stream); },
      [&] { return cudaDeviceSynchronize(); },
      [&] { return cudaMalloc(&memory, 64); },
      [&] { return cudaMallocAsync(&memory, 64, stream); },
      [&] { return cudaMallocHost(&memory, 64); },
      [&] { return cudaFree(array.data()); },
      [&] { return cudaMemcpy(&host, array.data(), 4, cudaMemcpyDeviceToHost); },
      [&] { return cudaMemset(array.data(), 0, 4); },
      [&] { return cudaEventSynchronize(event); },
  };
  for (size_t i = 0; i < calls.size(); ++i) {
    SCOPED_TRACE(i);
    cudaGraph_t graph = nullptr;
    CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    EXPECT_EQ(calls[i](), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
    CUDA_CHECK(cudaStreamSynchronize(stream));
  }
  CUDA_CHECK(cudaEventDestroy(event));
}

TEST_F(Graph, CapturesBeginAndEndInPairs) {
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorIllegalState);
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeThreadLocal), cudaErrorStreamCaptureUnsupported);
  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaErrorIllegalState);
  CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  CUDA_CHECK(cudaGraphDestroy(graph));
}

TEST_F(Stream, EventsTellTheTimeBetweenThem) {
  cudaEvent_t start = nullptr, end = nullptr;
  CUDA_CHECK(cudaEventCreate(&start));
  CUDA_CHECK(cudaEventCreate(&end));
  float milliseconds = -1.0f;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle);
  CUDA_CHECK(cudaEventRecord(start, stream));
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  CUDA_CHECK(cudaEventRecord(end, stream));
  CUDA_CHECK(cudaEventSynchronize(end));
  CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start, end));
  EXPECT_GE(milliseconds, 3.0f);
  CUDA_CHECK(cudaEventDestroy(start));
  CUDA_CHECK(cudaEventDestroy(end));
}

TEST(Device, IsOneNamedSimt) {
  int count = 0;
  CUDA_CHECK(cudaGetDeviceCount(&count));
  EXPECT_EQ(count, 1);
  cudaDeviceProp properties;
  CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
  EXPECT_STREQ(properties.name, "simt");
  EXPECT_EQ(properties.multiProcessorCount, 4);
  EXPECT_GT(properties.totalGlobalMem, 0u);
  EXPECT_EQ(cudaGetDeviceProperties(&properties, 1), cudaErrorInvalidDevice);
}

}  // namespace
}  // namespace llm::simt
