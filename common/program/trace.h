// A timeline of a run in the Chrome trace format, which Perfetto (https://ui.perfetto.dev) opens.
#pragma once

#include <filesystem>
#include <string>

#include "common/json/json.h"

namespace llm {

class Trace {
 public:
  Trace();

  // Names a row of the picture: a slot, a model, a stream.
  void name_row(int row, const std::string& name);
  // Something that took from `start_ms` to `start_ms + duration_ms`, with details shown on a click.
  void add(int row, const std::string& name, double start_ms, double duration_ms, const Json& details);
  // Writes the file whole, or throws InputError.
  void write(const std::filesystem::path& path) const;

 private:
  Json events_;
};

}  // namespace llm
