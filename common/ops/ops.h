// The operators of the model on one device, as a table: the forward pass is written once and calls through it.
#pragma once

#include "common/ops/argmax.h"
#include "common/ops/attention.h"
#include "common/ops/embed.h"
#include "common/ops/fill_random.h"
#include "common/ops/matmul.h"
#include "common/ops/rmsnorm.h"
#include "common/ops/rope.h"
#include "common/ops/sample.h"
#include "common/ops/sum_rows.h"
#include "common/ops/swiglu.h"

namespace llm {

struct Ops {
  MakeMatrixFn make_matrix;
  EmbedFn embed;
  AddRmsNormFn add_rmsnorm;
  MatmulFn matmul;
  RopeAndStoreFn rope_and_store;
  SwigluMatmulFn swiglu_matmul;
  GatherRowsFn gather_rows;
  AttendFn attend;  // the plain one
  ArgmaxFn argmax;
  SampleFn sample;
  FillRandomFn fill_random;
  SumRowsFn sum_rows;  // no part of a model: what reading is measured by
};

// Throws InputError, naming what is missing, where the device is not there.
const Ops& ops_for(Device device);

}  // namespace llm
