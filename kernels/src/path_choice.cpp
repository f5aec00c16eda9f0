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
    struct Candidate {
        const char* name;
        const KernelPath* (*path)();  // may have its instructions, so it is called only where it runs
    };
    const bool is_auto = std::strcmp(name, "auto") == 0;
    // The fastest first.
    const Candidate known[] = {
#if defined(SMALLSIGHT_TILES)
        {"amx", tile_path},
#endif
#if defined(SMALLSIGHT_X86)
        {"avx512", avx512_path},
        {"avx2", avx2_path},
#endif
#if defined(SMALLSIGHT_ARM)
        {"i8mm", i8mm_path},
        {"dotprod", dotprod_path},
#endif
        {"plain", plain_path},
    };
    for (const Candidate& one : known)
        if ((is_auto || std::strcmp(name, one.name) == 0) && runs(one.name)) return one.path();
    return nullptr;
}

}  // namespace smallsight
