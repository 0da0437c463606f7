// libcryored_mpi.so: the only part that is linked with MPI, loaded where a launcher has started several ranks.

#include <mpi.h>

#include <algorithm>
#include <climits>

#include "core/base/error.hpp"
#include "training/ranks.hpp"

namespace {

using cryored::Problem;
using cryored::SystemError;

void check(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw SystemError(Problem{"MPI", what, text, "", "see the messages of the launcher; the same command goes on"});
}

class MpiRanks : public cryored::Ranks {
 public:
  MpiRanks() {
    int given = 0;
    // Other threads load data; they make no call.
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given), "MPI_Init_thread");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
    MPI_Comm machine;
    check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine), "MPI_Comm_split");
    check(MPI_Comm_rank(machine, &local_rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(machine, &local_size_), "MPI_Comm_size");
    MPI_Comm_free(&machine);
  }

  std::string engine() const override {
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(text, &length);
    const std::string all(text);
    return all.substr(0, all.find_first_of(",\n"));
  }

  void sum(std::span<float> values) override {
    check(
        MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD),
        "MPI_Allreduce");
  }

  void broadcast(void* bytes, std::size_t count) override {
    auto* at = static_cast<char*>(bytes);
    for (std::size_t done = 0; done < count;) {
      const auto part = static_cast<int>(std::min<std::size_t>(count - done, INT_MAX));
      check(MPI_Bcast(at + done, part, MPI_BYTE, 0, MPI_COMM_WORLD), "MPI_Bcast");
      done += static_cast<std::size_t>(part);
    }
  }

  void finish() override { MPI_Finalize(); }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) cryored::Ranks* cryored_mpi_ranks() { return new MpiRanks; }
