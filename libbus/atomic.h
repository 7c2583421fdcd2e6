/* SPDX-License-Identifier: MIT */
/*
 * atomic.h - every access to memory that another process or thread writes.
 *
 * Fields in shared memory are plain fixed-width integers; they are touched
 * only through these. Nothing here is sequentially consistent by default: the
 * order is in the name, and each ordered access carries a label and the label
 * of the access it pairs with, as in
 *
 *	bus_store_release(&f->word0, w);  // [commit:A] pairs [peek:A]
 *
 * (in block comments). scripts/check-order fails on an access without a label
 * and on a pair that does not name each other.
 */
#ifndef BUS_ATOMIC_H
#define BUS_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#if defined(__SANITIZE_THREAD__)
#define BUS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BUS_TSAN 1
#endif
#endif

/*
 * What ThreadSanitizer cannot see, because it is written in assembler or in a
 * library that is not instrumented, it is told: what came before a release of
 * an address comes before what follows an acquire of it.
 */
#ifdef BUS_TSAN
void __tsan_acquire(void *);
void __tsan_release(void *);
#define bus_tsan_acquire(p) __tsan_acquire((void *)(uintptr_t)(p))
#define bus_tsan_release(p) __tsan_release((void *)(uintptr_t)(p))
#else
#define bus_tsan_acquire(p) ((void)(p))
#define bus_tsan_release(p) ((void)(p))
#endif

/* Relaxed: only that the access is one, whole, and done where it stands. */
#define bus_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define bus_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

#define bus_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define bus_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* 32-bit or 64-bit; acquire and release, full barriers on x86. */
#define bus_fetch_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define bus_cas(p, old, new)                                                   \
	({                                                                     \
		__typeof__(*(p)) bus_cas_old = (old);                          \
		__atomic_compare_exchange_n((p), &bus_cas_old, (new), false,   \
					    __ATOMIC_ACQ_REL,                  \
					    __ATOMIC_ACQUIRE);                 \
	})

/* The compiler keeps the order of what is before and after. */
#define bus_barrier() __asm__ volatile("" ::: "memory")

/*
 * ThreadSanitizer does not understand fences: give it a read-modify-write,
 * which orders as much and which it follows.
 */
#ifdef BUS_TSAN
extern uint64_t bus_tsan_fence;
#define bus_fence_acquire()                                                    \
	((void)__atomic_fetch_add(&bus_tsan_fence, 0, __ATOMIC_SEQ_CST))
#define bus_fence_full()                                                       \
	((void)__atomic_fetch_add(&bus_tsan_fence, 0, __ATOMIC_SEQ_CST))
#else
#define bus_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define bus_fence_full() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

static inline void bus_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * Ask for a line in order to write it. Spelled out on x86, where compilers
 * that do not know the target has PREFETCHW (all since 2014 do, for others it
 * is a no-op) ask for it to be read, and then it crosses twice.
 */
static inline void bus_prefetch_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

/*
 * Two words that are replaced together. Whoever only reads takes pos, off and
 * pos again until both agree: pos strictly grows.
 */
struct bus_pair {
	uint64_t pos;
	uint64_t off;
} __attribute__((aligned(16)));

/*
 * Replace *p by @new if it is @old; acquire and release. Written out, because
 * gcc 12 makes a library call of __atomic builtins of 16 bytes, and
 * ThreadSanitizer a lock that other processes do not know of.
 */
static inline bool bus_pair_cas(struct bus_pair *p, struct bus_pair old,
				struct bus_pair new)
{
#if defined(__x86_64__)
	bool done;

	bus_tsan_release(p);
	__asm__ volatile("lock cmpxchg16b %[p]"
			 : [p] "+m"(*p), "=@ccz"(done), "+a"(old.pos),
			   "+d"(old.off)
			 : "b"(new.pos), "c"(new.off)
			 : "memory");
	bus_tsan_acquire(p);
	return done;
#elif defined(__aarch64__)
	uint64_t pos, off;
	uint32_t failed;

	bus_tsan_release(p);
	/* The store is tried in both cases: only then is the load of both
	 * words known to be one (Arm ARM, B2.9.5). */
	do {
		__asm__ volatile("ldaxp %0, %1, %2"
				 : "=&r"(pos), "=&r"(off)
				 : "Q"(*p)
				 : "memory");
		bool same = pos == old.pos && off == old.off;
		uint64_t put_pos = same ? new.pos : pos;
		uint64_t put_off = same ? new.off : off;

		__asm__ volatile("stlxp %w0, %2, %3, %1"
				 : "=&r"(failed), "=Q"(*p)
				 : "r"(put_pos), "r"(put_off)
				 : "memory");
	} while (failed);
	bus_tsan_acquire(p);
	return pos == old.pos && off == old.off;
#else
#error "no 16-byte compare-and-swap known for this processor"
#endif
}

/* A consistent pair, without writing to its line. Never torn, maybe old. */
static inline struct bus_pair bus_pair_load(const struct bus_pair *p)
{
	struct bus_pair v;

	do {
		v.pos = bus_load_acquire(&p->pos); /* [pair:A] pairs [pair:C] */
		v.off = bus_load_acquire(&p->off); /* [pair:B] pairs [pair:C] */
	} while (bus_load(&p->pos) != v.pos);
	bus_tsan_acquire(p);
	return v;
}

/* Raise *p to @v unless it is there already. [pair:C] pairs [pair:A] [pair:B] */
static inline void bus_pair_max(struct bus_pair *p, struct bus_pair v)
{
	for (;;) {
		struct bus_pair old = bus_pair_load(p);

		if ((int64_t)(v.pos - old.pos) <= 0)
			return;
		if (bus_pair_cas(p, old, v))
			return;
	}
}

#endif
