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

// Computes the scores of `kHeads` heads for a block's 32 tokens. Even and odd dimensions are added apart.
template <int kHeads>
inline void score(const AttentionPiece& piece, int head, float (*scores)[kPieceTokens]) {
    const std::uint16_t* keys = piece.keys.block_of(piece.begin);
    const std::uint16_t* values = piece.values.block_of(piece.begin);
    const float* queries = piece.queries + head * piece.query_stride;
    Lanes sums[kHeads][2][2];
    for (int one = 0; one < kHeads; ++one)
        for (int part = 0; part < 2; ++part) sums[one][part][0] = sums[one][part][1] = Lanes::all(0.0f);
    for (int dim = 0; dim < piece.head_dim; dim += 2)
        for (int part = 0; part < 2; ++part, keys += kPieceTokens, values += kPieceTokens) {
            Lanes first, second;
            fetch(values);
            Lanes::load_pairs(keys, first, second);
            for (int one = 0; one < kHeads; ++one) {
                const Lanes query = Lanes::all(queries[one * piece.query_stride + dim + part]);
                sums[one][part][0] = first.times_plus(query, sums[one][part][0]);
                sums[one][part][1] = second.times_plus(query, sums[one][part][1]);
            }
        }
    for (int one = 0; one < kHeads; ++one)
        for (int half = 0; half < 2; ++half)
            sums[one][0][half].plus(sums[one][1][half]).times(Lanes::all(piece.scale)).store(scores[one] + half * kLanes);
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
template <int kHeads, int kVectors>
inline void weigh(const AttentionPiece& piece, int head, float (*scores)[kPieceTokens]) {
    const int count = piece.end - piece.begin;
    for (int begin = 0; begin * kLanes < piece.head_dim; begin += kVectors) {
        Lanes sums[kHeads][kVectors];
        for (int one = 0; one < kHeads; ++one)
            for (int vector = 0; vector < kVectors; ++vector) sums[one][vector] = Lanes::all(0.0f);
        const std::uint16_t* values = piece.values.block_of(piece.begin) + begin * 2 * kLanes;
        const std::uint16_t* next = piece.next_keys + begin * 2 * kLanes;
        int token = 0;
        for (; token + 2 <= count; token += 2, values += 2 * piece.head_dim, next += 2 * piece.head_dim)
            for (int vector = 0; vector < kVectors; ++vector) {
                Lanes first, second;
                fetch(next + vector * 2 * kLanes);
                Lanes::load_pairs(values + vector * 2 * kLanes, first, second);
                for (int one = 0; one < kHeads; ++one) {
                    Lanes& sum = sums[one][vector];
                    sum = first.times_plus(Lanes::all(scores[one][token]), sum);
                    sum = second.times_plus(Lanes::all(scores[one][token + 1]), sum);
                }
            }
        for (int vector = 0; token < count && vector < kVectors; ++vector) {
            Lanes first, second;
            Lanes::load_pairs(values + vector * 2 * kLanes, first, second);
            for (int one = 0; one < kHeads; ++one)
                sums[one][vector] = first.times_plus(Lanes::all(scores[one][token]), sums[one][vector]);
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

template <int kHeads>
void attend_heads(const AttentionPiece& piece, int head) {
    alignas(64) float scores[kHeads][kPieceTokens];
    const int count = piece.end - piece.begin;
    score<kHeads>(piece, head, scores);
    for (int one = 0; one < kHeads; ++one) {
        const float largest = largest_of(scores[one], count);
        piece.largest[(head + one) * piece.head_stride] = largest;
        piece.sums[(head + one) * piece.head_stride] = exponentiate(scores[one], count, largest);
    }
    if (piece.head_dim % (4 * kLanes) == 0) {
        weigh<kHeads, 4>(piece, head, scores);
    } else {
        weigh<kHeads, 1>(piece, head, scores);
    }
}

void attend(const AttentionPiece& piece) {
    int head = 0;
    for (; head + kHeadsAtOnce <= piece.group_heads; head += kHeadsAtOnce) attend_heads<kHeadsAtOnce>(piece, head);
    if (piece.group_heads - head == 2) attend_heads<2>(piece, head);
    if (piece.group_heads - head == 1) attend_heads<1>(piece, head);
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
