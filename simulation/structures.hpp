#pragma once
// Folders of structures and the split between training and validation.

#include <string>
#include <vector>

namespace cryored {

/// PDB and mmCIF files of a folder (plain or .gz), sorted. Throws InputError when there is none.
std::vector<std::string> structure_files(const std::string& folder);

/// "1A2K" of ".../1A2K.pdb.gz".
std::string structure_id(const std::string& path);

/// One structure in ten, chosen by its name alone (FNV-1a), so that it stays out of training for good.
bool is_validation(const std::string& structure_id);

/// Stable 64-bit FNV-1a hash of a name, for seeds that do not depend on the standard library.
unsigned long long name_hash(const std::string& name);

}  // namespace cryored
