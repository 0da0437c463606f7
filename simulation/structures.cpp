#include "simulation/structures.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "core/base/error.hpp"

namespace cryored {
namespace fs = std::filesystem;

std::vector<std::string> structure_files(const std::string& folder) {
  if (!fs::is_directory(folder))
    throw InputError(
        Problem{folder, "structures", "no such folder", "a folder of PDB or mmCIF files", "check the path"});
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    fs::path name = entry.path().filename();
    if (name.extension() == ".gz") name = name.stem();
    if (name.extension() == ".pdb" || name.extension() == ".cif" || name.extension() == ".ent")
      files.push_back(entry.path().string());
  }
  if (files.empty())
    throw InputError(Problem{folder, "structures", "no file", "*.pdb, *.ent, *.cif, also .gz", "give another folder"});
  std::sort(files.begin(), files.end());
  return files;
}

std::string structure_id(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  return name.substr(0, name.find('.'));
}

unsigned long long name_hash(const std::string& name) {
  unsigned long long h = 14695981039346656037ull;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return h;
}

std::string upper_case(std::string id) {
  for (char& c : id) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return id;
}

void SpellingCheck::add(const std::string& path) {
  const std::string id = structure_id(path);
  const std::string& first = files_.try_emplace(upper_case(id), path).first->second;
  if (structure_id(first) != id)
    throw InputError(Problem{path, "ID", id, structure_id(first) + ", as in " + first,
                             "spell both alike, since the name as spelt decides between training and validation"});
}

bool is_validation(const std::string& id) { return (name_hash(id) >> 32) % 10 == 0; }

}  // namespace cryored
