// A shard holds records of one size: magic, box, structure id, the numbers of
// TrainingPair with the voxel size, the half-map FSC, then input and target as float16, all little-endian.

#include <cmath>
#include <cstring>
#include <fstream>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "training/pairs.hpp"

namespace cryored {
namespace {

constexpr std::uint32_t kMagic = 0x32505243;     // "CRP2"
constexpr std::uint32_t kOldMagic = 0x31505243;  // "CRP1": without the voxel size at the end of the head

struct RecordHead {
  std::uint32_t magic = kMagic;
  std::uint32_t box = 0;
  char structure_id[24] = {};
  std::int32_t cut = 0;
  float nominal_resolution = 0, median_error = 0, snr = 0;
  float input_scale = 1;  ///< maps are stored divided by this
  float voxel = 0;        ///< A
};

constexpr std::size_t kOldHead = sizeof(RecordHead) - sizeof(float);

std::size_t record_size(std::size_t head, std::size_t box) {
  return head + (box / 2 + 1) * sizeof(float) + 2 * box * box * box * sizeof(_Float16);
}

void put(std::string& out, const void* bytes, std::size_t n) { out.append(static_cast<const char*>(bytes), n); }

}  // namespace

void write_pairs(const std::string& path, const std::vector<TrainingPair>& pairs, const std::string& structure_id) {
  std::string bytes;
  for (const auto& pair : pairs) {
    if (pair.input.nx != pairs[0].input.nx || pair.voxel != pairs[0].voxel || !(pair.voxel > 0))
      throw UsageError(Problem{path, "pair " + std::to_string(&pair - pairs.data()),
                               "box " + std::to_string(pair.input.nx) + ", voxel " + std::to_string(pair.voxel) + " A",
                               "one box and one voxel size in a shard", "write a shard for each"});
    RecordHead head;
    head.box = static_cast<std::uint32_t>(pair.input.nx);
    std::strncpy(head.structure_id, structure_id.c_str(), sizeof(head.structure_id) - 1);
    head.cut = pair.cut;
    head.nominal_resolution = static_cast<float>(pair.nominal_resolution);
    head.median_error = static_cast<float>(pair.median_error);
    head.snr = static_cast<float>(pair.snr);
    head.voxel = static_cast<float>(pair.voxel);
    double sum2 = 0;
    for (float v : pair.input.data) sum2 += static_cast<double>(v) * v;
    head.input_scale = static_cast<float>(std::sqrt(sum2 / static_cast<double>(pair.input.size())));
    put(bytes, &head, sizeof(head));
    put(bytes, pair.half_fsc.data(), pair.half_fsc.size() * sizeof(float));
    for (const Map* map : {&pair.input, &pair.target})
      for (float v : map->data) {
        const auto h = static_cast<_Float16>(v / head.input_scale);
        put(bytes, &h, sizeof(h));
      }
  }
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

PairShard::PairShard(const std::string& path) : path_(path) {
  std::ifstream file(path, std::ios::binary);
  RecordHead head;
  file.read(reinterpret_cast<char*>(&head), sizeof(head));
  const bool old = head.magic == kOldMagic;
  if (!file || (head.magic != kMagic && !old) || head.box == 0 || head.box > 1024 || (!old && !(head.voxel > 0)))
    throw InputError(
        Problem{path, "magic", std::to_string(head.magic), "a shard of training pairs", "make the pairs anew"});
  box_ = head.box;
  voxel_ = old ? 0 : static_cast<double>(head.voxel);
  head_bytes_ = old ? kOldHead : sizeof(RecordHead);
  record_bytes_ = record_size(head_bytes_, box_);
  file.seekg(0, std::ios::end);
  const auto bytes = static_cast<std::size_t>(file.tellg());
  count_ = bytes / record_bytes_;
  if (count_ == 0 || bytes % record_bytes_ != 0)
    throw InputError(
        Problem{path, "size", std::to_string(bytes) + " bytes",
                "whole pairs of " + std::to_string(record_bytes_) + " bytes each, of box " + std::to_string(box_),
                "the file was cut short: copy it again, or remove it and make the pairs anew"});
}

TrainingPair PairShard::read(std::size_t i) const {
  std::ifstream file(path_, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(i * record_bytes_));
  std::string bytes(record_bytes_, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(record_bytes_));
  RecordHead head;
  std::memcpy(&head, bytes.data(), head_bytes_);
  if (!file || (head.magic != kMagic && head.magic != kOldMagic) || head.box != box_)
    throw InputError(Problem{path_, "record " + std::to_string(i), "damaged", "a whole record", "make the shard anew"});
  TrainingPair pair;
  pair.voxel = voxel_;
  pair.cut = head.cut;
  pair.nominal_resolution = head.nominal_resolution;
  pair.median_error = head.median_error;
  pair.snr = head.snr;
  pair.half_fsc.resize(box_ / 2 + 1);
  const char* at = bytes.data() + head_bytes_;
  std::memcpy(pair.half_fsc.data(), at, pair.half_fsc.size() * sizeof(float));
  at += pair.half_fsc.size() * sizeof(float);
  for (Map* map : {&pair.input, &pair.target}) {
    *map = Map(box_, box_, box_);
    for (float& v : map->data) {
      _Float16 h;
      std::memcpy(&h, at, sizeof(h));
      at += sizeof(h);
      v = static_cast<float>(h) * head.input_scale;
    }
  }
  return pair;
}

}  // namespace cryored
