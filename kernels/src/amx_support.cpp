#include "amx_support.hpp"

#include <cstdint>

#include "processor.hpp"

#if defined(SMALLSIGHT_X86) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace smallsight {

namespace {

#if defined(SMALLSIGHT_EMULATED_AMX)
std::string find_obstacle() {
    return has_avx512_vbmi() ? "" : "this processor has no AVX-512 VNNI and VBMI, with which AMX is emulated";
}
#elif defined(SMALLSIGHT_X86) && defined(__linux__)
constexpr int kRequestPermission = 0x1023;  // arch_prctl's ARCH_REQ_XCOMP_PERM
constexpr int kTileData = 18;               // the state component of tile registers
constexpr unsigned long long kSavedStates = (1ull << 17) | (1ull << 18) | 0xe6;  // tiles, AVX-512, AVX, SSE

bool has_bits(unsigned value, unsigned bits) { return (value & bits) == bits; }

bool processor_has_amx() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || !has_bits(c, 1u << 27)) return false;  // OSXSAVE
    unsigned low = 0, high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    const unsigned long long saved = (static_cast<unsigned long long>(high) << 32) | low;
    if ((saved & kSavedStates) != kSavedStates) return false;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
    const bool has_tiles = has_bits(d, (1u << 22) | (1u << 24) | (1u << 25));                // bf16, tile, int8
    const bool has_avx512 = has_bits(b, (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31));  // F, DQ, BW, VL
    const bool has_bytes = has_bits(c, 1u << 1);                                             // VBMI
    return has_tiles && has_avx512 && has_bytes && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && has_bits(a, 1u << 5);
}

struct alignas(64) TileShapes {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

std::string find_obstacle() {
    if (!processor_has_amx()) return "this processor has no AMX tiles for int8 and bf16";
    if (syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0) return "the system does not permit AMX tiles";
    return "";
}
#else
std::string find_obstacle() { return "AMX tiles exist on x86-64 under Linux only"; }
#endif

}  // namespace

const std::string& amx_obstacle() {
    static const std::string obstacle = find_obstacle();
    return obstacle;
}

#if defined(SMALLSIGHT_EMULATED_AMX)
void begin_tiles() {}

void end_tiles() {}
#elif defined(SMALLSIGHT_X86) && defined(__linux__)
void begin_tiles() {
    static const TileShapes shapes;
    asm volatile("ldtilecfg (%0)" ::"r"(&shapes) : "memory");
}

void end_tiles() { asm volatile("tilerelease" ::); }
#endif

}  // namespace smallsight
