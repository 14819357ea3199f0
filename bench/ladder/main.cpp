// ./run: every chapter on the same prompt, and one table at the end.
#include <fmt/format.h>
#include <unistd.h>

#include "bench/ladder/ladder.h"
#include "bench/ladder/ladder_tables.h"
#include "bench/ladder/long_ladder.h"
#include "common/program/options.h"
#include "common/program/program.h"

namespace llm {
namespace {

// A folder that goes away with its contents.
struct TemporaryFolder {
  std::filesystem::path path;
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ladder.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) fail_input("{}: can't be made; set TMPDIR to a folder with room", name);
    path = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

// The flags as they were given, without --json: each chapter writes a file of its own, which the ladder gathers.
std::vector<std::string> shared_arguments(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--json") {
      ++i;
    } else if (!argument.starts_with("--json=")) {
      arguments.push_back(argument);
    }
  }
  return arguments;
}

// --json: what was measured, on what, and at which commit.
void write_results(const Options& options, Device device, const std::filesystem::path& build, const char* key,
                   const Json& measured) {
  if (options.json.empty()) return;
  Json results = Json::object();
  results.set("machine", describe_machine(device));
  const std::string commit = describe_commit(build);
  commit.empty() ? results.set_null("commit") : results.set("commit", commit);
  write_file(options.json, results.set(key, measured).dump() + "\n");
}

int run_long(const Options& options, const std::filesystem::path& build, const LongLadder& ladder) {
  std::vector<LadderCase> cases = ladder_cases();
  if (options.device == Device::cuda) std::erase_if(cases, [](const LadderCase& one) { return one.device != "cuda"; });
  const Json rows = run_long_ladder(ladder, cases);
  fmt::print("\n{}", long_table(rows));
  int exit_code = 0;
  Device device = Device::cpu;
  rows.for_each([&](const Json& row) {
    if (row.at("device").string() == name_of(Device::cuda)) device = Device::cuda;
    if (row.has("same_output") && !row.at("same_output").boolean()) exit_code = 1;
  });
  write_results(options, device, build, "rows", rows);
  return exit_code;
}

int run(int argc, const char* const* argv) {
  OptionParser parser("./run",
                      "All chapters on the same prompt, and one table at the end. ./run N runs chapter N alone, "
                      "./run --list names them.");
  bool is_long = false;
  LongLadder long_ladder;
  CommandLine& line = parser.command_line();
  line.add("--long", &is_long,
           "several models, lengths, number formats and devices, each several times; only --json counts, and --device "
           "cuda: on the GPU alone");
  line.add("--repetitions", &long_ladder.repetitions, 1, 1000, "with --long: how often each runs");
  line.add("--minutes", &long_ladder.minutes, 0.0, 1e6, "with --long: after so many no program is started");
  const Options options = parser.parse(argc, argv);
  if (!options.trace.empty()) fail_input("--trace belongs to one chapter; run it alone, such as ./run 2 --trace FILE");

  const std::filesystem::path build = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "../..";
  const std::vector<std::filesystem::path> programs = find_chapter_programs(build / "chapters");
  if (programs.empty()) fail_input("{}: has no chapter's program; build them with ./run", build.string());
  const TemporaryFolder folder;
  if (is_long) {
    long_ladder.programs = programs;
    long_ladder.folder = folder.path;
    return run_long(options, build, long_ladder);
  }
  std::vector<std::string> arguments = shared_arguments(argc, argv);
  std::vector<Json> reports;
  int exit_code = 0;
  for (const std::filesystem::path& program : programs) {
    const std::filesystem::path json = folder.path / (program.filename().string() + ".json");
    std::vector<std::string> with_json = arguments;
    with_json.insert(with_json.end(), {"--json", json.string()});
    if (!reports.empty()) fmt::print("\n");
    std::fflush(stdout);
    const int code = run_program_file(program, with_json);
    if (code > 1) return code;  // it has said why
    exit_code = std::max(exit_code, code);
    reports.push_back(Json::parse_file(json));
    // Chapter 1 runs once; the others compare with what it wrote.
    if (reports.size() == 1 && options.reference.empty()) {
      arguments.insert(arguments.end(), {"--reference", json.string()});
    }
  }
  fmt::print("\nThe ladder\n{}\n{}", ladder_table(reports), figures_table(reports));
  Json chapters = Json::array();
  for (const Json& report : reports) chapters.push(report);
  write_results(options, options.device, build, "chapters", chapters);
  return exit_code;
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
