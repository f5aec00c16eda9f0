#include "amx_support.hpp"

#include <cstring>

#include "encoder_path.hpp"

namespace smallsight {

const EncoderPath* choose_encoder_path(const char* name) {
    const bool is_auto = std::strcmp(name, "auto") == 0;
#if defined(SMALLSIGHT_AMX)
    if ((is_auto || std::strcmp(name, "amx") == 0) && amx_obstacle().empty()) return amx_encoder_path();
#endif
    return is_auto || std::strcmp(name, "plain") == 0 ? plain_encoder_path() : nullptr;
}

}  // namespace smallsight
