// cryored-reconstruct: what RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE names.
//
// RELION runs "<words of the variable> <STAR>" through system(), from one or several MPI ranks at a time. This program
// starts in about a millisecond, runs "cryored reconstruct" of the same folder as a helper process, passes signals on,
// and returns its exit code.

#include <sys/prctl.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "plugin/helper.hpp"
#include "plugin/wait.hpp"

int main(int argc, char** argv) {
  using namespace cryored::plugin;
  // When RELION dies (mpirun kills its ranks outright), this program ends too.
  if (const char* variable = std::getenv("RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"); variable && *variable)
    prctl(PR_SET_PDEATHSIG, SIGTERM);
  try {
    const std::string folder = own_folder();
    clean_environment();
    std::vector<std::string> arguments{"reconstruct"};
    if (argc == 2 && std::string(argv[1]) == "--version")
      arguments = {"version"};
    else
      arguments.insert(arguments.end(), argv + 1, argv + argc);
    const Waiter waiter;
    return run_helper(folder, arguments, waiter);
  } catch (const std::exception& error) {
    say(std::string("error: ") + error.what());
    return 1;
  }
}
