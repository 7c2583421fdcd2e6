/* SPDX-License-Identifier: MIT */
/*
 * hello.c - send a record and read it back.
 *
 *	bus up && bus topic create greetings
 *	cc hello.c $(pkg-config --cflags --libs bus) -o hello && ./hello
 */
#include <bus/bus.h>
#include <stdio.h>
#include <string.h>

static int check(const char *what, int64_t result)
{
	if (result < 0)
		fprintf(stderr, "%s: %s\n", what, bus_strerror((int)result));
	return result < 0;
}

int main(void)
{
	static const char text[] = "hello, world";
	struct bus_record record;
	struct bus_consumer *consumer = NULL;
	struct bus_producer *producer = NULL;
	struct bus *bus = NULL;
	int bad = check("open", bus_open(NULL, &bus)) ||
		  check("consumer",
			bus_consumer_open(bus, "greetings", NULL, &consumer)) ||
		  check("producer",
			bus_producer_open(bus, "greetings", NULL, &producer)) ||
		  check("send", bus_send(producer, text, strlen(text))) ||
		  check("poll", bus_poll(consumer, &record, BUS_FOREVER));
	if (!bad)
		printf("read: %.*s\n", (int)record.value_size,
		       (const char *)record.value);
	bus_producer_close(producer);
	bus_consumer_close(consumer);
	bus_close(bus);
	return bad;
}
