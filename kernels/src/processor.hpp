// Which instruction sets the processor has and the system saves registers of.
//
// Not by the compiler's builtin: linked with zig, it knows no instruction set at all.
#pragma once

namespace smallsight {

bool has_avx2();           // with fused products and conversions of 16-bit floats
bool has_avx512();         // F, BW, VL, DQ and VNNI
bool has_avx512_bf16();    // has_avx512 and dot products of bfloat16
bool has_avx512_vbmi();    // has_avx512 and permutations of bytes
bool has_tiles();          // AMX for int8; whether a process may use it is another question
bool has_dot_products();   // ARM: SDOT
bool has_matrix_products();  // ARM: USMMLA, of i8mm

}  // namespace smallsight
