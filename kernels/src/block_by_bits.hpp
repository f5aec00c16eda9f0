// A block's product in either width of codes, for paths whose `multiply_codes` has the width as a constant.
//
// Included like path_body.hpp, before it and after `multiply_codes` and `kRowsTogether`, the most rows that it computes.

template <int kRows>
void multiply_block(const PackedMatrix& matrix, int block, const QuantisedRows& rows, int first_row, Lanes* out) {
    if constexpr (kRows > kRowsTogether) {
        multiply_block<kRows / 2>(matrix, block, rows, first_row, out);
        multiply_block<kRows - kRows / 2>(matrix, block, rows, first_row + kRows / 2, out + kRows / 2);
    } else if (matrix.bits == 8) {
        multiply_codes<kRows, 8>(matrix, block, rows, first_row, out);
    } else {
        multiply_codes<kRows, 4>(matrix, block, rows, first_row, out);
    }
}
