#include "common/program/trace.h"

namespace llm {

Trace::Trace() : events_(Json::array()) {}

void Trace::name_row(int row, const std::string& name) {
  Json event = Json::object();
  event.set("name", "thread_name").set("ph", "M").set("pid", 1).set("tid", row);
  event.set("args", Json::object().set("name", name));
  events_.push(event);
}

void Trace::add(int row, const std::string& name, double start_ms, double duration_ms, const Json& details) {
  Json event = Json::object();
  event.set("name", name).set("ph", "X").set("pid", 1).set("tid", row);
  event.set("ts", start_ms * 1000.0).set("dur", duration_ms * 1000.0).set("args", details);  // in microseconds
  events_.push(event);
}

void Trace::write(const std::filesystem::path& path) const {
  Json file = Json::object();
  file.set("displayTimeUnit", "ms").set("traceEvents", events_);
  write_file(path, file.dump(-1));
}

}  // namespace llm
