/* SPDX-License-Identifier: MIT */
/*
 * stream.c - records one way, as fast as they go.
 *
 * B sends, A reads in place, up to 64 records at a time, and takes the time.
 * The topic's consumer blocks its producer, so that every record is read: A
 * counts them and adds up their numbers. Each record bears its number in its
 * first word, which A reads where it lies in the ring.
 */
#include <string.h>

#include "bench.h"

#define TOPIC "stream"

struct stream {
	struct bus *bus;
	struct bus_producer *producer, *idle;
	struct bus_consumer *consumer;
	uint64_t next; /* number of the next record, from 0 */
	struct bus_message message[BENCH_BATCH_MAX];
	/* one behind the other, as a program would have them; 4096 apart they
	 * would all fall into one set of the cache */
	_Alignas(BENCH_LINE) uint8_t value[BENCH_BATCH_MAX * BENCH_BYTES_MAX];
};

static int stream_attach(struct bench_part *part, enum bench_side side)
{
	struct stream *stream = part->state;
	struct bus *bus = stream->bus;
	int r;

	if (side == BENCH_A) {
		r = bench_create(part, bus, TOPIC, "block");
		return r ? r :
			   bench_consumer(part, bus, TOPIC, &stream->consumer);
	}
	r = bench_producer(part, bus, TOPIC, &stream->producer);
	if (!r && part->params.producers > 1)
		r = bench_producer(part, bus, TOPIC, &stream->idle);
	return r;
}

static int stream_open(struct bench_part *part, enum bench_side side)
{
	struct stream *stream = bench_state(part, sizeof(*stream));

	if (!stream)
		return BUS_ENOMEM;
	for (unsigned i = 0; i < BENCH_BATCH_MAX; i++) {
		stream->message[i] = BUS_MESSAGE;
		stream->message[i].value =
			stream->value + i * part->params.bytes;
		stream->message[i].value_size = part->params.bytes;
	}

	int r = bench_connect(part, &stream->bus);

	return r ? r : stream_attach(part, side);
}

static int64_t send_one(struct stream *stream, size_t bytes)
{
	memcpy(stream->value, &stream->next, sizeof(stream->next));
	stream->next++;
	return bus_send(stream->producer, stream->value, bytes);
}

static int64_t send_batch(struct stream *stream, size_t bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		memcpy(stream->value + i * bytes, &stream->next,
		       sizeof(stream->next));
		stream->next++;
	}
	return bus_send_batch(stream->producer, stream->message, n, NULL);
}

static int produce(struct bench_part *part, uint64_t ops)
{
	struct stream *stream = part->state;
	uint32_t batch = part->params.batch;

	for (uint64_t i = 0; i < ops; i += batch) {
		int64_t r = batch == 1 ? send_one(stream, part->params.bytes) :
					 send_batch(stream, part->params.bytes,
						    batch);

		if (r < 0)
			return bench_fail((int)r, "stream: sending");
	}
	return 0;
}

/* Read @n records and add up their numbers. */
static int consume(struct stream *stream, uint64_t n, uint64_t *sum)
{
	struct bus_record record[BENCH_BATCH_MAX];

	while (n) {
		size_t max = n < BENCH_BATCH_MAX ? n : BENCH_BATCH_MAX;
		int r = bus_poll_many(stream->consumer, record, max,
				      BUS_FOREVER);

		if (r <= 0)
			return bench_fail(r < 0 ? r : BUS_ETIMEDOUT,
					  "stream: reading");
		for (int i = 0; i < r; i++) {
			uint64_t number;

			memcpy(&number, record[i].value, sizeof(number));
			*sum += number;
		}
		n -= (uint64_t)r;
	}
	return 0;
}

static int stream_slice(struct bench_part *part, enum bench_side side,
			uint64_t ops)
{
	struct stream *stream = part->state;
	uint64_t first = stream->next, sum = 0;

	if (side == BENCH_B)
		return produce(part, ops);
	for (uint64_t i = 0; i < ops; i += part->chunk) {
		int r = consume(stream, part->chunk, &sum);

		if (r < 0)
			return r;
		bench_lap(&part->watch);
	}
	stream->next += ops;
	if (sum != ops * first + ops * (ops - 1) / 2)
		return bench_fail(BUS_ECORRUPT, "stream: wrong sum");
	return 0;
}

static void stream_close(struct bench_part *part, enum bench_side side)
{
	struct stream *stream = part->state;

	(void)side;
	bus_consumer_close(stream->consumer);
	bus_producer_close(stream->idle);
	bus_producer_close(stream->producer);
	bus_close(stream->bus);
}

const struct bench_subject bench_stream = {
	.name = "bus",
	.open = stream_open,
	.slice = stream_slice,
	.close = stream_close,
};

const struct bench_subject bench_single = {
	.name = "single",
	.batch = 1,
	.open = stream_open,
	.slice = stream_slice,
	.close = stream_close,
};
