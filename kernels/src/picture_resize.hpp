// Resizes pictures with a Lanczos window or cubic pieces, with Pillow's pixels.
#pragma once

#include <cstdint>

#include "kernel_path.hpp"

namespace smallsight {

// Three bytes for each pixel, row by row.
struct Picture {
    std::uint8_t* pixels;
    int width;
    int height;

    std::size_t row_bytes() const { return static_cast<std::size_t>(width) * 3; }
};

enum class Filter { kLanczos, kBicubic };

// Writes `from`, resized, to `to`. One side is resized first, and rounded to bytes: this changes pixels.
void resize(const Picture& from, const Picture& to, bool height_first, int threads, const KernelPath& path,
            Filter filter = Filter::kLanczos);

}  // namespace smallsight
