#include "processor.hpp"

#include <cstddef>

#if defined(SMALLSIGHT_X86)
#include <cpuid.h>
#elif defined(SMALLSIGHT_ARM) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(SMALLSIGHT_ARM) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace smallsight {

namespace {

#if defined(SMALLSIGHT_X86)
struct Leaf {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

Leaf leaf(unsigned number, unsigned part = 0) {
    Leaf found;
    __get_cpuid_count(number, part, &found.a, &found.b, &found.c, &found.d);
    return found;
}

constexpr bool has_bits(unsigned value, unsigned bits) { return (value & bits) == bits; }

// Which registers the system saves: 6 are those of AVX, 0xe6 also those of AVX-512.
unsigned saved_registers() {
    constexpr unsigned kReadable = 1u << 27;  // OSXSAVE
    if (!has_bits(leaf(1).c, kReadable)) return 0;
    unsigned low = 0, high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}
#elif defined(SMALLSIGHT_ARM) && defined(__linux__)
bool has_capability(unsigned long kind, unsigned long bit) { return (getauxval(kind) & bit) != 0; }
#elif defined(SMALLSIGHT_ARM) && defined(__APPLE__)
bool has_feature(const char* name) {
    int value = 0;
    std::size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value == 1;
}
#endif

}  // namespace

#if defined(SMALLSIGHT_X86)
bool has_avx2() {
    constexpr unsigned kFma = 1u << 12, kF16c = 1u << 29, kAvx2 = 1u << 5;
    return has_bits(saved_registers(), 6) && has_bits(leaf(1).c, kFma | kF16c) && has_bits(leaf(7).b, kAvx2);
}

bool has_avx512() {
    constexpr unsigned kFoundation = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31), kVnni = 1u << 11;
    return has_avx2() && has_bits(saved_registers(), 0xe6) && has_bits(leaf(7).b, kFoundation) &&
           has_bits(leaf(7).c, kVnni);
}

bool has_avx512_bf16() { return has_avx512() && has_bits(leaf(7, 1).a, 1u << 5); }

bool has_avx512_vbmi() { return has_avx512() && has_bits(leaf(7).c, 1u << 1); }

bool has_tiles() { return has_bits(leaf(7).d, (1u << 24) | (1u << 25)); }
#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
bool has_avx512_bf16() { return false; }
bool has_avx512_vbmi() { return false; }
bool has_tiles() { return false; }
#endif

#if defined(SMALLSIGHT_ARM) && defined(__linux__)
// The kernel's numbers; older headers lack the names.
bool has_dot_products() { return has_capability(AT_HWCAP, 1ul << 20); }
bool has_matrix_products() { return has_dot_products() && has_capability(AT_HWCAP2, 1ul << 13); }
#elif defined(SMALLSIGHT_ARM) && defined(__APPLE__)
bool has_dot_products() { return has_feature("hw.optional.arm.FEAT_DotProd"); }
bool has_matrix_products() { return has_dot_products() && has_feature("hw.optional.arm.FEAT_I8MM"); }
#else
bool has_dot_products() { return false; }
bool has_matrix_products() { return false; }
#endif

}  // namespace smallsight
