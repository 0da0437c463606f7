// write_test_particles FOLDER BOX COUNT PIXEL_SIZE: the particles of these tests, for
// tests/fixtures/relion_versions/make.sh.

#include <cstdlib>
#include <iostream>

#include "tests/gaussian/particles.hpp"

int main(int count, char** words) {
  if (count != 5) {
    std::cerr << "usage: write_test_particles FOLDER BOX COUNT PIXEL_SIZE\n";
    return 2;
  }
  cryored::write_particles(words[1], std::atoi(words[2]), std::atoi(words[3]), std::atof(words[4]));
  return 0;
}
