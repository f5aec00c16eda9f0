// Chooses the implementation for this processor.
#include <cstring>

#include "kernel_path.hpp"
#include "processor.hpp"

namespace smallsight {

namespace {

struct Candidate {
    const char* name;
    const KernelPath* (*path)();  // called only where it runs: its file is compiled for those processors
    bool (*runs)();
};

#if defined(SMALLSIGHT_TILES)
bool runs_tiles() { return has_avx512() && has_tiles() && may_use_tiles(); }
#endif

}  // namespace

const KernelPath* choose_path(const char* name) {
    const bool is_auto = std::strcmp(name, "auto") == 0;
    // The fastest first.
    const Candidate known[] = {
#if defined(SMALLSIGHT_TILES)
        {"amx", tile_path, runs_tiles},
#endif
#if defined(SMALLSIGHT_X86)
        {"avx512", avx512_path, has_avx512},
        {"avx2", avx2_path, has_avx2},
#endif
#if defined(SMALLSIGHT_ARM)
        {"i8mm", i8mm_path, has_matrix_products},
        {"dotprod", dotprod_path, has_dot_products},
#endif
        {"plain", plain_path, [] { return true; }},
    };
    for (const Candidate& one : known)
        if ((is_auto || std::strcmp(name, one.name) == 0) && one.runs()) return one.path();
    return nullptr;
}

}  // namespace smallsight
