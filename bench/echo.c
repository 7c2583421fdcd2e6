/* SPDX-License-Identifier: MIT */
/*
 * echo.c - a record there and back, over two topics.
 *
 * A sends on "there" and reads "back", B does the reverse: a producer and a
 * consumer in each process, records copied out of the ring, settings as they
 * are by default. With two producers the second one is attached to the same
 * topic by the same process and never sends: what it costs that it might.
 * Every record bears the number of its trip, and A checks that it came back.
 */
#include <string.h>

#include "bench.h"

struct echo {
	struct bus *bus;
	struct bus_producer *producer, *idle;
	struct bus_consumer *consumer;
	uint64_t trip;
	size_t bytes;
	_Alignas(BENCH_LINE) uint8_t value[BENCH_BYTES_MAX];
	_Alignas(BENCH_LINE) uint8_t buffer[BENCH_BYTES_MAX];
};

static int echo_create(const struct bench_part *part, struct bus *bus)
{
	int r = bench_create(part, bus, "there", "drop");

	return r < 0 ? r : bench_create(part, bus, "back", "drop");
}

static int echo_attach(struct bench_part *part, enum bench_side side)
{
	struct echo *echo = part->state;
	const char *to = side == BENCH_A ? "there" : "back";
	const char *from = side == BENCH_A ? "back" : "there";
	int r = bench_producer(part, echo->bus, to, &echo->producer);

	if (!r && part->params.producers > 1)
		r = bench_producer(part, echo->bus, to, &echo->idle);
	return r ? r : bench_consumer(part, echo->bus, from, &echo->consumer);
}

static int echo_open(struct bench_part *part, enum bench_side side)
{
	struct echo *echo = bench_state(part, sizeof(*echo));
	int r;

	if (!echo)
		return BUS_ENOMEM;
	echo->bytes = part->params.bytes;
	r = bench_connect(part, &echo->bus);
	if (!r && side == BENCH_A)
		r = echo_create(part, echo->bus);
	return r ? r : echo_attach(part, side);
}

static inline int echo_send(struct echo *echo, const void *value)
{
	int64_t r = bus_send(echo->producer, value, echo->bytes);

	return r < 0 ? bench_fail((int)r, "echo: sending") : 0;
}

static inline int echo_read(struct echo *echo, struct bus_record *ret)
{
	int r = bus_poll_copy(echo->consumer, ret, echo->buffer,
			      sizeof(echo->buffer), BUS_FOREVER);

	if (r != 1)
		return bench_fail(r < 0 ? r : BUS_ETIMEDOUT, "echo: reading");
	if (ret->value_size != echo->bytes ||
	    memcmp(ret->value, &echo->trip, sizeof(echo->trip)))
		return bench_fail(BUS_ECORRUPT, "echo: not what was sent");
	return 0;
}

static int reply(struct echo *echo, uint64_t ops)
{
	struct bus_record record;
	int r = 0;

	for (uint64_t i = 0; i < ops && !r; i++) {
		echo->trip++;
		r = echo_read(echo, &record);
		if (!r)
			r = echo_send(echo, record.value);
	}
	return r;
}

static inline int trip(struct echo *echo)
{
	struct bus_record record;
	int r;

	echo->trip++;
	memcpy(echo->value, &echo->trip, sizeof(echo->trip));
	r = echo_send(echo, echo->value);
	return r ? r : echo_read(echo, &record);
}

static int echo_slice(struct bench_part *part, enum bench_side side,
		      uint64_t ops)
{
	struct echo *echo = part->state;
	bool sleeps = !strcmp(part->params.wait, "sleep");
	int r = 0;

	if (side == BENCH_B)
		return reply(echo, ops);
	for (uint64_t i = 0; i < ops && !r; i += part->chunk) {
		if (sleeps)
			bench_settle(part);
		for (unsigned j = 0; j < part->chunk && !r; j++)
			r = trip(echo);
		bench_lap(&part->watch);
	}
	return r;
}

static void echo_close(struct bench_part *part, enum bench_side side)
{
	struct echo *echo = part->state;

	(void)side;
	bus_consumer_close(echo->consumer);
	bus_producer_close(echo->idle);
	bus_producer_close(echo->producer);
	bus_close(echo->bus);
}

const struct bench_subject bench_echo = {
	.name = "bus",
	.open = echo_open,
	.slice = echo_slice,
	.close = echo_close,
};
