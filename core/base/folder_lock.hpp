#pragma once
// One program in a folder at a time.

#include <string>

namespace cryored {

/// Held from construction on, until destruction or the end of the process. The file stays.
class FolderLock {
 public:
  /// `file` lies in the folder or beside it; `work` says what another one that holds it does ("trains in it").
  /// Throws SystemError naming `folder`, when another one holds the lock or the file cannot be made. File systems
  /// without locks are not refused; there the user must see to it.
  FolderLock(const std::string& file, const std::string& folder, const std::string& work);

  /// FOLDER/.lock, of a folder that is made where it is not there: held when the other one lets go of it (`wait`), or
  /// not at all. Throws SystemError where the file cannot be made or the file system has no locks.
  FolderLock(const std::string& folder, bool wait);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  bool held() const { return file_ >= 0; }

 private:
  void open_file(const std::string& file, const std::string& folder);
  /// Lets go of the file where another one holds it. Returns the error of a file system without locks, else 0.
  int take(bool wait);

  int file_ = -1;
};

}  // namespace cryored
