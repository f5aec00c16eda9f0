// Chooses the implementation for this processor.
#include <cstring>

#include "kernel_path.hpp"

namespace smallsight {

namespace {

bool runs(const char* name) {
#if defined(SMALLSIGHT_X86)
    __builtin_cpu_init();
    const bool has_avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    if (std::strcmp(name, "avx2") == 0) return has_avx2;
    if (std::strcmp(name, "avx512") == 0)
        return has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vnni");
#endif
    return std::strcmp(name, "plain") == 0;
}

}  // namespace

const KernelPath* choose_path(const char* name) {
    const bool is_auto = std::strcmp(name, "auto") == 0;
    // The fastest first. AMX and ARM belong here when they can be measured.
    const KernelPath* const known[] = {
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
