#pragma once
// The files of one external reconstruction, as relion_refine writes them, made from a formula.

#include <string>

namespace cryored {

struct RequestFiles {
  std::string folder;  ///< must exist
  int box = 64;
  int padding = 1;
  double pixel_size = 2;  ///< A
};

/// Writes run_it001_half1_class001_external_reconstruct.star and its three MRC files (B, K in RELION's
/// order, P x P x (P/2+1)) for a structure of a few blobs with noise; K falls as 1 / |k| with speckle, as
/// from evenly spread views. Returns the STAR file's name in the folder.
std::string write_request_files(const RequestFiles& files);

/// Name of the result in the folder that the STAR file asks for.
std::string result_name();

}  // namespace cryored
