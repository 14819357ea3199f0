#include "bench/ladder/ladder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "common/error.h"

extern char** environ;

namespace llm {

std::vector<std::filesystem::path> find_chapter_programs(const std::filesystem::path& chapters_folder) {
  std::vector<std::filesystem::path> programs;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(chapters_folder, error)) {
    const std::string name = entry.path().filename().string();  // NN_name
    const std::filesystem::path program = entry.path() / ("chapter_" + name.substr(0, 2));
    if (std::filesystem::is_regular_file(program)) programs.push_back(program);
  }
  std::sort(programs.begin(), programs.end());
  return programs;
}

int run_program_file(const std::filesystem::path& program, const std::vector<std::string>& arguments, Output output) {
  std::vector<std::string> words = {program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (output == Output::errors_only) {
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  }
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail_input("{}: can't be started; build it with ./run", program.string());
  int status = 0;
  while (waitpid(child, &status, 0) == -1 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

namespace {

// The first line of what a command prints, "" where it can't be run.
std::string first_line_of(const std::string& command) {
  std::string line;
  if (FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r")) {
    for (int c = std::fgetc(pipe); c != EOF && c != '\n'; c = std::fgetc(pipe)) line += static_cast<char>(c);
    pclose(pipe);
  }
  return line;
}

}  // namespace

Json describe_machine(Device device) {
  Json machine = Json::object();
  std::string processor = "unknown";
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) {
      processor = line.substr(std::min(line.find(": ") + 2, line.size()));
      break;
    }
  }
  machine.set("processor", processor).set("cores", static_cast<int64_t>(std::thread::hardware_concurrency()));
  utsname system{};
  if (uname(&system) == 0) machine.set("system", fmt::format("{} {}", system.sysname, system.machine));
  machine.set("compiler", "g++ " __VERSION__);
  if (device == Device::cuda) machine.set("gpu", first_line_of("nvidia-smi --query-gpu=name --format=csv,noheader"));
  return machine;
}

std::string describe_commit(const std::filesystem::path& folder) {
  if (const char* commit = std::getenv("COMMIT")) return commit;
  return first_line_of(
      fmt::format("git -C '{}' describe --always --abbrev=12 --exclude='*' --dirty=+", folder.string()));
}

}  // namespace llm
