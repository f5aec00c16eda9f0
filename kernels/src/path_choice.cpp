// Chooses the implementation for this processor.
#include <cstring>

#include "kernel_path.hpp"
#include "processor.hpp"

namespace smallsight {

namespace {

// A path's file may be compiled for instructions that this processor lacks, so that not even the function that returns
// the path is called before `runs` has agreed.
struct Candidate {
    const char* name;
    bool (*runs)();
    const KernelPath* (*path)();
};

#if defined(SMALLSIGHT_TILES)
bool runs_tiles() { return has_avx512() && has_tiles() && may_use_tiles(); }
#endif

// The fastest first.
constexpr Candidate kKnown[] = {
#if defined(SMALLSIGHT_TILES)
    {"amx", runs_tiles, tile_path},
#endif
#if defined(SMALLSIGHT_X86)
    {"avx512", has_avx512, avx512_path},
    {"avx2", has_avx2, avx2_path},
#endif
#if defined(SMALLSIGHT_ARM)
    {"i8mm", has_matrix_products, i8mm_path},
    {"dotprod", has_dot_products, dotprod_path},
#endif
    {"plain", [] { return true; }, plain_path},
};

}  // namespace

const KernelPath* choose_path(const char* name) {
    const bool is_auto = std::strcmp(name, "auto") == 0;
    for (const Candidate& one : kKnown)
        if ((is_auto || std::strcmp(name, one.name) == 0) && one.runs()) return one.path();
    return nullptr;
}

}  // namespace smallsight
