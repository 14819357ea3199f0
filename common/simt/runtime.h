// What CUDA's headers offer a source, as far as ours use it, for g++: names and behavior as on the device. See
// common/cuda/runtime.h.
#pragma once

#include "common/simt/atomics.h"
#include "common/simt/barriers.h"
#include "common/simt/cublas.h"
#include "common/simt/device.h"
#include "common/simt/launch.h"
#include "common/simt/math.h"
#include "common/simt/memory.h"
#include "common/simt/stream.h"
#include "common/simt/types.h"
#include "common/simt/warp.h"
