// Whether this process may use AMX tiles, the system's permission included.
#pragma once

#include <string>

namespace smallsight {

// Returns why AMX int8 and bf16 tiles cannot be used; empty if they can. Asks the system once for the process.
const std::string& amx_obstacle();

// Gives all tiles of the calling thread 16 rows of 64 bytes, and frees them. Only where there is no obstacle.
void begin_tiles();
void end_tiles();

}  // namespace smallsight
