// Products of rows of 8 bits with one vector, over a type `Lanes` with `of_codes`; included like path_body.hpp.

template <int kRows>
inline void multiply_some_codes(const std::int8_t* codes, const float* scales, const float* vector, int size,
                                float* out) {
    Lanes sums[kRows];
    for (Lanes& sum : sums) sum = Lanes::all(0.0f);
    for (int at = 0; at < size; at += kLanes) {
        const Lanes part = Lanes::load(vector + at);
        for (int row = 0; row < kRows; ++row)
            sums[row] = Lanes::of_codes(codes + static_cast<std::size_t>(row) * size + at).times_plus(part, sums[row]);
    }
    for (int row = 0; row < kRows; ++row) out[row] = sums[row].sum() * scales[row];
}

void multiply_codes(const std::int8_t* codes, const float* scales, const float* vector, std::size_t rows, int size,
                    float* out) {
    constexpr std::size_t kRows = 4;
    std::size_t row = 0;
    for (; row + kRows <= rows; row += kRows)
        multiply_some_codes<kRows>(codes + row * size, scales + row, vector, size, out + row);
    for (; row < rows; ++row) multiply_some_codes<1>(codes + row * size, scales + row, vector, size, out + row);
}
