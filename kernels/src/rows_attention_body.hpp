// One piece of attention for several rows at once: the same additions as in `attend`.
//
// Included like path_body.hpp, after it, `transpose` and `kPairsAtOnce`.

// Writes a block of a head as float32: keys as [head_dim][32], values as [32][head_dim]. Tokens past `count` have any
// keys, and values that are 0.
void widen(const RowsPiece& piece, int count, float* keys, float* values) {
    const std::uint16_t* key = piece.keys.block_of(piece.begin);
    const std::uint16_t* value = piece.values.block_of(piece.begin);
    Lanes first, second;
    for (int dim = 0; dim < piece.head_dim; ++dim, key += kPieceTokens, keys += kPieceTokens) {
        Lanes::load_pairs(key, first, second);
        first.store(keys);
        second.store(keys + kLanes);
    }
    for (int token = 0; token < kPieceTokens; token += 2)
        for (int dim = 0; dim < piece.head_dim; dim += kLanes, value += 2 * kLanes) {
            float* to = values + static_cast<std::size_t>(token) * piece.head_dim + dim;
            Lanes::load_pairs(value, first, second);
            (token < count ? first : Lanes::all(0.0f)).store(to);
            (token + 1 < count ? second : Lanes::all(0.0f)).store(to + piece.head_dim);
        }
}

// The scores of some pairs, added in the order of `score`.
template <int kPairs>
void score_pairs(const RowsPiece& piece, const float* keys, int first_pair, float* scores) {
    const float* queries[kPairs];
    Lanes sums[kPairs][2][2];
    for (int pair = 0; pair < kPairs; ++pair) {
        const int row = (first_pair + pair) / piece.group_heads, head = (first_pair + pair) % piece.group_heads;
        queries[pair] = piece.queries + row * piece.query_stride + static_cast<std::size_t>(head) * piece.head_dim;
        for (int part = 0; part < 2; ++part) sums[pair][part][0] = sums[pair][part][1] = Lanes::all(0.0f);
    }
    for (int dim = 0; dim < piece.head_dim; dim += 2)
        for (int part = 0; part < 2; ++part, keys += kPieceTokens) {
            const Lanes first = Lanes::load(keys), second = Lanes::load(keys + kLanes);
            for (int pair = 0; pair < kPairs; ++pair) {
                const Lanes query = Lanes::all(queries[pair][dim + part]);
                sums[pair][part][0] = first.times_plus(query, sums[pair][part][0]);
                sums[pair][part][1] = second.times_plus(query, sums[pair][part][1]);
            }
        }
    for (int pair = 0; pair < kPairs; ++pair)
        for (int half = 0; half < 2; ++half) {
            const Lanes sum = sums[pair][0][half].plus(sums[pair][1][half]);
            sum.times(Lanes::all(piece.scale)).store(scores + (first_pair + pair) * kPieceTokens + half * kLanes);
        }
}

void score_all(const RowsPiece& piece, const float* keys, int pairs, float* scores) {
    int pair = 0;
    for (; pair + kPairsAtOnce <= pairs; pair += kPairsAtOnce) score_pairs<kPairsAtOnce>(piece, keys, pair, scores);
    for (; pair < pairs; ++pair) score_pairs<1>(piece, keys, pair, scores);
}

// Adds the values of `count` tokens for some pairs; a token that a pair does not see has weight 0.
template <int kPairs, int kVectors>
void weigh_pairs(const RowsPiece& piece, const float* values, int count, int first_pair, const float* scores) {
    for (int begin = 0; begin * kLanes < piece.head_dim; begin += kVectors) {
        Lanes sums[kPairs][kVectors];
        for (int pair = 0; pair < kPairs; ++pair)
            for (int vector = 0; vector < kVectors; ++vector) sums[pair][vector] = Lanes::all(0.0f);
        const float* from = values + begin * kLanes;
        for (int token = 0; token < count; ++token, from += piece.head_dim) {
            for (int pair = 0; pair < kPairs; ++pair) {
                const Lanes weight = Lanes::all(scores[(first_pair + pair) * kPieceTokens + token]);
                for (int vector = 0; vector < kVectors; ++vector)
                    sums[pair][vector] = Lanes::load(from + vector * kLanes).times_plus(weight, sums[pair][vector]);
            }
        }
        for (int pair = 0; pair < kPairs; ++pair)
            for (int vector = 0; vector < kVectors; ++vector)
                sums[pair][vector].store(piece.weighted + (first_pair + pair) * piece.weighted_pair_stride +
                                         (begin + vector) * kLanes);
    }
}

template <int kVectors>
void weigh_all(const RowsPiece& piece, const float* values, int count, int pairs, const float* scores) {
    constexpr int kPairs = kPairsAtOnce > 1 ? 6 : 2;
    int pair = 0;
    for (; pair + kPairs <= pairs; pair += kPairs) weigh_pairs<kPairs, kVectors>(piece, values, count, pair, scores);
    for (; pair < pairs; ++pair) weigh_pairs<1, kVectors>(piece, values, count, pair, scores);
}

// Turns a pair's scores of the tokens that it sees into exponentials, and the others into 0.
void exponentiate_pair(const RowsPiece& piece, int pair, int seen, float* scores) {
    float* own = scores + pair * kPieceTokens;
    if (seen > 0) {
        const float largest = largest_of(own, seen);
        piece.largest[pair * piece.pair_stride] = largest;
        piece.sums[pair * piece.pair_stride] = exponentiate(own, seen, largest);
    }
    for (int token = (seen + kLanes - 1) / kLanes * kLanes; token < kPieceTokens; ++token) own[token] = 0.0f;
}

// The same for 16 pairs that see the whole piece.
void exponentiate_whole(const RowsPiece& piece, int first_pair, float* scores) {
    float* own = scores + first_pair * kPieceTokens;
    alignas(64) float largest[kLanes], sums[kLanes];
    Lanes parts[kLanes];
    for (int pair = 0; pair < kLanes; ++pair)
        parts[pair] = Lanes::load(own + pair * kPieceTokens).max(Lanes::load(own + pair * kPieceTokens + kLanes));
    transpose(parts);
    for (int width = kLanes / 2; width > 0; width /= 2)
        for (int lane = 0; lane < width; ++lane) parts[lane] = parts[lane].max(parts[lane + width]);
    parts[0].store(largest);
    for (int pair = 0; pair < kLanes; ++pair) {
        float* from = own + pair * kPieceTokens;
        const Lanes most = Lanes::all(largest[pair]);
        const Lanes first = exponential(Lanes::load(from).minus(most));
        const Lanes second = exponential(Lanes::load(from + kLanes).minus(most));
        first.store(from);
        second.store(from + kLanes);
        parts[pair] = first.plus(second);
    }
    sums_of(parts).store(sums);
    for (int pair = 0; pair < kLanes; ++pair) {
        piece.largest[(first_pair + pair) * piece.pair_stride] = largest[pair];
        piece.sums[(first_pair + pair) * piece.pair_stride] = sums[pair];
    }
}

void attend_rows(const RowsPiece& piece) {
    const int pairs = piece.rows * piece.group_heads;
    int counts[kGroupRows], count = 0;
    for (int row = 0; row < piece.rows; ++row) {
        const int seen = piece.visible[row] - piece.begin;
        counts[row] = seen < 0 ? 0 : seen < kPieceTokens ? seen : kPieceTokens;
        count = counts[row] > count ? counts[row] : count;
    }
    float* keys = piece.scratch;
    float* values = keys + static_cast<std::size_t>(kPieceTokens) * piece.head_dim;
    float* scores = values + static_cast<std::size_t>(kPieceTokens) * piece.head_dim;
    widen(piece, count, keys, values);
    score_all(piece, keys, pairs, scores);
    for (int pair = 0; pair < pairs;) {
        int row = pair / piece.group_heads;
        while (row < piece.rows && counts[row] == kPieceTokens) ++row;
        if (row * piece.group_heads >= pair + kLanes) {
            exponentiate_whole(piece, pair, scores);
            pair += kLanes;
        } else {
            exponentiate_pair(piece, pair, counts[pair / piece.group_heads], scores);
            ++pair;
        }
    }
    if (piece.head_dim % (4 * kLanes) == 0) {
        weigh_all<4>(piece, values, count, pairs, scores);
    } else {
        weigh_all<1>(piece, values, count, pairs, scores);
    }
}
