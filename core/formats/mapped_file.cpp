#include "core/formats/mapped_file.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>

#include "core/base/error.hpp"

namespace cryored {
namespace {

struct Slot {
  std::atomic<bool> taken{false}, harmed{false};
  std::atomic<std::uintptr_t> begin{0}, end{0};
};
// More maps at once than any program here opens; the handler goes through them without a lock.
std::array<Slot, 256> slots;
struct sigaction before {};
std::uintptr_t page = 4096;

std::mutex all_mutex;
std::map<const unsigned char*, const MappedFile*> all;  ///< by their first byte

/// Puts zeros where the file has ended. Only system calls and atomics.
void on_bus_error(int number, siginfo_t* info, void*) {
  const int error = errno;
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (Slot& slot : slots) {
    const std::uintptr_t begin = slot.begin.load(), end = slot.end.load();
    if (at < begin || at >= end) continue;
    const std::uintptr_t from = at / page * page;
    if (mmap(reinterpret_cast<void*>(from), end - from, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        MAP_FAILED)
      break;
    slot.harmed.store(true);
    errno = error;
    return;
  }
  // None of ours: it comes again, to who handled it before.
  sigaction(number, &before, nullptr);
  errno = error;
}

void install() {
  page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &before);
}

}  // namespace

MappedFile::MappedFile(int fd, std::uint64_t size, const std::string& path) : path_(path), size_(size) {
  static std::once_flag once;
  std::call_once(once, install);
  void* at = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED)
    throw SystemError(Problem{path, "cannot map " + std::to_string(size) + " bytes into memory", std::strerror(errno),
                              "", "raise the address-space limit (ulimit -v), or copy the file to a local disk"});
  bytes_ = static_cast<const unsigned char*>(at);
  struct stat info {};
  if (fstat(fd, &info) == 0) device_ = info.st_dev, inode_ = info.st_ino;
  for (std::size_t i = 0; i < slots.size() && slot_ < 0; ++i)
    if (!slots[i].taken.exchange(true)) slot_ = static_cast<int>(i);
  {
    const std::lock_guard lock(all_mutex);
    all[bytes_] = this;
  }
  if (slot_ < 0) return;
  Slot& slot = slots[static_cast<std::size_t>(slot_)];
  slot.harmed = false;
  const auto begin = reinterpret_cast<std::uintptr_t>(at);
  slot.begin = begin;  // in this order: an empty range until both are there
  slot.end = begin + (size + page - 1) / page * page;
}

MappedFile::~MappedFile() {
  {
    const std::lock_guard lock(all_mutex);
    all.erase(bytes_);
  }
  if (slot_ >= 0) {
    Slot& slot = slots[static_cast<std::size_t>(slot_)];
    slot.end = 0;
    slot.begin = 0;
    slot.taken = false;
  }
  munmap(const_cast<unsigned char*>(bytes_), size_);
}

void MappedFile::check_whole() const {
  bool harmed = slot_ >= 0 && slots[static_cast<std::size_t>(slot_)].harmed.load();
  // The rest of the page in which a file ends reads as zeros without a signal.
  struct stat now {};
  harmed = harmed || (stat(path_.c_str(), &now) == 0 && now.st_dev == device_ && now.st_ino == inode_ &&
                      static_cast<std::uint64_t>(now.st_size) < size_);
  if (harmed)
    throw InputError(Problem{path_, "MRC file", "it became shorter while it was read, or its disk failed",
                             std::to_string(size_) + " bytes, as when it was opened",
                             "let RELION write it again, and nobody change it meanwhile"});
}

void check_mapping_whole(const void* at) {
  const std::lock_guard lock(all_mutex);
  const auto next = all.upper_bound(static_cast<const unsigned char*>(at));
  if (next != all.begin()) std::prev(next)->second->check_whole();
}

}  // namespace cryored
