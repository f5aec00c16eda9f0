// Pooling of rows and products of a matrix with one vector, over a type `Lanes`; included after path_body.hpp.

// Computes the scores of `kHeads` heads for all rows, 16 rows at a time; the last row stands for missing ones.
template <int kHeads>
void score_rows(const Pooling& pooling, int head) {
    constexpr int kRows = 4;
    const float* queries = pooling.queries + static_cast<std::size_t>(head) * pooling.width;
    for (int first = 0; first < pooling.rows; first += kLanes) {
        Lanes parts[kHeads][kLanes];
        for (int row = 0; row < kLanes; row += kRows) {
            const float* from[kRows];
            Lanes sums[kHeads][kRows];
            for (int one = 0; one < kRows; ++one) {
                const int number = first + row + one < pooling.rows ? first + row + one : pooling.rows - 1;
                from[one] = pooling.values + static_cast<std::size_t>(number) * pooling.width;
                for (int of = 0; of < kHeads; ++of) sums[of][one] = Lanes::all(0.0f);
            }
            for (int at = 0; at < pooling.width; at += kLanes)
                for (int of = 0; of < kHeads; ++of) {
                    const Lanes query = Lanes::load(queries + static_cast<std::size_t>(of) * pooling.width + at);
                    for (int one = 0; one < kRows; ++one)
                        sums[of][one] = Lanes::load(from[one] + at).times_plus(query, sums[of][one]);
                }
            for (int of = 0; of < kHeads; ++of)
                for (int one = 0; one < kRows; ++one) parts[of][row + one] = sums[of][one];
        }
        for (int of = 0; of < kHeads; ++of) sums_of(parts[of]).store(pooling.shares_of(head + of) + first);
    }
}

template <int kHeads, int kVectors>
inline void pool_some(const Pooling& pooling, int head, int at, const Lanes* totals) {
    Lanes sums[kHeads][kVectors];
    for (int of = 0; of < kHeads; ++of)
        for (int vector = 0; vector < kVectors; ++vector) sums[of][vector] = Lanes::all(0.0f);
    const float* from = pooling.values + at;
    for (int row = 0; row < pooling.rows; ++row, from += pooling.width)
        for (int of = 0; of < kHeads; ++of) {
            const Lanes share = Lanes::all(pooling.shares_of(head + of)[row]);
            for (int vector = 0; vector < kVectors; ++vector)
                sums[of][vector] = Lanes::load(from + vector * kLanes).times_plus(share, sums[of][vector]);
        }
    for (int of = 0; of < kHeads; ++of)
        for (int vector = 0; vector < kVectors; ++vector)
            sums[of][vector].over(totals[of]).store(pooling.out + static_cast<std::size_t>(head + of) * pooling.width +
                                                    at + vector * kLanes);
}

template <int kHeads>
void pool_heads(const Pooling& pooling, int head) {
    constexpr int kVectors = 4;
    Lanes totals[kHeads];
    score_rows<kHeads>(pooling, head);
    for (int of = 0; of < kHeads; ++of) {
        float* shares = pooling.shares_of(head + of);
        totals[of] = Lanes::all(exponentiate(shares, pooling.rows, largest_of(shares, pooling.rows)));
    }
    int at = 0;
    for (; at + kVectors * kLanes <= pooling.width; at += kVectors * kLanes)
        pool_some<kHeads, kVectors>(pooling, head, at, totals);
    for (; at < pooling.width; at += kLanes) pool_some<kHeads, 1>(pooling, head, at, totals);
}

void pool(const Pooling& pooling) {
    int head = 0;
    for (; head + kHeadsAtOnce <= pooling.heads; head += kHeadsAtOnce) pool_heads<kHeadsAtOnce>(pooling, head);
    for (; head < pooling.heads; ++head) pool_heads<1>(pooling, head);
}

template <int kRows>
inline void add_codes(const RowMatrix& matrix, int first, const float* vector, Lanes* sums) {
    const std::int8_t* codes = matrix.codes + static_cast<std::size_t>(first) * matrix.inputs;
    const int groups = matrix.inputs / matrix.group;
    const float* scales = matrix.scales + static_cast<std::size_t>(first) * groups;
    for (int row = 0; row < kRows; ++row) sums[row] = Lanes::all(0.0f);
    for (int group = 0; group < groups; ++group) {
        Lanes of_group[kRows];
        for (Lanes& sum : of_group) sum = Lanes::all(0.0f);
        for (int at = group * matrix.group; at < (group + 1) * matrix.group; at += kLanes) {
            const Lanes part = Lanes::load(vector + at);
            for (int row = 0; row < kRows; ++row)
                of_group[row] = Lanes::of_codes(codes + static_cast<std::size_t>(row) * matrix.inputs + at)
                                    .times_plus(part, of_group[row]);
        }
        for (int row = 0; row < kRows; ++row)
            sums[row] = of_group[row].times_plus(Lanes::all(scales[row * groups + group]), sums[row]);
    }
}

template <int kRows>
inline void add_halves(const RowMatrix& matrix, int first, const float* vector, Lanes* sums) {
    const std::uint16_t* halves = matrix.halves + static_cast<std::size_t>(first) * matrix.inputs;
    for (int row = 0; row < kRows; ++row) sums[row] = Lanes::all(0.0f);
    for (int at = 0; at < matrix.inputs; at += 2 * kLanes) {
        const Lanes low = Lanes::load(vector + at), high = Lanes::load(vector + at + kLanes);
        for (int row = 0; row < kRows; ++row) {
            Lanes first_half, second_half;
            Lanes::load_pairs(halves + static_cast<std::size_t>(row) * matrix.inputs + at, first_half, second_half);
            sums[row] = first_half.times_plus(low, sums[row]);
            sums[row] = second_half.times_plus(high, sums[row]);
        }
    }
}

void multiply_vector(const RowMatrix& matrix, int begin, int end, const float* vector, float* out) {
    constexpr int kRows = 4;
    for (int first = begin; first < end; first += kLanes) {
        const int count = end - first < kLanes ? end - first : kLanes;
        Lanes parts[kLanes];
        int row = 0;
        for (; row + kRows <= count; row += kRows)
            matrix.codes != nullptr ? add_codes<kRows>(matrix, first + row, vector, parts + row)
                                    : add_halves<kRows>(matrix, first + row, vector, parts + row);
        for (; row < count; ++row)
            matrix.codes != nullptr ? add_codes<1>(matrix, first + row, vector, parts + row)
                                    : add_halves<1>(matrix, first + row, vector, parts + row);
        for (; row < kLanes; ++row) parts[row] = Lanes::all(0.0f);
        const Lanes sums = sums_of(parts).plus(Lanes::load(matrix.bias + first));
        if (count == kLanes) {
            sums.store(out + first - begin);
        } else {
            float whole[kLanes];
            sums.store(whole);
            std::memcpy(out + first - begin, whole, count * sizeof(float));
        }
    }
}

void activate(float* values, int size) {
    for (int at = 0; at < size; at += kLanes) gelu(Lanes::load(values + at)).store(values + at);
}
