#pragma once
// Folders of structures and the split between training and validation.

#include <map>
#include <string>
#include <vector>

namespace cryored {

/// PDB and mmCIF files of a folder (plain or .gz), sorted. Throws InputError when there is none.
std::vector<std::string> structure_files(const std::string& folder);

/// "1A2K" of ".../1A2K.pdb.gz".
std::string structure_id(const std::string& path);

/// "4AKE" of "4ake".
std::string upper_case(std::string id);

/// One structure in ten, chosen by its name alone (FNV-1a), so that it stays out of training for good. 4ake and 4AKE
/// may differ: see SpellingCheck.
bool is_validation(const std::string& structure_id);

/// Refuses IDs of one data set that differ in case only: they name one structure, which could be on both sides of
/// is_validation().
class SpellingCheck {
 public:
  /// The ID of `path`. Throws InputError.
  void add(const std::string& path);

 private:
  std::map<std::string, std::string> files_;  ///< by upper-case ID, the first one's
};

/// Stable 64-bit FNV-1a hash of a name, for seeds that do not depend on the standard library.
unsigned long long name_hash(const std::string& name);

}  // namespace cryored
