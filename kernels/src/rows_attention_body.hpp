// One piece of attention for several rows at once: the same additions as in `attend`, with tokens in the lanes.
//
// Included like path_body.hpp, after it, `transpose` and `kPairsAtOnce`.

// Writes up to 32 tokens of a head as float32: keys as [head_dim][32], values as [32][head_dim].
template <bool kIsBf16>
void widen(const RowsPiece& piece, int count, float* keys, float* values) {
    const int vectors = piece.head_dim / kLanes;
    for (int first = 0; first < kPieceTokens; first += kLanes) {
        const char* key = token_at<kIsBf16>(piece.keys, piece.begin + first, piece.head_dim);
        const char* value = token_at<kIsBf16>(piece.values, piece.begin + first, piece.head_dim);
        for (int vector = 0; vector < vectors; ++vector) {
            Lanes tokens[kLanes];
            for (int at = 0; at < kLanes; ++at) {
                const bool is_there = first + at < count;
                tokens[at] = is_there ? cached<kIsBf16>(key, at * vectors + vector) : Lanes::all(0.0f);
                const Lanes one = is_there ? cached<kIsBf16>(value, at * vectors + vector) : Lanes::all(0.0f);
                one.store(values + static_cast<std::size_t>(first + at) * piece.head_dim + vector * kLanes);
            }
            transpose(tokens);
            for (int at = 0; at < kLanes; ++at)
                tokens[at].store(keys + static_cast<std::size_t>(vector * kLanes + at) * kPieceTokens + first);
        }
    }
}

// Adds what `Lanes::sum` adds first: lanes `lane` and + 8 of the products of keys and queries.
template <int kPairs, int kVectors>
inline void add_eighth(const RowsPiece& piece, const float* keys, const float* const* queries, int lane,
                       Lanes (*sums)[2]) {
    const int vectors = kVectors != 0 ? kVectors : piece.head_dim / kLanes;
    Lanes parts[2][kPairs][2];
    for (int part = 0; part < 2; ++part)
        for (int pair = 0; pair < kPairs; ++pair) parts[part][pair][0] = parts[part][pair][1] = Lanes::all(0.0f);
    for (int vector = 0; vector < vectors; ++vector)
        for (int part = 0; part < 2; ++part) {
            const int dim = vector * kLanes + lane + part * 8;
            const float* from = keys + static_cast<std::size_t>(dim) * kPieceTokens;
            const Lanes first = Lanes::load(from), second = Lanes::load(from + kLanes);
            for (int pair = 0; pair < kPairs; ++pair) {
                const Lanes query = Lanes::all(queries[pair][dim]);
                parts[part][pair][0] = first.times_plus(query, parts[part][pair][0]);
                parts[part][pair][1] = second.times_plus(query, parts[part][pair][1]);
            }
        }
    for (int pair = 0; pair < kPairs; ++pair)
        for (int half = 0; half < 2; ++half) sums[pair][half] = parts[0][pair][half].plus(parts[1][pair][half]);
}

// Adds lanes `lane`, + 8, + 4 and + 12.
template <int kPairs, int kVectors>
inline void add_quarter(const RowsPiece& piece, const float* keys, const float* const* queries, int lane,
                        Lanes (*sums)[2]) {
    Lanes more[kPairs][2];
    add_eighth<kPairs, kVectors>(piece, keys, queries, lane, sums);
    add_eighth<kPairs, kVectors>(piece, keys, queries, lane + 4, more);
    for (int pair = 0; pair < kPairs; ++pair)
        for (int half = 0; half < 2; ++half) sums[pair][half] = sums[pair][half].plus(more[pair][half]);
}

template <int kPairs, int kVectors>
void score_pairs(const RowsPiece& piece, const float* keys, int first_pair, float* scores) {
    const float* queries[kPairs];
    for (int pair = 0; pair < kPairs; ++pair) {
        const int row = (first_pair + pair) / piece.group_heads, head = (first_pair + pair) % piece.group_heads;
        queries[pair] = piece.queries + row * piece.query_stride + static_cast<std::size_t>(head) * piece.head_dim;
    }
    Lanes even[kPairs][2], odd[kPairs][2], more[kPairs][2];
    add_quarter<kPairs, kVectors>(piece, keys, queries, 0, even);
    add_quarter<kPairs, kVectors>(piece, keys, queries, 2, more);
    for (int pair = 0; pair < kPairs; ++pair)
        for (int half = 0; half < 2; ++half) even[pair][half] = even[pair][half].plus(more[pair][half]);
    add_quarter<kPairs, kVectors>(piece, keys, queries, 1, odd);
    add_quarter<kPairs, kVectors>(piece, keys, queries, 3, more);
    for (int pair = 0; pair < kPairs; ++pair)
        for (int half = 0; half < 2; ++half) {
            const Lanes sum = even[pair][half].plus(odd[pair][half].plus(more[pair][half]));
            sum.times(Lanes::all(piece.scale)).store(scores + (first_pair + pair) * kPieceTokens + half * kLanes);
        }
}

template <int kVectors>
void score_all(const RowsPiece& piece, const float* keys, int pairs, float* scores) {
    int pair = 0;
    for (; pair + kPairsAtOnce <= pairs; pair += kPairsAtOnce)
        score_pairs<kPairsAtOnce, kVectors>(piece, keys, pair, scores);
    for (; pair < pairs; ++pair) score_pairs<1, kVectors>(piece, keys, pair, scores);
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
    if (piece.keys.is_bf16) {
        widen<true>(piece, count, keys, values);
    } else {
        widen<false>(piece, count, keys, values);
    }
    const bool is_usual = piece.head_dim == 4 * kLanes;
    if (is_usual) {
        score_all<4>(piece, keys, pairs, scores);
    } else {
        score_all<0>(piece, keys, pairs, scores);
    }
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
    if (is_usual) {
        weigh_all<4>(piece, values, count, pairs, scores);
    } else {
        weigh_all<1>(piece, values, count, pairs, scores);
    }
}
