#include "thread_team.hpp"

#include <chrono>

#if defined(SMALLSIGHT_X86)
#include <immintrin.h>
#endif

namespace smallsight {

namespace {

constexpr int kSpinsBeforeYield = 1000;  // some 40 us: longer than most waits where every core is free
constexpr auto kSpinBetweenSteps = std::chrono::microseconds(300);  // then sleep, so that an idle model costs nothing

void pause() {
#if defined(SMALLSIGHT_X86)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

ThreadTeam::ThreadTeam(int threads, std::function<void(Turn&)> work) : threads_(threads), work_(std::move(work)) {
    for (int thread = 1; thread < threads_; ++thread) others_.emplace_back([this, thread] { live(thread); });
}

ThreadTeam::~ThreadTeam() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        is_over_.store(true);
        started_.fetch_add(1);
    }
    woken_.notify_all();
    for (std::thread& other : others_) other.join();
}

void ThreadTeam::run() {
    started_.fetch_add(1);
    if (sleeping_.load() > 0) {
        { std::lock_guard<std::mutex> lock(mutex_); }
        woken_.notify_all();
    }
    work_(caller_);
}

void ThreadTeam::wait(int spins) {
    if (spins < kSpinsBeforeYield) {
        pause();
    } else {
        std::this_thread::yield();
    }
}

void ThreadTeam::live(int thread) {
    Turn turn;
    turn.thread = thread;
    for (unsigned seen = 0; wait_for_work(seen); ++seen) work_(turn);
}

bool ThreadTeam::wait_for_work(unsigned seen) {
    const auto until = std::chrono::steady_clock::now() + kSpinBetweenSteps;
    while (started_.load() == seen && std::chrono::steady_clock::now() < until) {
        for (int spins = 0; spins < 64; ++spins) pause();
    }
    if (started_.load() == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        sleeping_.fetch_add(1);
        woken_.wait(lock, [&] { return started_.load() != seen; });
        sleeping_.fetch_sub(1);
    }
    return !is_over_.load();
}

}  // namespace smallsight
