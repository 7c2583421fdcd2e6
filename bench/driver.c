/* SPDX-License-Identifier: MIT */
/*
 * driver.c - slices of floor and subject in turn, in one pair of processes.
 *
 * On a virtual machine the host draws anew on which cores the virtual ones
 * run each time one of them goes idle; a line then goes there and back in 120
 * ns (near) or in 500 (far). Two runs one after the other can differ four
 * times, in either direction, and say nothing about each other. So:
 *
 *  * Two processes, A and B, are pinned to a core each and spin all the time,
 *    also between slices. The parent sleeps; it only watches over them.
 *  * Slices of a few milliseconds alternate: floor, subject, floor, ... A
 *    says by a sequence number which comes next; both then run their side.
 *  * Before and after each slice a short ping-pong over one line tells near
 *    from far. Slices whose two tags differ are MIXED and do not count. Nor do
 *    those in which the two are threads of one core (80 to 100 ns): there each
 *    side's instructions take the other's time, which is another question.
 *  * After some forty slices both sides sleep for a moment, which draws the
 *    placement anew, and again until it is one that counts, and preferably the
 *    one that was had less often: such a stretch is mostly of one placement,
 *    and a row has many. The first slices of each are warm-up and not kept.
 *  * A slice is sized in operations, by what the last slice of its kind in
 *    the same placement took per operation, so that it lasts as asked.
 *  * A takes the time of every chunk of operations. Most slices have chunks
 *    long enough that reading the clock does not show; one pair in four has
 *    chunks of a single operation, for the percentiles ("timed").
 *
 * Nothing here asks a side whether it failed: a side that cannot go on writes
 * why to a shared page and exits, and the parent kills the other.
 */
#include "driver.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "subject.h"

#define STRETCH_SLICES 36 /* of both subjects */
#define WARM_UP 4 /* more of them, at the beginning */
#define TIMED_EVERY 4 /* pairs of slices */
#define TRIM 0.1 /* of the chunks */
#define IDLE_NS 2000000
#define DRAWS_MAX 50 /* for a placement that counts */
#define DRAWS_EVEN 8 /* for the one that was had less often */
#define TAG_CHUNKS 15 /* odd: the median is one of them */
#define TAG_TRIPS 16
#define TAG_CORE_NS 105 /* below: one core, neither near nor far */
#define TAG_NEAR_NS 250 /* below: near */
#define TAG_FAR_NS 300 /* above: far */
#define TAG_SAME 1.4 /* two tags further apart: it moved meanwhile */
#define STALL_NS UINT64_C(20000000000) /* without a slice: give up */

enum verb { VERB_OPEN, VERB_TAG, VERB_SLICE, VERB_IDLE, VERB_CLOSE, VERB_END };

/* What A and B share besides their subjects. */
struct court {
	_Alignas(2 * BENCH_LINE) uint64_t turn; /* A: number of the command */
	uint64_t ops;
	uint32_t verb;
	uint32_t part;
	uint32_t chunk;
	_Alignas(2 * BENCH_LINE) uint64_t done; /* B: the last one it did */
	_Alignas(2 * BENCH_LINE) uint64_t ball; /* of the tag, both */
};

struct pair {
	const struct bench *bench;
	const struct bench_row *row;
	const struct bench_options *options;
	struct bench_result *result;
	struct court *court;
	struct bench_part part[2];
	pid_t pid[2];
	uint64_t turn;
	uint32_t n_subject; /* slices of the subject that were kept */
	/* ns per operation, as last seen: by part, timed, place */
	double cost[2][2][BENCH_PLACES];
	unsigned n_stretches[BENCH_PLACES];
};

/* ---- Both sides ------------------------------------------------------- */

static void pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)core, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		bench_fail_errno("cannot pin a process to core %d", core);
		_exit(1);
	}
}

static void nap(void)
{
	const struct timespec t = { .tv_nsec = IDLE_NS };

	nanosleep(&t, NULL);
}

static void must(int error)
{
	if (error < 0)
		_exit(1); /* bench_fail() said why */
}

static int open_part(struct bench_part *part, enum bench_side side)
{
	return part->subject && part->subject->open ?
		       part->subject->open(part, side) :
		       0;
}

static void close_part(struct bench_part *part, enum bench_side side)
{
	if (part->subject && part->subject->close)
		part->subject->close(part, side);
	free(part->state);
	part->state = NULL;
}

/* ---- Side B: follows --------------------------------------------------- */

static void tag_echo(struct court *court)
{
	uint64_t ball = bench_load(&court->turn) << 32;

	for (int i = 0; i < TAG_CHUNKS * TAG_TRIPS; i++) {
		ball++;
		while (bench_load(&court->ball) != ball)
			;
		bench_store(&court->ball, ++ball);
	}
}

static void follow_verb(struct pair *pair, enum verb verb)
{
	struct court *court = pair->court;
	struct bench_part *part = &pair->part[court->part];

	switch (verb) {
	case VERB_OPEN:
		must(open_part(part, BENCH_B));
		break;
	case VERB_TAG:
		tag_echo(court);
		break;
	case VERB_SLICE:
		part->chunk = court->chunk;
		must(part->subject->slice(part, BENCH_B, court->ops));
		break;
	case VERB_IDLE:
		nap();
		break;
	case VERB_CLOSE:
		close_part(part, BENCH_B);
		break;
	case VERB_END:
		break;
	}
}

static void follow(struct pair *pair)
{
	struct court *court = pair->court;
	enum verb verb;
	uint64_t turn = 0;

	pin(pair->options->core[BENCH_B]);
	do {
		turn++;
		while (bench_load(&court->turn) != turn)
			bench_pause();
		verb = court->verb;
		follow_verb(pair, verb);
		bench_store(&court->done, turn);
	} while (verb != VERB_END);
}

/* ---- Side A: leads ----------------------------------------------------- */

static void command(struct pair *pair, enum verb verb, unsigned part)
{
	pair->court->verb = verb;
	pair->court->part = part;
	bench_store(&pair->court->turn, ++pair->turn);
}

static void await(struct pair *pair)
{
	while (bench_load(&pair->court->done) != pair->turn)
		bench_pause();
}

/* How long a line takes there and back now, in ns. */
static double tag(struct pair *pair)
{
	uint64_t *shm_ball = &pair->court->ball;
	double ns[TAG_CHUNKS];

	command(pair, VERB_TAG, 0);
	uint64_t ball = pair->turn << 32;

	for (int i = 0; i < TAG_CHUNKS; i++) {
		uint64_t began = bench_ticks();

		for (int j = 0; j < TAG_TRIPS; j++) {
			bench_store(shm_ball, ++ball);
			ball++;
			while (bench_load(shm_ball) != ball)
				;
		}
		ns[i] = (double)(bench_ticks() - began) * bench_tick_ns() /
			TAG_TRIPS;
	}
	await(pair);

	return bench_quartiles(ns, TAG_CHUNKS).median;
}

/* Where a slice between two tags was run. */
static enum bench_place place_of(double before, double after)
{
	double low = fmin(before, after), high = fmax(before, after);

	if (high > low * TAG_SAME || low < TAG_CORE_NS)
		return BENCH_MIXED;
	return high < TAG_NEAR_NS ? BENCH_NEAR :
	       low > TAG_FAR_NS	  ? BENCH_FAR :
				    BENCH_MIXED;
}

/* How many operations last about as long as a slice should. */
static uint64_t size_slice(const struct pair *pair, unsigned part, bool timed,
			   enum bench_place place)
{
	const struct bench *bench = pair->bench;
	uint64_t chunk = timed ? 1 : bench->chunk;
	double cost = pair->cost[part][timed][place];
	double chunks = pair->options->slice_ms * 1e6 / cost / (double)chunk;

	if (chunks < 1)
		chunks = 1;
	if (chunks > BENCH_LAPS_MAX)
		chunks = BENCH_LAPS_MAX;
	return (uint64_t)chunks * chunk;
}

static void run_slice(struct pair *pair, unsigned number, bool timed,
		      uint64_t ops)
{
	struct bench_part *part = &pair->part[number];

	part->chunk = timed ? 1 : pair->bench->chunk;
	pair->court->chunk = part->chunk;
	pair->court->ops = ops;
	command(pair, VERB_SLICE, number);
	bench_watch_start(&part->watch);
	must(part->subject->slice(part, BENCH_A, ops));
	await(pair);
}

/* ns per operation, without the slowest chunks. */
static double slice_mean(const struct bench_part *part)
{
	static double ns[BENCH_LAPS_MAX];
	const struct bench_watch *watch = &part->watch;

	for (uint32_t i = 0; i < watch->n; i++)
		ns[i] = (double)watch->lap[i] * bench_tick_ns() / part->chunk;
	return bench_trimmed_mean(ns, watch->n, TRIM);
}

static void keep_slice(struct pair *pair, const struct bench_slice *slice)
{
	struct bench_result *result = pair->result;
	const struct bench_watch *watch = &pair->part[slice->part].watch;
	struct bench_hist *hist =
		&result->hist[slice->stretch][slice->part][slice->place];

	if (result->n_slices == BENCH_SLICES_MAX)
		return;
	result->slice[result->n_slices] = *slice;
	if (slice->part == 1 && !slice->timed && slice->place != BENCH_MIXED)
		pair->n_subject++;
	if (slice->timed || pair->bench->chunk == 1)
		for (uint32_t i = 0; i < watch->n; i++)
			bench_hist_add(hist, (uint64_t)((double)watch->lap[i] *
							bench_tick_ns()));
	/* the parent looks at this to see that there is progress */
	bench_store(&result->n_slices, result->n_slices + 1);
}

/* The @i-th slice of a stretch: whose it is, and whether it is timed. */
static struct bench_slice plan(const struct pair *pair, unsigned i)
{
	const struct bench *bench = pair->bench;
	bool has_timed = bench->metric == BENCH_TIME && bench->chunk > 1;

	return (struct bench_slice){
		.part = pair->row->floor ? i % 2 : 1,
		.timed = has_timed && i / 2 % TIMED_EVERY == TIMED_EVERY - 1,
		.stretch = (uint8_t)pair->result->n_stretches,
	};
}

static bool enough(const struct pair *pair, uint64_t deadline)
{
	const struct bench_options *options = pair->options;

	return bench_ns() >= deadline ||
	       (options->slices && pair->n_subject >= options->slices) ||
	       pair->result->n_slices == BENCH_SLICES_MAX;
}

/* Have the placement drawn. Return: the tag that it shows. */
static double draw(struct pair *pair)
{
	command(pair, VERB_IDLE, 0);
	nap();
	await(pair);
	return tag(pair);
}

/*
 * Whether a stretch in this placement is of use: not one that does not count,
 * nor, while there is hope for the other, one that has more slices already.
 */
static bool wanted(const struct pair *pair, double ns, unsigned draws)
{
	enum bench_place place = place_of(ns, ns);
	enum bench_place other = place == BENCH_NEAR ? BENCH_FAR : BENCH_NEAR;

	if (place == BENCH_MIXED)
		return draws >= DRAWS_MAX;
	return draws >= DRAWS_EVEN ||
	       pair->n_stretches[place] <= pair->n_stretches[other];
}

static void lead_stretch(struct pair *pair, uint64_t deadline)
{
	double before = draw(pair);

	for (unsigned draws = 1; !wanted(pair, before, draws); draws++)
		before = draw(pair);
	pair->n_stretches[place_of(before, before)]++;

	for (unsigned i = 0; i < WARM_UP + STRETCH_SLICES; i++) {
		struct bench_slice slice = plan(pair, i);
		enum bench_place place = place_of(before, before);

		run_slice(pair, slice.part, slice.timed,
			  size_slice(pair, slice.part, slice.timed, place));
		slice.mean = slice_mean(&pair->part[slice.part]);
		pair->cost[slice.part][slice.timed][place] = slice.mean;

		double after = tag(pair);

		slice.place = (uint8_t)place_of(before, after);
		before = after;
		if (i < WARM_UP)
			continue;
		keep_slice(pair, &slice);
		if (enough(pair, deadline))
			break;
	}
	pair->result->n_stretches++;
}

static void lead_open(struct pair *pair)
{
	for (unsigned i = 0; i < 2; i++) {
		pair->part[i].watch.lap =
			calloc(BENCH_LAPS_MAX, sizeof(uint32_t));
		if (!pair->part[i].watch.lap)
			must(bench_fail(-ENOMEM, "no memory for the laps"));
		must(open_part(&pair->part[i], BENCH_A));
		command(pair, VERB_OPEN, i);
		await(pair);
	}
}

static void lead(struct pair *pair)
{
	pin(pair->options->core[BENCH_A]);
	lead_open(pair);

	uint64_t deadline =
		bench_ns() + (uint64_t)(pair->options->seconds * 1e9);

	do
		lead_stretch(pair, deadline);
	while (!enough(pair, deadline) &&
	       pair->result->n_stretches < BENCH_STRETCHES_MAX);
	for (unsigned i = 0; i < 2; i++) {
		command(pair, VERB_CLOSE, i);
		await(pair);
		close_part(&pair->part[i], BENCH_A);
	}
	command(pair, VERB_END, 0);
	await(pair);
}

/* ---- The parent: watches ------------------------------------------------ */

static const int watched[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };

static sigset_t watched_set(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		sigaddset(&set, watched[i]);
	return set;
}

void bench_signals_block(sigset_t *old)
{
	sigset_t set = watched_set();

	sigprocmask(SIG_BLOCK, &set, old);
}

static void show_progress(const struct pair *pair)
{
	const struct bench *bench = pair->bench;

	if (pair->options->progress)
		fprintf(stderr, "\r\033[K%s: row %zu of %zu, %u slices",
			bench->name, (size_t)(pair->row - bench->rows) + 1,
			bench->n_rows, bench_load(&pair->result->n_slices));
}

/* 0: alive, 1: ended well, else an error. */
static int side_state(pid_t *pid)
{
	int status;

	if (!*pid)
		return 1;
	if (waitpid(*pid, &status, WNOHANG) == 0)
		return 0;
	*pid = 0;
	if (WIFSIGNALED(status))
		return bench_fail(-ECANCELED, "a process was killed: %s",
				  strsignal(WTERMSIG(status)));
	return WEXITSTATUS(status) ? -ECANCELED : 1;
}

static int pair_state(struct pair *pair)
{
	pid_t daemon = pair->options->daemon;
	int a = side_state(&pair->pid[BENCH_A]);
	int b = side_state(&pair->pid[BENCH_B]);
	siginfo_t info = { 0 };

	if (daemon &&
	    !waitid(P_PID, (id_t)daemon, &info, WEXITED | WNOHANG | WNOWAIT) &&
	    info.si_pid)
		return bench_fail(-ECANCELED, "busd ended");
	return a < 0 ? a : b < 0 ? b : a && b;
}

static int watch_pair(struct pair *pair)
{
	const struct timespec tick = { .tv_nsec = 200000000 };
	const sigset_t set = watched_set();
	uint64_t seen = bench_ns();
	uint32_t n_seen = 0;
	int state;

	while (!(state = pair_state(pair))) {
		int sig = sigtimedwait(&set, NULL, &tick);
		uint32_t n = bench_load(&pair->result->n_slices);

		if (sig > 0 && sig != SIGCHLD)
			return -EINTR;
		if (n != n_seen) {
			n_seen = n;
			seen = bench_ns();
		}
		if (bench_ns() - seen > STALL_NS)
			return bench_fail(-ECANCELED, "no progress");
		show_progress(pair);
	}
	return state < 0 ? state : 0;
}

static void end_pair(struct pair *pair)
{
	for (int i = 0; i < 2; i++)
		if (pair->pid[i] > 0) {
			kill(pair->pid[i], SIGKILL);
			waitpid(pair->pid[i], NULL, 0);
		}
}

static int start_side(struct pair *pair, enum bench_side side)
{
	pid_t pid = bench_fork();

	if (pid < 0)
		return bench_fail_errno("cannot fork");
	if (pid) {
		pair->pid[side] = pid;
		return 0;
	}
	side == BENCH_A ? lead(pair) : follow(pair);
	_exit(0);
}

static int prepare_part(struct pair *pair, unsigned number)
{
	const struct bench_row *row = pair->row;
	struct bench_part *part = &pair->part[number];

	part->subject = number ? row->subject : row->floor;
	part->params = row->params;
	part->dir = pair->options->dir;
	part->owner = getpid();
	part->number = number;
	if (!part->subject)
		return 0;
	if (part->subject->batch)
		part->params.batch = part->subject->batch;
	for (unsigned i = 0; i < 2 * BENCH_PLACES; i++)
		pair->cost[number][i / BENCH_PLACES][i % BENCH_PLACES] =
			pair->bench->guess;
	return part->subject->prepare ? part->subject->prepare(part) : 0;
}

static int run_pair(struct pair *pair)
{
	int r = prepare_part(pair, 0);

	if (!r)
		r = prepare_part(pair, 1);
	if (!r)
		r = start_side(pair, BENCH_B);
	if (!r)
		r = start_side(pair, BENCH_A);
	if (!r)
		r = watch_pair(pair);
	end_pair(pair);
	for (unsigned i = 0; i < 2; i++)
		if (pair->part[i].shared)
			munmap(pair->part[i].shared, pair->part[i].shared_size);
	return r;
}

int bench_run(const struct bench *bench, const struct bench_row *row,
	      const struct bench_options *options, struct bench_result *ret)
{
	struct pair pair = { .bench = bench, .row = row, .options = options };
	void *court = mmap(NULL, sizeof(struct court), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r;

	if (court == MAP_FAILED)
		return bench_fail_errno("no shared memory");
	pair.court = court;
	pair.result = ret;
	bench_tick_ns(); /* once, before the forks */
	r = run_pair(&pair);
	munmap(court, sizeof(struct court));
	if (options->progress)
		fprintf(stderr, "\r\033[K");
	return r;
}

struct bench_result *bench_result_new(void)
{
	void *p = mmap(NULL, sizeof(struct bench_result),
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);

	return p == MAP_FAILED ? NULL : p;
}

struct bench_result *bench_result_free(struct bench_result *result)
{
	if (result)
		munmap(result, sizeof(*result));
	return NULL;
}
