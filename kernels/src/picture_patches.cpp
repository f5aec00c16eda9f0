#include "picture_patches.hpp"

namespace smallsight {

namespace {

constexpr int kChannels = 3, kLevels = 256;

}  // namespace

void cut_patches(const Picture& picture, const float* tables, int patch_px, float* out) {
    for (int top = 0; top < picture.height; top += patch_px)
        for (int left = 0; left < picture.width; left += patch_px) {
            const std::uint8_t* corner = picture.pixels + top * picture.row_bytes() + left * kChannels;
            for (int channel = 0; channel < kChannels; ++channel) {
                const float* table = tables + channel * kLevels;
                for (int y = 0; y < patch_px; ++y) {
                    const std::uint8_t* row = corner + y * picture.row_bytes() + channel;
                    for (int x = 0; x < patch_px; ++x) *out++ = table[row[x * kChannels]];
                }
            }
        }
}

}  // namespace smallsight
