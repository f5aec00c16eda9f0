#include <cstring>

#include "amx_support.hpp"
#include "encoder_path.hpp"
#include "processor.hpp"

namespace smallsight {

namespace {

// As in path_choice.cpp: no function of a path is called before `runs` has agreed.
struct Candidate {
    const char* name;
    bool (*runs)();
    const EncoderPath* (*path)();
};

#if defined(SMALLSIGHT_AMX)
bool has_amx() { return amx_obstacle().empty(); }
#endif

// The fastest first.
constexpr Candidate kKnown[] = {
#if defined(SMALLSIGHT_AMX)
    {"amx", has_amx, amx_encoder_path},
#endif
#if defined(SMALLSIGHT_BF16_VECTORS)
    {"avx512-bf16", has_avx512_bf16, avx512_bf16_encoder_path},
#endif
#if defined(SMALLSIGHT_X86)
    {"avx512", has_avx512, avx512_encoder_path},
#endif
    {"plain", [] { return true; }, plain_encoder_path},
};

}  // namespace

const EncoderPath* choose_encoder_path(const char* name) {
    const bool is_auto = std::strcmp(name, "auto") == 0;
    for (const Candidate& one : kKnown)
        if ((is_auto || std::strcmp(name, one.name) == 0) && one.runs()) return one.path();
    return nullptr;
}

}  // namespace smallsight
