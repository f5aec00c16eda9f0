// Cuts a picture into the patches that a vision tower multiplies.
#pragma once

#include <cstdint>

#include "picture_resize.hpp"

namespace smallsight {

// Writes the patches in reading order to `out`, [patches, 3, patch_px, patch_px]: for each byte, the value that its
// channel's table of 256 has for it. `tables` is [3, 256].
void cut_patches(const Picture& picture, const float* tables, int patch_px, float* out);

}  // namespace smallsight
