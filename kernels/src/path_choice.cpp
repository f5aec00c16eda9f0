// Chooses the implementation for this processor.
#include <cstring>

#include "kernel_path.hpp"

#if defined(SMALLSIGHT_TILES)
#include <cpuid.h>
#endif

namespace smallsight {

namespace {

#if defined(SMALLSIGHT_TILES)
bool has_tiles() {
    constexpr unsigned kTile = 1u << 24, kInt8 = 1u << 25;
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kTile) != 0 && (d & kInt8) != 0 && may_use_tiles();
}
#endif

bool runs(const char* name) {
#if defined(SMALLSIGHT_X86)
    __builtin_cpu_init();
    const bool has_avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    if (std::strcmp(name, "avx2") == 0) return has_avx2;
    const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512vnni");
    if (std::strcmp(name, "avx512") == 0) return has_avx512;
#endif
#if defined(SMALLSIGHT_TILES)
    if (std::strcmp(name, "amx") == 0) return has_avx512 && has_tiles();
#endif
    return std::strcmp(name, "plain") == 0;
}

}  // namespace

const KernelPath* choose_path(const char* name) {
    const bool is_auto = std::strcmp(name, "auto") == 0;
    // The fastest first. ARM belongs here when it can be measured.
    const KernelPath* const known[] = {
#if defined(SMALLSIGHT_TILES)
        tile_path(),
#endif
#if defined(SMALLSIGHT_X86)
        avx512_path(),
        avx2_path(),
#endif
        plain_path(),
    };
    for (const KernelPath* path : known)
        if ((is_auto || std::strcmp(name, path->name) == 0) && runs(path->name)) return path;
    return nullptr;
}

}  // namespace smallsight
