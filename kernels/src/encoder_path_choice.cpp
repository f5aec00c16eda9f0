#include <cstring>

#include "amx_support.hpp"
#include "encoder_path.hpp"
#include "processor.hpp"

namespace smallsight {

namespace {

struct Candidate {
    const char* name;
    const EncoderPath* (*path)();  // called only where it runs: its file is compiled for those processors
    bool (*runs)();
};

#if defined(SMALLSIGHT_AMX)
bool has_amx() { return amx_obstacle().empty(); }
#endif

}  // namespace

const EncoderPath* choose_encoder_path(const char* name) {
    const bool is_auto = std::strcmp(name, "auto") == 0;
    // The fastest first.
    const Candidate known[] = {
#if defined(SMALLSIGHT_AMX)
        {"amx", amx_encoder_path, has_amx},
#endif
#if defined(SMALLSIGHT_BF16_VECTORS)
        {"avx512-bf16", avx512_bf16_encoder_path, has_avx512_bf16},
#endif
#if defined(SMALLSIGHT_X86)
        {"avx512", avx512_encoder_path, has_avx512},
        {"avx2", avx2_encoder_path, has_avx2},
#endif
        {"plain", plain_encoder_path, [] { return true; }},
    };
    for (const Candidate& one : known)
        if ((is_auto || std::strcmp(name, one.name) == 0) && one.runs()) return one.path();
    return nullptr;
}

}  // namespace smallsight
