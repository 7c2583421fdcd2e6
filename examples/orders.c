/* SPDX-License-Identifier: MIT */
/*
 * orders.c - the main job on real data: every order of a shop over the bus.
 *
 *	bus up && bus topic create orders -p 4
 *	orders data/CDNOW_master.txt [SECONDS]
 *
 * Four processes. One sends the orders by date, each a record with the
 * customer as its key and the line of the file as its value, at an even pace
 * that fills SECONDS. One reads live: it is there before the first order. One
 * starts late, when half has been sent, and reads from the beginning. The
 * fourth, which started them, knows what must have arrived and reports.
 *
 * Each reader compares every single record with the file: it must be the next
 * order of its customer, on the partition where the customer's orders were
 * before, at the next offset of that partition. So an order that is lost,
 * doubled, torn or out of turn is found at once. Counts and sums are compared
 * besides, since they are what a shop would look at.
 */
#include <bus/bus.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOPIC "orders"
#define PARTITIONS 4
#define CUSTOMERS 100000	/* customer numbers have five digits */
#define LINE 26			/* characters of an order */
#define KEY 5			/* of which the customer, behind a blank */
#define SECOND INT64_C(1000000000)
#define PATIENCE (10 * SECOND)	/* of a reader without anything to read */
#define NONE (-1)

struct order {
	char line[LINE];
	int date;
	int customer;
	int next;	/* order of this customer, or NONE */
};

struct tally {
	int64_t orders, customers, cds, cents;
};

struct shop {
	struct order *orders;	/* by date */
	int n;
	int first[CUSTOMERS];	/* order of each customer, or NONE */
	struct tally total;
};

/* What a reader found. In memory that all processes share. */
struct finding {
	struct tally partition[PARTITIONS];
	int64_t wrong;		/* records that are not what must come next */
	int64_t moved;		/* ... on another partition than before */
	int64_t gaps;		/* ... not at the next offset */
	int64_t backlog;	/* sent before this reader started */
	int64_t catch_up;	/* ns until that was read */
	int64_t finished;	/* CLOCK_MONOTONIC */
};

struct shared {
	struct finding live, late;
	atomic_int sent;
	int64_t started, finished; /* sending; CLOCK_MONOTONIC */
	int64_t latency[];	/* of each order, to the live reader; ns */
};

static struct shop shop;
static struct shared *shared;

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "orders: %s: %s\n", what, why);
	exit(1);
}

static int64_t must(const char *what, int64_t result)
{
	if (result < 0)
		die(what, bus_strerror((int)result));
	return result;
}

static int64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

/* ---- The file --------------------------------------------------------- */

/* The number between two columns of a line, any point left out. */
static int64_t number(const char *line, int from, int to)
{
	int64_t v = 0;

	for (int i = from; i < to; i++)
		if (line[i] >= '0' && line[i] <= '9')
			v = 10 * v + line[i] - '0';
	return v;
}

static int64_t cds_of(const char *line)
{
	return number(line, 15, 18);
}

static int64_t cents_of(const char *line)
{
	return number(line, 18, LINE);
}

static int by_date(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->date != y->date)
		return x->date < y->date ? -1 : 1;
	/* In the file, that is: the order of equals. */
	return x->next - y->next;
}

static void read_lines(FILE *f, const char *path)
{
	char line[128];
	int room = 0;

	if (!fgets(line, sizeof(line), f)) /* the headings */
		die(path, "is empty");
	for (; fgets(line, sizeof(line), f); shop.n++) {
		struct order *o;

		if (strcspn(line, "\r\n") != LINE)
			die(path, "has a line that is not an order");
		if (shop.n == room) {
			room = room ? 2 * room : 1024;
			shop.orders = reallocarray(shop.orders, (size_t)room,
						   sizeof(*o));
			if (!shop.orders)
				die(path, "no memory");
		}
		o = &shop.orders[shop.n];
		memcpy(o->line, line, LINE);
		o->customer = (int)number(line, 0, KEY + 1);
		o->date = (int)number(line, KEY + 1, 15);
		o->next = shop.n;
	}
}

static void load(const char *path)
{
	FILE *f = fopen(path, "re");

	if (!f)
		die(path, strerror(errno));
	read_lines(f, path);
	fclose(f);
	qsort(shop.orders, (size_t)shop.n, sizeof(*shop.orders), by_date);
	memset(shop.first, NONE, sizeof(shop.first));
	/* From the last one on, so that each finds the next of its customer. */
	for (int i = shop.n - 1; i >= 0; i--) {
		struct order *o = &shop.orders[i];

		o->next = shop.first[o->customer];
		shop.first[o->customer] = i;
		shop.total.customers += o->next == NONE;
		shop.total.cds += cds_of(o->line);
		shop.total.cents += cents_of(o->line);
	}
	shop.total.orders = shop.n;
}

/* ---- The processes ---------------------------------------------------- */

static struct bus *open_bus(void)
{
	struct bus *bus;

	must("cannot open the bus", bus_open(NULL, &bus));
	return bus;
}

/* Send all by a plan that does not slip: order i is due at i / n of the time.
 * A byte to @signal when half is done. */
static void send_all(int signal, int64_t span)
{
	struct bus *bus = open_bus();
	struct bus_message m = BUS_MESSAGE;
	struct bus_producer *producer;

	must("cannot produce", bus_producer_open(bus, TOPIC, NULL, &producer));
	prctl(PR_SET_TIMERSLACK, 1000);
	shared->started = now(CLOCK_MONOTONIC);
	for (int i = 0; i < shop.n; i++) {
		int64_t due = shared->started + span / shop.n * i;
		struct timespec t = { due / SECOND, due % SECOND };

		if (now(CLOCK_MONOTONIC) < due)
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t,
					NULL);
		m.key = shop.orders[i].line + 1;
		m.key_size = KEY;
		m.value = shop.orders[i].line;
		m.value_size = LINE;
		m.timestamp = now(CLOCK_REALTIME);
		must("cannot send", bus_send_message(producer, &m, NULL));
		atomic_store(&shared->sent, i + 1);
		if (i == shop.n / 2 && write(signal, "h", 1) != 1)
			die("cannot say that half is done", strerror(errno));
	}
	shared->finished = now(CLOCK_MONOTONIC);
	bus_producer_close(producer);
	bus_close(bus);
}

/* The customer whose order must come next is told by the key. */
static int customer_of(const struct bus_record *r)
{
	return r->key_size == KEY ? (int)number(r->key, 0, KEY) : 0;
}

static void check(struct finding *f, const struct bus_record *r,
		  signed char *partition_of, int *next)
{
	struct tally *t = &f->partition[r->partition];
	int c = customer_of(r), i = next[c];

	if (i == NONE || r->value_size != LINE ||
	    memcmp(r->value, shop.orders[i].line, LINE)) {
		f->wrong++;
		return;
	}
	next[c] = shop.orders[i].next;
	if (partition_of[c] == NONE) {
		partition_of[c] = (signed char)r->partition;
		t->customers++;
	}
	f->moved += partition_of[c] != (signed char)r->partition;
	f->gaps += r->offset != t->orders;
	t->orders++;
	t->cds += cds_of(r->value);
	t->cents += cents_of(r->value);
}

static void read_records(struct finding *f, struct bus_consumer *consumer,
			 int64_t *latency)
{
	static signed char partition_of[CUSTOMERS];
	static int next[CUSTOMERS];
	int64_t began = now(CLOCK_MONOTONIC);
	struct bus_record r;
	char buffer[256];

	memset(partition_of, NONE, sizeof(partition_of));
	memcpy(next, shop.first, sizeof(next));
	for (int n = 0; n < shop.n; n++) {
		int got = bus_poll_copy(consumer, &r, buffer, sizeof(buffer),
					PATIENCE);

		if (must("cannot read", got) == 0)
			die("a reader waits in vain", "orders are missing");
		if (latency)
			latency[n] = now(CLOCK_REALTIME) - r.timestamp;
		check(f, &r, partition_of, next);
		if (n + 1 == f->backlog)
			f->catch_up = now(CLOCK_MONOTONIC) - began;
	}
	f->finished = now(CLOCK_MONOTONIC);
}

/* Read all. A byte to @signal as soon as nothing can be missed any more. */
static void read_all(int signal, int64_t from)
{
	bool live = from == BUS_END;
	struct finding *f = live ? &shared->live : &shared->late;
	struct bus_consumer_options options = { .size = sizeof(options),
						.start = from };
	struct bus *bus = open_bus();
	struct bus_consumer *consumer;

	must("cannot read", bus_consumer_open(bus, TOPIC, &options, &consumer));
	if (bus_consumer_partitions(consumer) != PARTITIONS)
		die(TOPIC, "must have 4 partitions");
	if (write(signal, "r", 1) != 1)
		die("cannot say that a reader is ready", strerror(errno));
	f->backlog = atomic_load(&shared->sent);
	read_records(f, consumer, live ? shared->latency : NULL);
	bus_consumer_close(consumer);
	bus_close(bus);
}

/* Start a process and wait for its signal. */
static pid_t spawn(void (*run)(int signal, int64_t arg), int64_t arg)
{
	int fds[2];
	char byte;
	pid_t pid;

	if (pipe(fds))
		die("cannot make a pipe", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("cannot fork", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		run(fds[1], arg);
		exit(0);
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		die("a process ended early", "see above");
	close(fds[0]);
	return pid;
}

static bool ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* ---- The report ------------------------------------------------------- */

static void print_tally(const char *name, const struct tally *t)
{
	printf("  %-13s %7" PRId64 " %10" PRId64 " %8" PRId64 " %11" PRId64
	       ".%02d\n",
	       name, t->orders, t->customers, t->cds, t->cents / 100,
	       (int)(t->cents % 100));
}

static struct tally sum(const struct finding *f)
{
	struct tally s = { 0 };

	for (int p = 0; p < PARTITIONS; p++) {
		s.orders += f->partition[p].orders;
		s.customers += f->partition[p].customers;
		s.cds += f->partition[p].cds;
		s.cents += f->partition[p].cents;
	}
	return s;
}

static bool print_check(bool ok, const char *text)
{
	printf("  %-6s  %s\n", ok ? "ok" : "FAILED", text);
	return ok;
}

static bool print_reader(const char *name, const struct finding *f)
{
	struct tally s = sum(f);
	bool ok;

	printf("\n%s\n  %-13s %7s %10s %8s %14s\n", name, "", "orders",
	       "customers", "CDs", "dollars");
	for (int p = 0; p < PARTITIONS; p++) {
		char label[16];

		snprintf(label, sizeof(label), "partition %d", p);
		print_tally(label, &f->partition[p]);
	}
	print_tally("together", &s);
	ok = print_check(f->moved == 0, "each customer on one partition");
	ok &= print_check(
		f->wrong == 0,
		"each customer's orders in their order, byte by byte");
	ok &= print_check(f->gaps == 0, "offsets without a gap");
	ok &= print_check(
		!memcmp(&s, &shop.total, sizeof(s)),
		"none lost, none doubled: counts and sums are the file's");
	return ok;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print_bar(const char *label, int n)
{
	char bar[] = "##################################################";
	int width = (int)((int64_t)n * (int)(sizeof(bar) - 1) / shop.n);

	printf("  %9s %6d %.*s\n", label, n, n && !width ? 1 : width, bar);
}

static void print_latency(void)
{
	static const struct {
		int64_t below;
		const char *label;
	} steps[] = {
		{ 1000, "< 1 us" },	 { 2000, "< 2 us" },
		{ 5000, "< 5 us" },	 { 10000, "< 10 us" },
		{ 20000, "< 20 us" },	 { 50000, "< 50 us" },
		{ 100000, "< 100 us" },	 { 200000, "< 200 us" },
		{ 500000, "< 500 us" },	 { 1000000, "< 1 ms" },
		{ 10000000, "< 10 ms" }, { INT64_MAX, "more" },
	};
	const int64_t *l = shared->latency;
	int i = 0, n = shop.n;

	qsort(shared->latency, (size_t)n, sizeof(*l), by_value);
	printf("\nlatency, from send to the live reader (which sleeps in between)\n"
	       "  p50 %.1f us   p90 %.1f us   p99 %.1f us   p99.9 %.1f us   max %.1f us\n",
	       (double)l[n / 2] / 1e3, (double)l[n * 9L / 10] / 1e3,
	       (double)l[n * 99L / 100] / 1e3, (double)l[n * 999L / 1000] / 1e3,
	       (double)l[n - 1] / 1e3);
	for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
		int before = i;

		while (i < n && l[i] < steps[s].below)
			i++;
		print_bar(steps[s].label, i - before);
	}
}

static bool report(void)
{
	bool ok;

	printf("sent %d orders of %" PRId64 " customers in %.2f s\n", shop.n,
	       shop.total.customers,
	       (double)(shared->finished - shared->started) / 1e9);
	ok = print_reader("live reader, there from the start", &shared->live);
	ok &= print_reader("late reader, from the beginning", &shared->late);
	printf("          it started after %" PRId64
	       " orders, and had them %.1f ms later\n",
	       shared->late.backlog, (double)shared->late.catch_up / 1e6);
	print_latency();
	return ok;
}

int main(int argc, char **argv)
{
	int64_t span = argc > 2 ? (int64_t)(atof(argv[2]) * 1e9) : 3 * SECOND;
	pid_t live, late, sender;
	bool ok;

	if (argc < 2 || argc > 3 || span < 0) {
		fprintf(stderr, "usage: %s FILE [SECONDS]\n", argv[0]);
		return 2;
	}
	load(argv[1]);
	shared = mmap(NULL,
		      sizeof(*shared) +
			      (size_t)shop.n * sizeof(shared->latency[0]),
		      PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (shared == MAP_FAILED || !shop.n)
		die(argv[1], "no memory, or no orders");
	live = spawn(read_all, BUS_END);
	sender = spawn(send_all, span);
	late = spawn(read_all, BUS_BEGINNING);
	ok = ended_well(sender);
	ok &= ended_well(live);
	ok &= ended_well(late);
	if (!ok)
		die("a process failed", "see above");
	return report() ? 0 : 1;
}
