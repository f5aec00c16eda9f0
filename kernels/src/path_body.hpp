// The parts of a path that are the same text for every instruction set, over a type `Lanes` of 16 floats.
//
// Included by each path's file, inside an unnamed namespace, after `Lanes` and finish_body.hpp.

constexpr float kLargestCode = 127.0f;

void norm(const float* values, const float* weight, float epsilon, int size, float* out) {
    Lanes squares = Lanes::all(0.0f);
    for (int at = 0; at < size; at += kLanes) {
        const Lanes value = Lanes::load(values + at);
        squares = value.times_plus(value, squares);
    }
    const Lanes factor = Lanes::all(1.0f / std::sqrt(squares.sum() / static_cast<float>(size) + epsilon));
    for (int at = 0; at < size; at += kLanes)
        Lanes::load(values + at).times(factor).times(Lanes::load(weight + at)).store(out + at);
}

void layer_norm(const float* values, const float* weight, const float* bias, float epsilon, int size, float* out) {
    Lanes total = Lanes::all(0.0f), squares = Lanes::all(0.0f);
    for (int at = 0; at < size; at += kLanes) total = total.plus(Lanes::load(values + at));
    const Lanes mean = Lanes::all(total.sum() / static_cast<float>(size));
    for (int at = 0; at < size; at += kLanes) {
        const Lanes value = Lanes::load(values + at).minus(mean);
        squares = value.times_plus(value, squares);
    }
    const Lanes factor = Lanes::all(1.0f / std::sqrt(squares.sum() / static_cast<float>(size) + epsilon));
    for (int at = 0; at < size; at += kLanes) {
        const Lanes value = Lanes::load(values + at).minus(mean).times(factor);
        value.times_plus(Lanes::load(weight + at), Lanes::load(bias + at)).store(out + at);
    }
}

// Rounds up to 16 values that share `scale`'s inverse; returns the sum of their codes.
std::int32_t some_codes(const float* values, int count, float inverse, std::int8_t* codes) {
    if (count == kLanes) return Lanes::load(values).times(Lanes::all(inverse)).rounded().store_codes(codes);
    float whole[kLanes] = {};
    std::memcpy(whole, values, count * sizeof(float));
    Lanes::load(whole).times(Lanes::all(inverse)).rounded().store(whole);
    std::int32_t total = 0;
    for (int lane = 0; lane < kLanes; ++lane) total += static_cast<std::int32_t>(whole[lane]);
    for (int lane = 0; lane < count; ++lane) codes[lane] = static_cast<std::int8_t>(whole[lane]);
    return total;
}

void group_codes(const float* values, int group, std::int8_t* codes, float* scale, std::int32_t* sum) {
    Lanes most = Lanes::all(0.0f);
    float whole[kLanes];
    for (int at = 0; at < group; at += kLanes) {
        Lanes some;
        if (group - at >= kLanes) {
            some = Lanes::load(values + at);
        } else {
            std::memset(whole, 0, sizeof whole);
            std::memcpy(whole, values + at, (group - at) * sizeof(float));
            some = Lanes::load(whole);
        }
        most = most.max(some.max(Lanes::all(0.0f).minus(some)));
    }
    const float largest = most.most();
    const float inverse = largest > 0.0f ? kLargestCode / largest : 0.0f;
    *sum = 0;
    for (int at = 0; at < group; at += kLanes)
        *sum += some_codes(values + at, group - at < kLanes ? group - at : kLanes, inverse, codes + at);
    *scale = largest / kLargestCode;
}

void quantise(const float* values, int group, int row, const QuantisedRows& out) {
    std::int8_t* codes = out.codes + static_cast<std::size_t>(row) * out.inputs;
    const std::size_t first = static_cast<std::size_t>(row) * out.groups;
    float* scales = out.scales_of(row);
    for (int number = 0; number * group < out.inputs; ++number)
        group_codes(values + number * group, group, codes + number * group, scales + number * kLanes,
                    out.sums + first + number);
}

template <int kRows>
void multiply_rows(const PackedMatrix& matrix, int begin, int end, const QuantisedRows& rows, int first_row,
                   const ProductTarget& target) {
    const bool is_gated = target.epilogue == Epilogue::kGate;
    for (int block = begin; block < end; block += is_gated ? 2 : 1) {
        Lanes first[kRows], second[kRows];
        multiply_block<kRows>(matrix, block, rows, first_row, first);
        if (is_gated) multiply_block<kRows>(matrix, block + 1, rows, first_row, second);
        for (int row = 0; row < kRows; ++row)
            finish(first[row], is_gated ? second[row] : first[row], block, first_row + row, target);
    }
}

// Takes a few blocks at a time, so that they are still in the nearest cache for the next rows.
void multiply(const PackedMatrix& matrix, int begin, int end, const QuantisedRows& rows, int num_rows,
              const ProductTarget& target, std::int8_t*) {
    constexpr int kBlocksAtOnce = 2;
    for (int block = begin; block < end; block += kBlocksAtOnce) {
        const int until = block + kBlocksAtOnce < end ? block + kBlocksAtOnce : end;
        for (int row = 0; row < num_rows;) {
            switch (num_rows - row) {
                case 1: multiply_rows<1>(matrix, block, until, rows, row, target); row += 1; break;
                case 2: multiply_rows<2>(matrix, block, until, rows, row, target); row += 2; break;
                case 3: multiply_rows<3>(matrix, block, until, rows, row, target); row += 3; break;
                case 4: case 5: case 6: case 7:
                    multiply_rows<4>(matrix, block, until, rows, row, target); row += 4; break;
                default: multiply_rows<8>(matrix, block, until, rows, row, target); row += 8;
            }
        }
    }
}

void rotate(float* head, const float* cosines, const float* sines, int rotated_dims) {
    const int half = rotated_dims / 2;
    for (int at = 0; at < half; ++at) {
        const float first = head[at], second = head[half + at];
        head[at] = first * cosines[at] - second * sines[at];
        head[half + at] = second * cosines[at] + first * sines[at];
    }
}

// Returns where a token lies in the cache; up to 16 from a multiple of 16 on follow one another.
template <bool kIsBf16>
const char* token_at(const CacheView& view, int token, int head_dim) {
    const std::size_t block = static_cast<std::size_t>(view.table[token / kBlockTokens]);
    const std::size_t at = block * view.block_stride + view.head_offset +
                           static_cast<std::size_t>(token % kBlockTokens) * head_dim;
    return static_cast<const char*>(view.base) + at * (kIsBf16 ? 2 : 4);
}

template <bool kIsBf16>
inline Lanes cached(const char* token, int vector) {
    if (kIsBf16) return Lanes::load_bf16(reinterpret_cast<const std::uint16_t*>(token) + vector * kLanes);
    return Lanes::load(reinterpret_cast<const float*>(token) + vector * kLanes);
}

// Computes the scores of `kHeads` heads for up to 16 tokens; those past `count` are 0.
template <bool kIsBf16, int kHeads, int kVectors>
inline void score_some(const char* tokens, int count, int head_dim, const float* queries, Lanes* scores) {
    const int vectors = kVectors != 0 ? kVectors : head_dim / kLanes;
    Lanes parts[kHeads][kLanes];
    for (int at = 0; at < kLanes; ++at) {
        Lanes sums[kHeads];
        for (int one = 0; one < kHeads; ++one) sums[one] = Lanes::all(0.0f);
        for (int vector = 0; at < count && vector < vectors; ++vector) {
            const Lanes key = cached<kIsBf16>(tokens, at * vectors + vector);
            for (int one = 0; one < kHeads; ++one)
                sums[one] = key.times_plus(Lanes::load(queries + one * head_dim + vector * kLanes), sums[one]);
        }
        for (int one = 0; one < kHeads; ++one) parts[one][at] = sums[one];
    }
    for (int one = 0; one < kHeads; ++one) scores[one] = sums_of(parts[one]);
}

template <bool kIsBf16, int kHeads, int kVectors>
void score(const AttentionPiece& piece, int head, float (*scores)[kPieceTokens]) {
    const float* queries = piece.queries + static_cast<std::size_t>(head) * piece.head_dim;
    for (int first = piece.begin; first < piece.end; first += kLanes) {
        const char* tokens = token_at<kIsBf16>(piece.keys, first, piece.head_dim);
        Lanes some[kHeads];
        if (piece.end - first >= kLanes) {
            score_some<kIsBf16, kHeads, kVectors>(tokens, kLanes, piece.head_dim, queries, some);
        } else {
            score_some<kIsBf16, kHeads, 0>(tokens, piece.end - first, piece.head_dim, queries, some);
        }
        for (int one = 0; one < kHeads; ++one)
            some[one].times(Lanes::all(piece.scale)).store(scores[one] + first - piece.begin);
    }
}

// Turns scores into exponentials relative to the largest; returns their sum.
float exponentiate(float* scores, int count, float largest) {
    for (int at = count; at % kLanes != 0; ++at) scores[at] = largest;
    Lanes sum = Lanes::all(0.0f);
    for (int at = 0; at < count; at += kLanes) {
        exponential(Lanes::load(scores + at).minus(Lanes::all(largest))).store(scores + at);
        for (int past = count; past < at + kLanes; ++past) scores[past] = 0.0f;
        sum = sum.plus(Lanes::load(scores + at));
    }
    return sum.sum();
}

// Adds the values of all tokens, weighted; `kVectors` vectors of 16 dimensions at once.
template <bool kIsBf16, int kHeads, int kVectors>
void weigh(const AttentionPiece& piece, int head, float (*scores)[kPieceTokens]) {
    for (int begin = 0; begin * kLanes < piece.head_dim; begin += kVectors) {
        Lanes sums[kHeads][kVectors];
        for (int one = 0; one < kHeads; ++one)
            for (int vector = 0; vector < kVectors; ++vector) sums[one][vector] = Lanes::all(0.0f);
        for (int first = piece.begin; first < piece.end; first += kLanes) {
            const char* tokens = token_at<kIsBf16>(piece.values, first, piece.head_dim);
            const int count = piece.end - first < kLanes ? piece.end - first : kLanes;
            for (int at = 0; at < count; ++at) {
                Lanes weights[kHeads];
                for (int one = 0; one < kHeads; ++one)
                    weights[one] = Lanes::all(scores[one][first - piece.begin + at]);
                for (int vector = 0; vector < kVectors; ++vector) {
                    const Lanes value = cached<kIsBf16>(tokens, at * (piece.head_dim / kLanes) + begin + vector);
                    for (int one = 0; one < kHeads; ++one)
                        sums[one][vector] = value.times_plus(weights[one], sums[one][vector]);
                }
            }
        }
        for (int one = 0; one < kHeads; ++one)
            for (int vector = 0; vector < kVectors; ++vector)
                sums[one][vector].store(piece.weighted + (head + one) * piece.weighted_head_stride +
                                        (begin + vector) * kLanes);
    }
}

float largest_of(float* scores, int count) {
    for (int at = count; at % kLanes != 0; ++at) scores[at] = scores[0];
    Lanes most = Lanes::load(scores);
    for (int at = kLanes; at < count; at += kLanes) most = most.max(Lanes::load(scores + at));
    return most.most();
}

template <bool kIsBf16, int kHeads>
void attend_heads(const AttentionPiece& piece, int head) {
    alignas(64) float scores[kHeads][kPieceTokens];
    const int count = piece.end - piece.begin;
    const bool is_usual = piece.head_dim == 4 * kLanes;
    if (is_usual) {
        score<kIsBf16, kHeads, 4>(piece, head, scores);
    } else {
        score<kIsBf16, kHeads, 0>(piece, head, scores);
    }
    for (int one = 0; one < kHeads; ++one) {
        const float largest = largest_of(scores[one], count);
        piece.largest[(head + one) * piece.head_stride] = largest;
        piece.sums[(head + one) * piece.head_stride] = exponentiate(scores[one], count, largest);
    }
    if (is_usual) {
        weigh<kIsBf16, kHeads, 4>(piece, head, scores);
    } else {
        weigh<kIsBf16, kHeads, 1>(piece, head, scores);
    }
}

template <bool kIsBf16>
void attend_all(const AttentionPiece& piece) {
    int head = 0;
    for (; head + 3 <= piece.group_heads; head += 3) attend_heads<kIsBf16, 3>(piece, head);
    if (piece.group_heads - head == 2) attend_heads<kIsBf16, 2>(piece, head);
    if (piece.group_heads - head == 1) attend_heads<kIsBf16, 1>(piece, head);
}

void attend(const AttentionPiece& piece) {
    if (piece.keys.is_bf16) {
        attend_all<true>(piece);
    } else {
        attend_all<false>(piece);
    }
}

void join(const AttentionPieces& pieces, float* factors, float* out) {
    float largest = pieces.largest[0], sum = 0.0f;
    for (int piece = 1; piece < pieces.pieces; ++piece)
        largest = pieces.largest[piece] > largest ? pieces.largest[piece] : largest;
    for (int piece = 0; piece < pieces.pieces; piece += kLanes)
        exponential(Lanes::load(pieces.largest + piece).minus(Lanes::all(largest))).store(factors + piece);
    for (int piece = 0; piece < pieces.pieces; ++piece)
        sum = __builtin_fmaf(factors[piece], pieces.sums[piece], sum);
    const Lanes total = Lanes::all(sum);
    for (int dim = 0; dim < pieces.head_dim; dim += kLanes) {
        Lanes mixed = Lanes::all(0.0f);
        for (int piece = 0; piece < pieces.pieces; ++piece) {
            const float* weighted = pieces.weighted + static_cast<std::size_t>(piece) * pieces.head_dim;
            mixed = Lanes::load(weighted + dim).times_plus(Lanes::all(factors[piece]), mixed);
        }
        mixed.over(total).store(out + dim);
    }
}
