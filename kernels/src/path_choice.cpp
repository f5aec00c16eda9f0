// Chooses the implementation for this processor.
#include <cstring>

#include "kernel_path.hpp"
#include "processor.hpp"

namespace smallsight {

namespace {

bool runs(const char* name) {
    if (std::strcmp(name, "avx2") == 0) return has_avx2();
    if (std::strcmp(name, "avx512") == 0) return has_avx512();
#if defined(SMALLSIGHT_TILES)
    if (std::strcmp(name, "amx") == 0) return has_avx512() && has_tiles() && may_use_tiles();
#endif
    if (std::strcmp(name, "dotprod") == 0) return has_dot_products();
    if (std::strcmp(name, "i8mm") == 0) return has_matrix_products();
    return std::strcmp(name, "plain") == 0;
}

}  // namespace

const KernelPath* choose_path(const char* name) {
    const bool is_auto = std::strcmp(name, "auto") == 0;
    // The fastest first.
    const KernelPath* const known[] = {
#if defined(SMALLSIGHT_TILES)
        tile_path(),
#endif
#if defined(SMALLSIGHT_X86)
        avx512_path(),
        avx2_path(),
#endif
#if defined(SMALLSIGHT_ARM)
        i8mm_path(),
        dotprod_path(),
#endif
        plain_path(),
    };
    for (const KernelPath* path : known)
        if ((is_auto || std::strcmp(name, path->name) == 0) && runs(path->name)) return path;
    return nullptr;
}

}  // namespace smallsight
