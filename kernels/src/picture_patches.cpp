#include "picture_patches.hpp"

namespace smallsight {

namespace {

constexpr int kChannels = 3, kLevels = 256;

// `kPx` is the patches' side where it is known beforehand, or 0: short loops of unknown length cost half of the time.
template <int kPx>
void cut(const Picture& picture, const float* tables, int side_px, float* out) {
    const int patch_px = kPx != 0 ? kPx : side_px;
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

}  // namespace

void cut_patches(const Picture& picture, const float* tables, int patch_px, float* out) {
    switch (patch_px) {
        case 14: return cut<14>(picture, tables, patch_px, out);
        case 16: return cut<16>(picture, tables, patch_px, out);
        case 32: return cut<32>(picture, tables, patch_px, out);
        default: cut<0>(picture, tables, patch_px, out);
    }
}

}  // namespace smallsight
